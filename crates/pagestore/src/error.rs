//! Errors of the page store.

use pagevault_objects::{ErrorKind, ObjectError};
use thiserror::Error;

use crate::codec::CodecError;

/// Why the page store could not do something.
#[derive(Debug, Error)]
pub enum PageStoreError {
    /// No recipe of that name.
    #[error("recipe {0} is not there")]
    NotFound(String),
    /// Stored bytes are missing, or not what was stored.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// Written by a newer version of this program.
    #[error("{0}: written by a newer version")]
    TooNew(String),
    /// What the recipe was to be stored against went away meanwhile: store again without it.
    #[error("the base of this ingest was collected meanwhile")]
    BaseGone,
    /// The recipe was removed while its writer worked: start again.
    #[error("this ingest was given up on by a collector")]
    Lost,
    /// What was asked for makes no sense for this recipe.
    #[error("{0}")]
    Unsuited(String),
    /// The source of an ingest cannot be read.
    #[error("reading what is to be stored: {0}")]
    Source(#[source] std::io::Error),
    /// What was just encoded does not decode to what it was: a fault of ours, nothing is stored.
    #[error("encoded data does not decode to what it was (at byte {0} of the layer)")]
    Verify(u64),
    /// The object store failed.
    #[error(transparent)]
    Store(#[from] ObjectError),
    /// Compression failed.
    #[error("compressing: {0}")]
    Codec(#[from] CodecError),
    /// Compressing a recipe failed.
    #[error("compressing a recipe: {0}")]
    Compress(#[from] std::io::Error),
    /// Who names which recipe could not be read: nothing may be taken for unnamed.
    #[error("reading who names what: {0}")]
    Roots(#[source] crate::collect::RootsError),
    /// The collection was asked to end.
    #[error("the collection was ended early")]
    Cancelled,
    /// Work was cancelled or a task of ours panicked.
    #[error("work was cut short: {0}")]
    Task(String),
}

impl PageStoreError {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// A store error while reading something that a recipe says is there.
    pub(crate) fn reading(object: &str, error: ObjectError) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Damaged(format!("object {object} is missing")),
            ErrorKind::Truncated => Self::Damaged(format!("object {object} is cut short")),
            _ => Self::Store(error),
        }
    }
}
