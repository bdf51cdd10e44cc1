//! Memory of segments, used again: a fresh megabyte costs the kernel as much as decoding half of it.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::SEGMENT_MAX;

/// Buffers that are kept for later at most.
const KEPT_MAX: usize = 24;

/// Smaller ones are cheap to make, in bytes. One that is kept is not spent on them either: in a cache
/// of blocks they would hold a megabyte for each few hundred bytes.
const KEPT_FROM: usize = SEGMENT_MAX as usize / 2;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Memory for one segment, or less.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    /// A buffer of that length. It holds what an earlier user left: all of it is to be written
    /// before any of it is looked at.
    pub(crate) fn take(len: usize) -> Self {
        let again = if len < KEPT_FROM { None } else { kept().pop() };
        let mut bytes = again.unwrap_or_default();
        bytes.resize(len, 0);
        Self { bytes }
    }

    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

fn kept() -> MutexGuard<'static, Vec<Vec<u8>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() < KEPT_FROM || bytes.capacity() > SEGMENT_MAX as usize {
            return;
        }
        let mut kept = kept();
        if kept.len() < KEPT_MAX {
            kept.push(bytes);
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_has_the_length_asked_for() {
        let mut buffer = Buffer::take(SEGMENT_MAX as usize);
        buffer.fill(7);
        assert_eq!(buffer.freeze().len(), SEGMENT_MAX as usize);
        let small = Buffer::take(100);
        assert_eq!((small.len(), small.bytes.capacity() < KEPT_FROM), (100, true));
        assert!(kept().len() <= KEPT_MAX);
    }
}
