//! Where the bytes of a layer come from.

use std::io;

/// A layer that can be read at any place, perhaps while its end is still arriving.
pub trait Source: Send + Sync {
    /// Fills `buf` from `offset`, waiting for bytes that have not arrived yet. Called on threads
    /// that may block.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

impl Source for Vec<u8> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = at.checked_add(buf.len()).and_then(|end| self.get(at..end));
        buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
