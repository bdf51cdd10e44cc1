//! What a path below `/v2/` means. It is read from the right, as names may hold any word that
//! endpoints are made of.

/// What a path is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Catalog,
    Tags { name: &'a str },
    Referrers { name: &'a str, digest: &'a str },
    Manifest { name: &'a str, reference: &'a str },
    Blob { name: &'a str, digest: &'a str },
    Uploads { name: &'a str },
    Upload { name: &'a str, id: &'a str },
}

impl<'a> Target<'a> {
    pub(super) fn repository(&self) -> Option<&'a str> {
        match *self {
            Self::Catalog => None,
            Self::Tags { name }
            | Self::Referrers { name, .. }
            | Self::Manifest { name, .. }
            | Self::Blob { name, .. }
            | Self::Uploads { name }
            | Self::Upload { name, .. } => Some(name),
        }
    }

    /// What can be done with it: the value of an `Allow` header.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Self::Catalog | Self::Tags { .. } => "GET",
            Self::Referrers { .. } => "GET, HEAD",
            Self::Manifest { .. } => "GET, HEAD, PUT, DELETE",
            Self::Blob { .. } => "GET, HEAD, DELETE",
            Self::Uploads { .. } => "POST",
            Self::Upload { .. } => "GET, HEAD, PATCH, PUT, DELETE",
        }
    }
}

/// Splits what follows `/v2/`; none if it is no endpoint.
pub(super) fn split(path: &str) -> Option<Target<'_>> {
    if path == "_catalog" {
        return Some(Target::Catalog);
    }
    if let Some(name) = path.strip_suffix("/tags/list") {
        return Some(Target::Tags { name });
    }
    let started = path.strip_suffix('/').unwrap_or(path);
    if let Some(name) = started.strip_suffix("/blobs/uploads") {
        return Some(Target::Uploads { name });
    }
    let (before, last) = path.rsplit_once('/').filter(|(_, last)| !last.is_empty())?;
    if let Some(name) = before.strip_suffix("/blobs/uploads") {
        return Some(Target::Upload { name, id: last });
    }
    let (name, kind) = before.rsplit_once('/')?;
    match kind {
        "manifests" => Some(Target::Manifest { name, reference: last }),
        "blobs" => Some(Target::Blob { name, digest: last }),
        "referrers" => Some(Target::Referrers { name, digest: last }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (path, target) in [
            ("_catalog", Target::Catalog),
            ("a/tags/list", Target::Tags { name: "a" }),
            ("a/b/c/tags/list", Target::Tags { name: "a/b/c" }),
            ("a/manifests/latest", Target::Manifest { name: "a", reference: "latest" }),
            ("a/b/manifests/sha256:0", Target::Manifest { name: "a/b", reference: "sha256:0" }),
            ("a/b/blobs/sha256:0", Target::Blob { name: "a/b", digest: "sha256:0" }),
            ("a/b/blobs/uploads/", Target::Uploads { name: "a/b" }),
            ("a/b/blobs/uploads", Target::Uploads { name: "a/b" }),
            ("a/b/blobs/uploads/id", Target::Upload { name: "a/b", id: "id" }),
            ("a/referrers/sha256:0", Target::Referrers { name: "a", digest: "sha256:0" }),
        ] {
            assert_eq!(split(path), Some(target), "{path}");
        }
    }

    #[test]
    fn names_may_hold_words_of_endpoints() {
        for (path, target) in [
            ("manifests/manifests/x", Target::Manifest { name: "manifests", reference: "x" }),
            ("a/manifests/manifests/x", Target::Manifest { name: "a/manifests", reference: "x" }),
            (
                "blobs/uploads/manifests/x",
                Target::Manifest { name: "blobs/uploads", reference: "x" },
            ),
            ("tags/list/tags/list", Target::Tags { name: "tags/list" }),
            ("a/blobs/uploads/blobs/uploads/", Target::Uploads { name: "a/blobs/uploads" }),
            ("a/tags/manifests/list", Target::Manifest { name: "a/tags", reference: "list" }),
            ("_catalog/tags/list", Target::Tags { name: "_catalog" }),
        ] {
            assert_eq!(split(path), Some(target), "{path}");
        }
    }

    #[test]
    fn no_endpoints() {
        for path in
            ["", "a", "a/b", "a/manifests/", "manifests/x", "/", "//", "a/layers/x", "_catalog/"]
        {
            assert_eq!(split(path), None, "{path}");
        }
    }
}
