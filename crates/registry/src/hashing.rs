//! What is computed over an upload as it arrives.

use pagevault_api::Digest;
use pagevault_pagestore::Checksum;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

use crate::{Result, parse_digest};

/// Segments of a file that is stored as it is.
const SEGMENT: usize = 1 << 20;

/// How content is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DigestAlgorithm {
    /// What everybody uses.
    #[default]
    Sha256,
    /// The other one that the specification knows.
    Sha512,
}

impl DigestAlgorithm {
    /// The algorithm of that name, if it is known here.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The algorithm of a digest, if it is known here.
    pub fn of(digest: &Digest) -> Option<Self> {
        Self::named(digest.algorithm().as_ref())
    }

    /// The digest of bytes.
    pub(crate) fn digest(self, bytes: &[u8]) -> Result<Digest> {
        let mut hash = Hash::new(self);
        hash.update(bytes);
        parse_digest(&hash.name())
    }
}

/// One hash, computed piece by piece.
#[derive(Debug, Clone)]
enum Hash {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hash {
    fn new(algorithm: DigestAlgorithm) -> Self {
        match algorithm {
            DigestAlgorithm::Sha256 => Self::Sha256(Sha256::new()),
            DigestAlgorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest as it is written.
    fn name(self) -> String {
        match self {
            Self::Sha256(hash) => format!("sha256:{}", hex::encode(hash.finalize())),
            Self::Sha512(hash) => format!("sha512:{}", hex::encode(hash.finalize())),
        }
    }
}

/// The digest of a stream, by one algorithm, and the page store's checksum of each MiB of it.
#[derive(Debug)]
pub(crate) struct StreamHash {
    hash: Hash,
    checksum: Checksum,
    /// Bytes of the segment that is under way.
    segment: usize,
    checksums: Vec<u64>,
}

impl Default for StreamHash {
    fn default() -> Self {
        Self::new(DigestAlgorithm::default())
    }
}

impl StreamHash {
    pub(crate) fn new(algorithm: DigestAlgorithm) -> Self {
        let (hash, checksum) = (Hash::new(algorithm), Checksum::default());
        Self { hash, checksum, segment: 0, checksums: Vec::new() }
    }

    pub(crate) fn algorithm(&self) -> DigestAlgorithm {
        match self.hash {
            Hash::Sha256(_) => DigestAlgorithm::Sha256,
            Hash::Sha512(_) => DigestAlgorithm::Sha512,
        }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.hash.update(bytes);
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(SEGMENT - self.segment));
            self.checksum.update(now);
            self.segment += now.len();
            if self.segment == SEGMENT {
                self.checksums.push(self.checksum.take());
                self.segment = 0;
            }
            bytes = rest;
        }
    }

    /// The digest so far in hex, for those who know the algorithm: checkpoints are named by sha256.
    pub(crate) fn sha256(&self) -> String {
        let name = self.hash.clone().name();
        name.split_once(':').map_or_else(String::new, |(_, hex)| hex.to_owned())
    }

    /// The digest so far.
    pub(crate) fn digest(&self) -> Result<Digest> {
        parse_digest(&self.hash.clone().name())
    }

    /// The checksums of all segments, the last one short.
    pub(crate) fn into_checksums(mut self) -> Vec<u64> {
        if self.segment > 0 {
            self.checksums.push(self.checksum.take());
        }
        self.checksums
    }
}

#[cfg(test)]
mod tests {
    use pagevault_pagestore::PageStore;

    use super::*;

    #[test]
    fn pieces_do_not_matter() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i >> 3).to_le_bytes()[0]).collect();
        for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
            let mut whole = StreamHash::new(algorithm);
            whole.update(&bytes);
            let mut parts = StreamHash::new(algorithm);
            bytes.chunks(77_777).for_each(|chunk| parts.update(chunk));
            assert_eq!(whole.digest().unwrap(), parts.digest().unwrap());
            assert_eq!(whole.digest().unwrap(), algorithm.digest(&bytes).unwrap());
            assert_eq!(DigestAlgorithm::of(&whole.digest().unwrap()), Some(algorithm));
            let expected: Vec<u64> = bytes.chunks(SEGMENT).map(PageStore::checksum).collect();
            assert_eq!(whole.into_checksums(), expected);
            assert_eq!(parts.into_checksums(), expected);
        }
    }
}
