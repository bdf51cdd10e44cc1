//! What storing costs, as numbers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What one ingest did. Sizes are bytes, pages are 4 KiB, times are microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IngestStats {
    /// Memory pages, by what was done with them.
    pub pages: PageStats,
    /// Other large members (a root filesystem's changes, say), by what was done with them.
    pub members: MemberStats,
    /// Bytes of the inner tar.
    pub logical_bytes: u64,
    /// Bytes that this ingest added to the store, its recipe included.
    pub stored_bytes: u64,
    /// Of the stored bytes: memory pages.
    pub stored_page_bytes: u64,
    /// Of the stored bytes: tar headers, small members and everything that is not pages.
    pub stored_other_bytes: u64,
    /// Time by stage.
    pub micros: StageMicros,
}

impl std::ops::AddAssign<&Self> for IngestStats {
    fn add_assign(&mut self, other: &Self) {
        let (pages, members, micros) = (&mut self.pages, &mut self.members, &mut self.micros);
        for (sum, more) in [
            (&mut pages.zero, other.pages.zero),
            (&mut pages.same, other.pages.same),
            (&mut pages.changed, other.pages.changed),
            (&mut pages.new, other.pages.new),
            (&mut pages.shared, other.pages.shared),
            (&mut members.zero, other.members.zero),
            (&mut members.found, other.members.found),
            (&mut members.new, other.members.new),
            (&mut self.logical_bytes, other.logical_bytes),
            (&mut self.stored_bytes, other.stored_bytes),
            (&mut self.stored_page_bytes, other.stored_page_bytes),
            (&mut self.stored_other_bytes, other.stored_other_bytes),
            (&mut micros.receive, other.micros.receive),
            (&mut micros.parse, other.micros.parse),
            (&mut micros.encode, other.micros.encode),
            (&mut micros.finish, other.micros.finish),
        ] {
            *sum += more;
        }
    }
}

/// What pushes did since the server started, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IngestTotals {
    /// Checkpoints that were stored.
    pub checkpoints: u64,
    /// The sums of what each of them did.
    pub stats: IngestStats,
}

/// Memory pages of a checkpoint, by what was done with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PageStats {
    /// All of nothing but zero bytes: not stored.
    pub zero: u64,
    /// Equal to the page at the same address in the base: not stored.
    pub same: u64,
    /// Stored as the difference to the page at the same address in the base.
    pub changed: u64,
    /// Stored whole.
    pub new: u64,
    /// Equal to pages of another lineage: not stored.
    pub shared: u64,
}

impl PageStats {
    /// All pages.
    pub fn total(&self) -> u64 {
        self.zero + self.same + self.changed + self.new + self.shared
    }
}

/// Bytes of large members that are no pages, by what was done with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberStats {
    /// Chunks of nothing but zeros: not stored.
    pub zero: u64,
    /// Chunks found in the checkpoint before: not stored.
    pub found: u64,
    /// Chunks that were stored.
    pub new: u64,
}

/// Time by stage of an ingest, in microseconds; stages overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StageMicros {
    /// From the first to the last byte received.
    pub receive: u64,
    /// Reading the archive's entries and the process images.
    pub parse: u64,
    /// Comparing, compressing and checking pages.
    pub encode: u64,
    /// From the last byte received to the acknowledgement.
    pub finish: u64,
}

/// What the index of pages that may be shared takes in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IndexStats {
    /// Pages in it: about one in 64 of those stored whole.
    pub entries: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

/// Answer of `GET /api/v1/stats`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreStats {
    /// Sum of the sizes of all checkpoints.
    pub logical_bytes: u64,
    /// Bytes that the store takes on its disk or in its bucket.
    pub stored_bytes: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Repositories with at least one manifest.
    pub repositories: u64,
    /// The index of pages that containers may share.
    #[serde(default)]
    pub index: IndexStats,
    /// What pushes did since the server started.
    #[serde(default)]
    pub ingested: IngestTotals,
    /// Version of the server.
    pub version: String,
}

/// A namespace, with its sums. Listed by `GET /api/v1/stats/namespaces`, sorted by name; those of
/// workloads are in `GET /api/v1/workloads`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceStats {
    /// Kubernetes namespace; `podman` for podman's containers.
    pub namespace: String,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Workloads, counted by container.
    pub workloads: u64,
    /// Bytes of all tars.
    pub logical_bytes: u64,
    /// Bytes that their pushes added.
    pub stored_bytes: u64,
}

/// Sums of the checkpoints that are here and were taken up to a time. Listed by
/// `GET /api/v1/stats/growth`, by time: what is here now, as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrowthPoint {
    /// When the newest of them was taken.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Bytes of all tars.
    pub logical_bytes: u64,
    /// Bytes that their pushes added.
    pub stored_bytes: u64,
}
