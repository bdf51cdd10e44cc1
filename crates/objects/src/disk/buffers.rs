//! Buffers that large reads are done into, used again: fresh ones of this size come from the kernel
//! a page at a time, each zeroed and faulted in, which costs as much as the read.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Bytes of a buffer: what readers ask for at once.
pub(super) const BUFFER: usize = 1 << 20;
/// Smaller reads are left to the allocator.
const SMALL: usize = 64 << 10;
/// Buffers that are kept at most.
const KEPT: usize = 16;

/// The buffers that nobody uses now.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer in use.
struct Buffer {
    buf: Vec<u8>,
    len: usize,
    home: Buffers,
}

impl Buffers {
    /// The bytes that `read` fills in.
    pub(super) fn fill<E>(
        &self,
        len: usize,
        read: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        if !(SMALL..=BUFFER).contains(&len) {
            let mut buf = vec![0; len];
            read(&mut buf)?;
            return Ok(buf.into());
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buf = kept.unwrap_or_else(|| vec![0; BUFFER]);
        // From here on it finds its way home, also when the read fails.
        let mut buffer = Buffer { buf, len, home: self.clone() };
        read(&mut buffer.buf[..len])?;
        Ok(Bytes::from_owner(buffer))
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut kept = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.buf));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_and_not_shared() {
        let buffers = Buffers::default();
        let filled = |byte: u8, len: usize| {
            buffers.fill::<()>(len, |buf| {
                buf.fill(byte);
                Ok(())
            })
        };
        let (first, second) = (filled(1, BUFFER).unwrap(), filled(2, SMALL).unwrap());
        let part = first.slice(5..10);
        drop(first);
        let third = filled(3, BUFFER).unwrap();
        assert_eq!((&part[..], second.len(), third.len()), (&[1; 5][..], SMALL, BUFFER));
        assert!(second.iter().all(|b| *b == 2));
        drop((part, second, third));
        assert_eq!(buffers.0.lock().unwrap().len(), 3);
        assert!(buffers.fill(BUFFER, |_| Err(())).is_err());
        assert_eq!(buffers.0.lock().unwrap().len(), 3);
        assert_eq!(filled(4, SMALL - 1).unwrap().len(), SMALL - 1);
        assert_eq!(filled(4, BUFFER + 1).unwrap().len(), BUFFER + 1);
        let many: Vec<_> = (0..KEPT + 5).map(|_| filled(5, BUFFER).unwrap()).collect();
        drop(many);
        assert_eq!(buffers.0.lock().unwrap().len(), KEPT);
    }
}
