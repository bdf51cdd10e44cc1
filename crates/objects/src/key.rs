//! Names of objects.

use std::fmt;

use crate::error::{ErrorKind, ObjectError};

/// Longest name, in bytes: S3's limit.
const KEY_MAX: usize = 1024;
/// Longest segment, in bytes: what a file name may be.
const SEGMENT_MAX: usize = 255;

/// The name of an object: segments of letters, digits and `._-@=+`, separated by `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// Checks a name.
    pub fn new(name: impl Into<String>) -> Result<Self, ObjectError> {
        let name = name.into();
        if name.len() <= KEY_MAX && name.split('/').all(is_segment) {
            return Ok(Self(name));
        }
        Err(ObjectError::other(ErrorKind::Invalid, format!("object name {name:?}")))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_segment(segment: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-@=+".contains(&b);
    !matches!(segment, "" | "." | "..")
        && segment.len() <= SEGMENT_MAX
        && segment.bytes().all(allowed)
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        for name in
            ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a b", "a\0", "ä", "a\\b"]
        {
            assert!(Key::new(name).is_err(), "{name:?}");
        }
        assert!(Key::new("a".repeat(256)).is_err());
        assert!(Key::new("a/".repeat(600) + "a").is_err());
        for name in ["a", "_manifests", "repos/a.b/_tags/v1.0-rc_1", "sha256-00", "a@b=c+d", "..."]
        {
            Key::new(name).unwrap();
        }
    }
}
