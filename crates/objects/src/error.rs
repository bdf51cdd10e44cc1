//! Errors of an object store: kinds by what the caller can do.

use std::fmt;
use std::io;

use crate::key::Key;

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no object of that name.
    NotFound,
    /// Another writer was there first: read again and decide anew.
    Precondition,
    /// The object is shorter than the range that was asked for.
    Truncated,
    /// No room, or none above the reserve: free some, then try again.
    Full,
    /// The name or the request is wrong; trying again will not help.
    Invalid,
    /// The store cannot do it now: try again later.
    Unavailable,
}

/// Why a store could not do something.
#[derive(Debug)]
pub struct ObjectError {
    kind: ErrorKind,
    what: String,
    source: Option<io::Error>,
    /// `what` is a sentence already.
    told: bool,
}

impl ObjectError {
    /// An error about an object.
    pub fn new(kind: ErrorKind, key: &Key) -> Self {
        Self { kind, what: format!("object {key}"), source: None, told: false }
    }

    /// An error about something else.
    pub fn other(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None, told: false }
    }

    /// An error that says in its own words what to do.
    pub fn told(kind: ErrorKind, sentence: impl Into<String>) -> Self {
        Self { told: true, ..Self::other(kind, sentence) }
    }

    /// An error of the file system; its kind follows from the error.
    pub fn io(what: impl fmt::Display, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            io::ErrorKind::UnexpectedEof => ErrorKind::Truncated,
            _ => ErrorKind::Unavailable,
        };
        Self { kind, what: what.to_string(), source: Some(source), told: false }
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.told {
            return f.write_str(&self.what);
        }
        let kind = match self.kind {
            ErrorKind::NotFound => "is not there",
            ErrorKind::Precondition => "has changed meanwhile",
            ErrorKind::Truncated => "is shorter than asked for",
            ErrorKind::Full => "does not fit: no space is left above the reserve",
            ErrorKind::Invalid => "is not acceptable",
            ErrorKind::Unavailable => "cannot be reached",
        };
        write!(f, "{} {kind}", self.what)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl std::error::Error for ObjectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}
