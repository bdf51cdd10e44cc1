//! Checksum of a file, while it is read for other reasons.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::file::SourceFile;
use crate::Result;

pub(crate) const READ_BYTES: u64 = 1 << 20;
/// Bytes that have a checksum of their own (`CommitUpload::xxh3`).
const SEGMENT: usize = 1 << 20;

/// The checksum of the first `position` bytes. Pieces that are read again are not taken in again.
#[derive(Clone, Default)]
pub(crate) struct FileHash {
    segment: Xxh3,
    /// Bytes of the segment that is under way.
    in_segment: usize,
    /// Checksums of whole segments, little-endian.
    segments: Vec<u8>,
    position: u64,
}

impl std::fmt::Debug for FileHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileHash").field("position", &self.position).finish_non_exhaustive()
    }
}

impl FileHash {
    /// Takes a piece that begins at `offset`, not after the position.
    pub(crate) fn update(&mut self, offset: u64, piece: &[u8]) {
        let known = usize::try_from(self.position.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut fresh = piece.get(known..).unwrap_or_default();
        self.position = self.position.saturating_add(fresh.len() as u64);
        while !fresh.is_empty() {
            let (now, rest) = fresh.split_at(fresh.len().min(SEGMENT - self.in_segment));
            self.segment.update(now);
            self.in_segment += now.len();
            if self.in_segment == SEGMENT {
                self.segments.extend(self.segment.digest().to_le_bytes());
                self.segment.reset();
                self.in_segment = 0;
            }
            fresh = rest;
        }
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

    /// The checksum so far, as `CommitUpload::xxh3` has it.
    pub(crate) fn xxh3(&self) -> String {
        let mut all = self.segments.clone();
        if self.in_segment > 0 {
            all.extend(self.segment.digest().to_le_bytes());
        }
        format!("{:016x}", xxh3_64(&all))
    }
}
