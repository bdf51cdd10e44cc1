//! Compression and checksums of stored bytes.

use std::cell::RefCell;

use thiserror::Error;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};
use zstd::bulk::{Compressor, Decompressor};

use crate::buffer::Buffer;

/// Why stored bytes do not decode.
#[derive(Debug, Error)]
pub enum CodecError {
    /// They are not of the form that the format says.
    #[error("stored block is malformed")]
    Malformed,
    /// Larger than a block can be.
    #[error("block is too large")]
    TooLarge,
    /// The compressor or decompressor refuses them.
    #[error("zstd: {0}")]
    Zstd(#[from] std::io::Error),
}

thread_local! {
    // A context is several hundred kilobytes: made once a thread, not once a block.
    static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The checksum of stored and of decoded bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// The same, of bytes that come piece by piece.
#[derive(Clone, Default)]
pub struct Checksum(Xxh3);

impl Checksum {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes since the last one.
    pub fn take(&mut self) -> u64 {
        let checksum = self.0.digest();
        self.0.reset();
        checksum
    }
}

impl std::fmt::Debug for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Checksum").field(&self.0.digest()).finish()
    }
}

/// Appends `raw` to `out`, as a zstd frame if that is smaller, and returns how many bytes it took.
pub(crate) fn compress_into(
    raw: &[u8],
    level: i32,
    out: &mut Vec<u8>,
) -> Result<usize, CodecError> {
    let start = out.len();
    if raw.len() >= 32 {
        let frame = compress(raw, level)?;
        if frame.len() < raw.len() {
            out.extend_from_slice(&frame);
            return Ok(frame.len());
        }
    }
    out.extend_from_slice(raw);
    Ok(out.len() - start)
}

fn compress(raw: &[u8], level: i32) -> Result<Vec<u8>, CodecError> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(made, _)| *made != level) {
            *slot = Some((level, Compressor::new(level)?));
        }
        let (_, compressor) = slot.as_mut().ok_or(CodecError::TooLarge)?;
        Ok(compressor.compress(raw)?)
    })
}

/// The reverse of [`compress_into`]: `raw_len` says how many bytes come out.
pub(crate) fn decompress(stored: &[u8], raw_len: usize) -> Result<Buffer, CodecError> {
    let mut raw = Buffer::take(raw_len);
    decompress_into(stored, &mut raw)?;
    Ok(raw)
}

/// The same, into memory that is filled whole.
pub(crate) fn decompress_into(stored: &[u8], raw: &mut [u8]) -> Result<(), CodecError> {
    if stored.len() == raw.len() {
        raw.copy_from_slice(stored);
        return Ok(());
    }
    let len = DECOMPRESSOR.with_borrow_mut(|slot| -> Result<usize, CodecError> {
        if slot.is_none() {
            *slot = Some(Decompressor::new()?);
        }
        let decompressor = slot.as_mut().ok_or(CodecError::TooLarge)?;
        Ok(decompressor.decompress_to_buffer(stored, raw)?)
    })?;
    if len == raw.len() { Ok(()) } else { Err(CodecError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_shrink_is_kept_as_it_is() {
        let noise: Vec<u8> =
            (0..1000u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        for raw in [&b""[..], b"x", &[0; 5000], &noise] {
            let mut out = Vec::new();
            let stored = compress_into(raw, 3, &mut out).unwrap();
            assert_eq!(stored, out.len());
            assert!(stored <= raw.len());
            assert_eq!(&decompress(&out, raw.len()).unwrap()[..], raw);
        }
    }

    #[test]
    fn a_wrong_length_is_refused() {
        let mut out = Vec::new();
        compress_into(&[7; 4000], 3, &mut out).unwrap();
        assert!(decompress(&out, 3999).is_err());
        assert!(decompress(&out, 4001).is_err());
    }
}
