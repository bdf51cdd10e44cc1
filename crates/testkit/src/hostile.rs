//! Archives that must be refused, each for one reason.

use std::io::Write as _;

use crate::hostile_metadata::metadata_cases;
use crate::hostile_readers::reader_cases;
use crate::hostile_rootfs::rootfs_cases;
use crate::hostile_tar::tar_cases;
use crate::tarball::{Flavour, Tarball};

/// An archive, and what its refusal must say.
#[derive(Clone, Debug)]
pub struct HostileCase {
    /// What is wrong, for messages of tests; no two are the same.
    pub name: &'static str,
    /// The archive.
    pub bytes: Vec<u8>,
    /// A part of the error's text.
    pub expect: &'static str,
}

/// All that the reader of archives refuses. None needs limits other than the default ones, and none is larger than some MiB.
#[must_use]
pub fn hostile_cases() -> Vec<HostileCase> {
    [outer_cases(), tar_cases(), reader_cases(), metadata_cases(), rootfs_cases()].concat()
}

pub(crate) fn case(name: &'static str, bytes: Vec<u8>, expect: &'static str) -> HostileCase {
    HostileCase { name, bytes, expect }
}

/// A valid archive to spoil.
pub(crate) fn valid() -> Tarball {
    Tarball::new(Flavour::Containerd)
}

/// gzip of some bytes.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory does not fail; if it did, the test that uses this would.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// zstd of some bytes.
#[must_use]
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap_or_default()
}

fn outer_cases() -> Vec<HostileCase> {
    let tar = valid().build();
    let (gzipped, zstded) = (gzip(&tar), zstd(&tar));
    // A frame header that asks for a window of 2 GiB, then a last raw block of one byte.
    let wide = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x09, 0x00, 0x00, b'x'].to_vec();
    let zeros = vec![0; 3 << 20];
    vec![
        case("empty input", Vec::new(), "truncated"),
        case("text", b"hello, this is not an archive\n".repeat(40), "not a tar archive"),
        case("one byte", b"x".to_vec(), "truncated"),
        case("gzip cut", cut(&gzipped, 20), "gzip stream ends too early"),
        case("gzip header only", gzipped[..10].to_vec(), "gzip stream ends too early"),
        case("gzip flipped", flip(&gzipped, gzipped.len() - 6), "gzip stream is corrupt"),
        case("gzip then junk", [&gzipped[..], b"junk"].concat(), "gzip stream"),
        case("zstd cut", cut(&zstded, 20), "zstd stream ends too early"),
        case("zstd flipped", flip(&zstded, 5), "zstd stream"),
        case("zstd then junk", [&zstded[..], b"junkjunk"].concat(), "zstd stream is corrupt"),
        case("zstd with a huge window", wide, "zstd stream is corrupt"),
        case("zstd of zeros", zstd(&zeros), "bytes of zeros after the end marker"),
        case("gzip of zeros", gzip(&zeros), "bytes of zeros after the end marker"),
    ]
}

/// All but the last `bytes`.
pub(crate) fn cut(bytes: &[u8], less: usize) -> Vec<u8> {
    bytes[..bytes.len().saturating_sub(less)].to_vec()
}

/// With one byte inverted.
pub(crate) fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte = !*byte;
    }
    bytes
}
