//! Where a tar comes from.

use std::io::{self, Read};

/// A stream of which parts can be passed over, without reading them if the input allows it.
pub trait Source: Read {
    /// Passes over exactly `bytes` bytes. Fewer left is [`io::ErrorKind::UnexpectedEof`], also when seeking would allow it.
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
}

impl<S: Source + ?Sized> Source for &mut S {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        (**self).skip(bytes)
    }
}

/// Any reader as a [`Source`]: reads what is passed over, and drops it.
#[derive(Debug)]
pub struct Streamed<R>(pub R);

impl<R: Read> Read for Streamed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl<R: Read> Source for Streamed<R> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let mut part = (&mut self.0).take(bytes);
        match io::copy(&mut part, &mut io::sink())? {
            read if read == bytes => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Reads until `buf` is full or the input ends; returns how much there was.
pub(crate) fn read_full<R: Read + ?Sized>(source: &mut R, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
