//! The error of every use case: a kind that says what the caller can do, and a sentence.

use std::error::Error as StdError;
use std::fmt;

/// What the caller of a use case can do about its failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryErrorKind {
    /// The request is wrong: a name, a parameter, a body.
    Invalid,
    /// Content does not hash to the digest that was given for it.
    DigestMismatch,
    /// No such repository.
    RepositoryUnknown,
    /// No such manifest or tag.
    ManifestUnknown,
    /// No such blob in the repository.
    BlobUnknown,
    /// The manifest names a blob or manifest that the repository does not hold.
    ReferenceUnknown,
    /// No such run.
    RunUnknown,
    /// No such upload; start again.
    UploadUnknown,
    /// The upload holds this many bytes; go on there.
    Offset(u64),
    /// Not a checkpoint archive, or one that must not be let in.
    Archive,
    /// Another request got there first, or a name is taken.
    Conflict,
    /// What the request counts on is not so any more: look again.
    Precondition,
    /// The namespace has no room left by its quota.
    Quota,
    /// Larger than is allowed.
    TooLarge,
    /// The disk is full up to its reserve.
    Full,
    /// The sender went away before the end of its body.
    BodyBroken,
    /// What is stored is damaged.
    Damaged,
    /// What was being stored was collected meanwhile: begin again.
    Collected,
    /// The store or the server cannot do it now.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// Why a use case failed.
#[derive(Debug)]
pub struct RegistryError {
    kind: RegistryErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl RegistryError {
    /// An error with a sentence that says what to do.
    pub fn new(kind: RegistryErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> RegistryErrorKind {
        self.kind
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for RegistryError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}
