//! What is computed over an upload as it arrives.

use pagevault_pagestore::PageStore;
use sha2::{Digest as _, Sha256};

/// Segments of a file that is stored as it is.
const SEGMENT: usize = 1 << 20;

/// sha256 of a stream, and the page store's checksum of each MiB of it.
#[derive(Debug, Default)]
pub(crate) struct StreamHash {
    sha256: Sha256,
    segment: Vec<u8>,
    checksums: Vec<u64>,
}

impl StreamHash {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.sha256.update(bytes);
        while !bytes.is_empty() {
            if self.segment.is_empty() && bytes.len() >= SEGMENT {
                self.checksums.push(PageStore::checksum(&bytes[..SEGMENT]));
                bytes = &bytes[SEGMENT..];
                continue;
            }
            let take = bytes.len().min(SEGMENT - self.segment.len());
            self.segment.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.segment.len() == SEGMENT {
                self.checksums.push(PageStore::checksum(&self.segment));
                self.segment.clear();
            }
        }
    }

    /// The sha256 so far, in hex.
    pub(crate) fn sha256(&self) -> String {
        hex::encode(self.sha256.clone().finalize())
    }

    /// The checksums of all segments, the last one short.
    pub(crate) fn into_checksums(mut self) -> Vec<u64> {
        if !self.segment.is_empty() {
            self.checksums.push(PageStore::checksum(&self.segment));
        }
        self.checksums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_matter() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i >> 3).to_le_bytes()[0]).collect();
        let mut whole = StreamHash::default();
        whole.update(&bytes);
        let mut parts = StreamHash::default();
        bytes.chunks(77_777).for_each(|chunk| parts.update(chunk));
        assert_eq!(whole.sha256(), parts.sha256());
        let expected: Vec<u64> = bytes.chunks(SEGMENT).map(PageStore::checksum).collect();
        assert_eq!(whole.into_checksums(), expected);
        assert_eq!(parts.into_checksums(), expected);
    }
}
