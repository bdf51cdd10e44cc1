//! sha256 of a file, while it is read for other reasons.

use sha2::{Digest, Sha256};

use super::file::SourceFile;
use crate::Result;

pub(crate) const READ_BYTES: u64 = 1 << 20;

/// The hash of the first `position` bytes. Pieces that are read again are not hashed again.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileHash {
    hash: Sha256,
    position: u64,
}

impl FileHash {
    /// Takes a piece that begins at `offset`, not after the position.
    pub(crate) fn update(&mut self, offset: u64, piece: &[u8]) {
        let known = usize::try_from(self.position.saturating_sub(offset)).unwrap_or(usize::MAX);
        let fresh = piece.get(known..).unwrap_or_default();
        self.hash.update(fresh);
        self.position = self.position.saturating_add(fresh.len() as u64);
    }

    /// Reads what lies between the position and `to`: what an earlier run has sent.
    pub(crate) fn catch_up(&mut self, file: &SourceFile, to: u64) -> Result<()> {
        let mut buf = vec![0; usize::try_from(READ_BYTES).unwrap_or(1 << 16)];
        while self.position < to {
            let want = usize::try_from(to - self.position).unwrap_or(buf.len()).min(buf.len());
            let Some(piece) = buf.get_mut(..want) else { break };
            file.read(piece, self.position)?;
            self.update(self.position, piece);
        }
        Ok(())
    }

    pub(crate) fn sha256(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }
}
