//! Content that can be made again from a number, and that no other number gives.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Random numbers (xorshift64*): quick, and the same from the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Spread, so that neighbouring seeds have nothing in common; and never zero.
        let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((state ^ state >> 27) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A place in something of that length.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("less than a usize")
    }
}

/// Bytes that do not compress.
pub(crate) fn bytes(seed: u64, len: usize) -> Bytes {
    let mut random = Random::new(seed);
    let mut all = Vec::with_capacity(len + 8);
    while all.len() < len {
        all.extend_from_slice(&random.next().to_le_bytes());
    }
    all.truncate(len);
    all.into()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// An image of one layer: the manifest's bytes.
pub(crate) fn manifest(config: &Blob, layer: &Blob) -> Bytes {
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.digest, "size": config.bytes,
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer.digest, "size": layer.bytes,
        }],
    });
    manifest.to_string().into()
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What is known of a blob.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) digest: String,
    pub(crate) bytes: usize,
}

impl Blob {
    pub(crate) fn of(content: &[u8]) -> Self {
        Self { digest: digest(content), bytes: content.len() }
    }
}
