//! Errors of the catalog.

use pagevault_objects::ObjectError;
use thiserror::Error;

/// Why the catalog could not do something.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// Another writer changed the same record again and again.
    #[error("{0} is being changed by others; try again")]
    Conflict(String),
    /// The record is no longer the one that was said; its etag now.
    #[error("it has changed meanwhile: its etag is now {0}")]
    Changed(String),
    /// A record that cannot be read.
    #[error("record {key} is damaged: {what}")]
    Corrupt {
        /// The object.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// A checkpoint that must not be deleted; with the reason.
    #[error("it is pinned: {0}")]
    Pinned(String),
    /// A cursor that this server did not make.
    #[error("the cursor is not one of this server's")]
    Cursor,
    /// The object store failed.
    #[error(transparent)]
    Store(#[from] ObjectError),
    /// The view failed; it can be deleted while the server is stopped.
    #[error("the view (view.sqlite): {0}")]
    View(#[source] rusqlite::Error),
    /// The view has no room: the disk is full to its last byte, which pushes leave alone.
    #[error("no room for the view (view.sqlite): make room on its disk")]
    Full(#[source] rusqlite::Error),
    /// Something that cannot be written down, or no random numbers: a fault of ours.
    #[error("internal: {0}")]
    Internal(String),
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full(error),
            _ => Self::View(error),
        }
    }
}
