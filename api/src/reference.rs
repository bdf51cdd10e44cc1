//! Repository names, tags and references, by the grammar of the OCI distribution specification.

use std::fmt;
use std::str::FromStr;

use oci_spec::image::Digest;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Longest repository name, in bytes: what fits a path and a URL everywhere.
pub const NAME_MAX: usize = 255;
/// Longest tag, in bytes (specification: 128).
pub const TAG_MAX: usize = 128;

/// Why a name, tag or reference is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidReference(String);

impl fmt::Display for InvalidReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidReference {}

/// A tag or a digest within a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// A name that can move.
    Tag(String),
    /// Content, which cannot.
    Digest(Digest),
}

/// A repository and, within it, a tag or a digest; without either the tag is `latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// Name of the repository, without a host.
    pub repository: String,
    /// What in the repository is meant.
    pub selector: Selector,
}

/// Checks a repository name: lower-case components of letters and digits, separated by `/`, with
/// `.`, `_`, `__` or dashes inside them.
pub fn check_repository(name: &str) -> Result<(), InvalidReference> {
    if name.len() > NAME_MAX {
        return Err(InvalidReference(format!("repository name is longer than {NAME_MAX} bytes")));
    }
    if name.split('/').all(is_component) {
        return Ok(());
    }
    Err(InvalidReference(format!(
        "repository name {name:?} is not of the form a/b-c/d: lower-case letters and digits, \
         with . _ - between them"
    )))
}

/// Checks a tag: letters, digits, `_`, then also `.` and `-`.
pub fn check_tag(tag: &str) -> Result<(), InvalidReference> {
    let mut bytes = tag.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && tag.len() <= TAG_MAX {
        return Ok(());
    }
    Err(InvalidReference(format!(
        "tag {tag:?} is not of the form v1.0-rc_1: at most {TAG_MAX} letters, digits, . _ -"
    )))
}

fn is_component(component: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    if !alnum(first) || !alnum(last) {
        return false;
    }
    bytes
        .split(|&b| alnum(b))
        .all(|sep| matches!(sep, b"" | b"." | b"_" | b"__") || sep.iter().all(|&b| b == b'-'))
}

impl Reference {
    /// A reference to a tag.
    pub fn tag(repository: impl Into<String>, tag: impl Into<String>) -> Self {
        Self { repository: repository.into(), selector: Selector::Tag(tag.into()) }
    }

    /// A reference to a digest.
    pub fn digest(repository: impl Into<String>, digest: Digest) -> Self {
        Self { repository: repository.into(), selector: Selector::Digest(digest) }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((repository, digest)) = text.split_once('@') {
            check_repository(repository)?;
            let digest = digest
                .parse::<Digest>()
                .map_err(|e| InvalidReference(format!("digest {digest:?}: {e}")))?;
            return Ok(Self::digest(repository, digest));
        }
        let (repository, tag) = match text.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (text, "latest"),
        };
        check_repository(repository)?;
        check_tag(tag)?;
        Ok(Self::tag(repository, tag))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::Tag(tag) => write!(f, "{}:{tag}", self.repository),
            Selector::Digest(digest) => write!(f, "{}@{digest}", self.repository),
        }
    }
}

impl PartialSchema for Reference {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("`REPOSITORY`, `REPOSITORY:TAG` or `REPOSITORY@DIGEST`."))
            .examples(["shop/cart-0/redis:20261123T092033Z"]);
        text.into()
    }
}

impl ToSchema for Reference {}

impl TryFrom<String> for Reference {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_specification_accepts() {
        for name in ["a", "a/b", "shop/cart-7d9f-0/redis", "a--b", "a__b", "a.b", "0/1", "a_b/c"] {
            check_repository(name).unwrap();
        }
        for name in
            ["", "/", "a/", "/a", "A", "a..b", "a___b", "-a", "a-", "a//b", "_a", "a b", "a:b", "ä"]
        {
            check_repository(name).unwrap_err();
        }
        check_repository(&"a".repeat(NAME_MAX + 1)).unwrap_err();
    }

    #[test]
    fn tags() {
        for tag in ["latest", "_x", "20261123T092033Z", "v1.0-rc_1", &"a".repeat(TAG_MAX)] {
            check_tag(tag).unwrap();
        }
        for tag in ["", ".a", "-a", "a/b", "a:b", "a b", &"a".repeat(TAG_MAX + 1)] {
            check_tag(tag).unwrap_err();
        }
    }

    #[test]
    fn references_round_trip() {
        let hex = "0123456789abcdef".repeat(4);
        for text in ["a/b:c", &format!("a@sha256:{hex}")] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), *text);
        }
        assert_eq!("a/b".parse::<Reference>().unwrap().to_string(), "a/b:latest");
        for text in ["", ":", "a@", "a@sha256:12", "a:b:c", "a:b/c", "A:b"] {
            text.parse::<Reference>().unwrap_err();
        }
    }
}
