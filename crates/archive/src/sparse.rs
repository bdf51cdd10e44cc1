//! The map of a sparse file in GNU tar's old format (its manual, "Storing Sparse Files"). CRIU packs a tmpfs with
//! `tar --sparse`, so that a shared memory segment with holes is one.

use std::io::{self, Read};

use crate::header::{BLOCK, BLOCK_BYTES};
use crate::number;
use crate::source::read_full;

/// Where runs are in the header, and in a block that continues it.
const RUNS_AT: usize = 386;
const HEADER_RUNS: usize = 4;
const BLOCK_RUNS: usize = 21;
const RUN_BYTES: usize = 24;
const HEADER_MORE_AT: usize = 482;
const REAL_SIZE_AT: usize = 483;
const BLOCK_MORE_AT: usize = 504;

/// Runs of data and the holes between them.
#[derive(Debug, Default)]
pub(crate) struct Map {
    /// Bytes of data so far.
    stored: u64,
    /// Where the last run ends in the file.
    end: u64,
    /// Bytes of the file with its holes; nothing if that is not a number.
    real: Option<u64>,
    /// Another block continues the map.
    more: bool,
    /// Runs that make no sense, after which nothing can be trusted.
    bad: bool,
}

impl Map {
    /// What a header says.
    pub(crate) fn begin(header: &[u8]) -> Self {
        let real = header.get(REAL_SIZE_AT..REAL_SIZE_AT.saturating_add(12));
        let real = real.and_then(|field| number::field(field).ok());
        let mut map = Self { real, ..Self::default() };
        map.add(header.get(RUNS_AT..).unwrap_or(&[]), HEADER_RUNS);
        map.more = header.get(HEADER_MORE_AT).is_some_and(|&more| more != 0);
        map
    }

    /// Reads the blocks that continue it, which lie between header and data, and says how many bytes these were;
    /// nothing if they are more than `max`, or not the map of so many `stored` bytes.
    pub(crate) fn check<R: Read>(
        mut self,
        source: &mut R,
        stored: u64,
        max: u64,
    ) -> io::Result<Option<u64>> {
        let (mut block, mut read) = ([0; BLOCK_BYTES], 0_u64);
        while self.more {
            if read >= max || read_full(source, &mut block)? < BLOCK_BYTES {
                return Ok(None);
            }
            read = read.saturating_add(BLOCK);
            self.add(&block, BLOCK_RUNS);
            self.more = block.get(BLOCK_MORE_AT).is_some_and(|&more| more != 0);
        }
        Ok(self.fits(stored).then_some(read))
    }

    fn add(&mut self, fields: &[u8], most: usize) {
        for run in fields.chunks_exact(RUN_BYTES).take(most) {
            let (offset, bytes) = run.split_at(RUN_BYTES / 2);
            // An empty field ends the list.
            if bytes.first() == Some(&0) {
                return;
            }
            match (number::field(offset), number::field(bytes)) {
                (Ok(offset), Ok(bytes)) => self.push(offset, bytes),
                _ => self.bad = true,
            }
        }
    }

    /// GNU tar reads each run in whole blocks, so only the last may end inside one.
    fn push(&mut self, offset: u64, bytes: u64) {
        let in_order = offset >= self.end && (bytes == 0 || self.stored.is_multiple_of(BLOCK));
        let sums = (self.stored.checked_add(bytes), offset.checked_add(bytes));
        match sums {
            (Some(stored), Some(end)) if in_order => (self.stored, self.end) = (stored, end),
            _ => self.bad = true,
        }
    }

    /// Whether it is the map of so many stored bytes: GNU tar believes the map, others the size.
    fn fits(&self, stored: u64) -> bool {
        let real = self.real.is_some_and(|real| self.end <= real);
        !self.bad && real && self.stored == stored
    }
}
