//! Where the bytes of a layer come from.

use std::io;
use std::ops::Range;

use async_trait::async_trait;

/// A layer that can be read at any place, perhaps while its end is still arriving.
#[async_trait]
pub trait Source: Send + Sync {
    /// Waits until the bytes of a range are there.
    async fn ready(&self, range: Range<u64>) -> io::Result<()>;

    /// Fills `buf` from `offset`, once, with the bytes of a range that was waited for. Called on threads
    /// that may block for as long as a disk takes, not for a sender.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

#[async_trait]
impl Source for Vec<u8> {
    async fn ready(&self, _range: Range<u64>) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = at.checked_add(buf.len()).and_then(|end| self.get(at..end));
        buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
