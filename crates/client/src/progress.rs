//! What a transfer tells while it runs.

use std::time::Duration;

use crate::ClientError;

/// Is told how a transfer goes. All methods may do nothing.
pub trait Progress: Send + Sync {
    /// The transfer begins at a position, of a total if that is known.
    fn begin(&self, position: u64, total: Option<u64>) {
        let _ = (position, total);
    }

    /// So many bytes are through, those of earlier tries included.
    fn advance(&self, position: u64) {
        let _ = position;
    }

    /// Something broke; it is tried again after a pause.
    fn retry(&self, error: &ClientError, pause: Duration) {
        let _ = (error, pause);
    }

    /// All bytes are through; the server stores and checks them.
    fn storing(&self) {}
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}
