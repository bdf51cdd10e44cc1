//! How much of an archive is read, kept and believed.

/// Bounds on what an archive may make its reader do. The defaults fit any real checkpoint; tests use smaller ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries of the outer tar. containerd refuses to restore more than 100,000 too.
    pub max_entries: u64,
    /// Bytes of the outer tar, uncompressed, headers and padding included. containerd's own cap is 1 TiB.
    pub max_bytes: u64,
    /// Bytes of one path. Linux has no longer ones (`PATH_MAX`).
    pub max_path_bytes: usize,
    /// Bytes of all paths that are remembered to find duplicates, so that 100,000 names of 4 KiB are not kept.
    pub max_names_bytes: usize,
    /// Components of one path: what is done for every parent stays cheap.
    pub max_depth: usize,
    /// Bytes of one extension header (long name or pax records). Real ones hold a path and a few times.
    pub max_extension_bytes: u64,
    /// Bytes of zeros after the end marker. Tars are padded to 10 KiB, tapes to somewhat more.
    pub max_tail_bytes: u64,
    /// Bytes of one parsed member (`config.dump`, `spec.dump`, …), and of all of them. Real ones have some tens of KiB.
    pub max_metadata_bytes: u64,
    /// Bytes of one CRIU image that is kept for parsing; larger ones are only passed over.
    pub max_image_bytes: u64,
    /// Bytes of one `pagemap-*.img`: 64 MiB describe at least a million runs of pages.
    pub max_pagemap_bytes: u64,
    /// Bytes of all CRIU images kept for parsing. What does not fit is not kept, which is not an error.
    pub max_kept_bytes: u64,
    /// Entries of one inner tar (`rootfs-diff.tar`): all files that a container changed.
    pub max_inner_entries: u64,
    /// Bytes of one inner tar, uncompressed.
    pub max_inner_bytes: u64,
}

const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entries: 100_000,
            max_bytes: TIB,
            max_path_bytes: 4096,
            max_names_bytes: 16 << 20,
            max_depth: 128,
            max_extension_bytes: MIB,
            max_tail_bytes: MIB,
            max_metadata_bytes: 16 * MIB,
            max_image_bytes: 4 * MIB,
            max_pagemap_bytes: 64 * MIB,
            max_kept_bytes: 64 * MIB,
            max_inner_entries: 1_000_000,
            max_inner_bytes: TIB,
        }
    }
}

impl Limits {
    /// The same for a tar inside the tar.
    pub(crate) fn inner(&self) -> Self {
        Self {
            max_entries: self.max_inner_entries,
            max_bytes: self.max_inner_bytes,
            max_names_bytes: self.max_names_bytes.saturating_mul(4),
            ..self.clone()
        }
    }
}
