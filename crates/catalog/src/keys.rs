//! Where records are in the object store.

use pagevault_api::Digest;
use pagevault_objects::Key;

use crate::Result;

/// All records are below this.
pub(crate) const ROOT: &str = "repos/";

/// All promises are below this.
pub(crate) const PROMISES: &str = "promises/";

/// The policies.
pub(crate) const POLICIES: &str = "policies/retention";

/// Something that the catalog keeps a record of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Manifest { repository: String, digest: Digest },
    Blob { repository: String, digest: Digest },
    Detail { repository: String, digest: Digest },
    Tag { repository: String, tag: String },
}

impl Name {
    pub(crate) fn key(&self) -> Result<Key> {
        let name = match self {
            Self::Manifest { repository, digest } => {
                format!("{ROOT}{repository}/_manifests/{}", file_name(digest))
            }
            Self::Blob { repository, digest } => {
                format!("{ROOT}{repository}/_blobs/{}", file_name(digest))
            }
            Self::Detail { repository, digest } => {
                format!("{ROOT}{repository}/_details/{}", file_name(digest))
            }
            Self::Tag { repository, tag } => format!("{ROOT}{repository}/_tags/{tag}"),
        };
        Ok(Key::new(name)?)
    }

    /// What a key names; nothing if it is none of ours.
    pub(crate) fn parse(key: &str) -> Option<Self> {
        let (rest, last) = key.strip_prefix(ROOT)?.rsplit_once('/')?;
        let (repository, kind) = rest.rsplit_once('/')?;
        let repository = repository.to_owned();
        let digest = || last.replacen('-', ":", 1).parse().ok();
        match kind {
            "_manifests" => Some(Self::Manifest { repository, digest: digest()? }),
            "_blobs" => Some(Self::Blob { repository, digest: digest()? }),
            "_details" => Some(Self::Detail { repository, digest: digest()? }),
            "_tags" => Some(Self::Tag { repository, tag: last.to_owned() }),
            _ => None,
        }
    }
}

/// Where the promises of a repository are.
pub(crate) fn promises(repository: &str) -> String {
    format!("{PROMISES}{repository}/_blobs/")
}

/// What the names of the promises about one blob begin with. A folder for each blob would stay when it
/// is empty, and one for all of them would grow; so there are 256 in a repository.
pub(crate) fn promises_of(repository: &str, digest: &Digest) -> String {
    let folder = digest.digest().get(..2).unwrap_or("xx");
    format!("{}{folder}/{}.", promises(repository), file_name(digest))
}

/// What a promise is about. Before, each blob had a folder for its promises.
pub(crate) fn parse_promise(key: &str) -> Option<(String, Digest)> {
    let (repository, rest) = key.strip_prefix(PROMISES)?.split_once("/_blobs/")?;
    let (folder, last) = rest.split_once('/')?;
    let file = last.split_once('.').map_or(folder, |(file, _)| file);
    Some((repository.to_owned(), file.replacen('-', ":", 1).parse().ok()?))
}

fn file_name(digest: &Digest) -> String {
    digest.to_string().replacen(':', "-", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_names() {
        let digest: Digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let repository = || "a/b-c/d".to_owned();
        for name in [
            Name::Manifest { repository: repository(), digest: digest.clone() },
            Name::Blob { repository: repository(), digest: digest.clone() },
            Name::Detail { repository: repository(), digest },
            Name::Tag { repository: repository(), tag: "v1".into() },
        ] {
            assert_eq!(Name::parse(name.key().unwrap().as_str()), Some(name));
        }
        let digest: Digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let promise = format!("{}x", promises_of("a/b", &digest));
        assert_eq!(parse_promise(&promise), Some(("a/b".to_owned(), digest.clone())));
        let before = format!("promises/a/b/_blobs/{}/000001790000-x", file_name(&digest));
        assert_eq!(parse_promise(&before), Some(("a/b".to_owned(), digest)));
        assert_eq!(parse_promise("promises/a/_blobs/x"), None);
        assert_eq!(Name::parse("repos/a/_other/x"), None);
        assert_eq!(Name::parse("data/00/x"), None);
    }
}
