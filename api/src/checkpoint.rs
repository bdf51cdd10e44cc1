//! Checkpoints, as the API shows them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use oci_spec::image::Digest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::contents::ArchiveMember;
use crate::reference::Reference;
use crate::restore::RestoreNeeds;
use crate::stats::{IngestStats, PageStats};

/// Answer to a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pushed {
    /// Where it is: repository and tag.
    pub reference: Reference,
    /// Digest of the image's manifest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Digest of its only layer: sha256 of the inner tar.
    #[schema(value_type = String)]
    pub layer_digest: Digest,
    /// Bytes of the inner tar.
    pub logical_bytes: u64,
    /// Bytes that this push added to the store.
    pub stored_bytes: u64,
    /// False if the same checkpoint was there already: nothing has changed.
    pub created: bool,
    /// What it was stored against, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub base: Option<Digest>,
    /// How it was stored.
    pub stats: IngestStats,
}

/// A checkpoint, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// Repository and tag; with the digest where no tag points to it.
    pub reference: Reference,
    /// Digest of the image's manifest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Digest of its layer: as pushed, so of the compressed tar where it came compressed over OCI.
    #[schema(value_type = String)]
    pub layer_digest: Digest,
    /// Kubernetes namespace; `podman` for podman's containers.
    pub namespace: String,
    /// Name of the pod; of the container, where there is no pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// Kubernetes uid of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Workload that the pusher named. Where none is, the pod counts as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Node that the pusher named, or that CRIU's log does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `containerd`, `cri-o` or `podman`.
    pub engine: String,
    /// OCI runtime.
    pub runtime: String,
    /// Image of the container.
    pub image: String,
    /// Its digest, where the archive tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Architecture, as Go names it.
    pub architecture: String,
    /// When the checkpoint was taken.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was pushed.
    #[schema(value_type = String, format = DateTime)]
    pub pushed_at: Timestamp,
    /// Bytes of the tar, uncompressed.
    pub logical_bytes: u64,
    /// Bytes that its push added.
    pub stored_bytes: u64,
    /// Manifest digest of the checkpoint that it was stored against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub base: Option<Digest>,
    /// Its memory pages, by what was done with them when it was stored: `changed` and `new` are what
    /// the container wrote since `base`. Absent where it is kept as it came, over OCI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<PageStats>,
    /// How it came here.
    #[serde(default)]
    pub origin: Origin,
    /// True if it must not go: neither a DELETE nor retention removes it.
    pub pinned: bool,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// How a checkpoint came here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// As a tar, over `/api/v1`.
    #[default]
    Push,
    /// As an image, over `/v2/`.
    Oci,
}

/// Why a checkpoint is pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// What whoever pinned it said.
    pub reason: String,
    /// When that was.
    #[schema(value_type = String, format = DateTime)]
    pub pinned_at: Timestamp,
}

/// Body of `PUT /api/v1/checkpoints/{reference}/pin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PinRequest {
    /// Why it must stay, for whoever would like to delete it: 1 to 253 bytes, without control
    /// characters.
    pub reason: String,
}

/// Body of `PATCH /api/v1/checkpoints/{reference}/labels`: labels to set; with null, to take away.
/// Those that are not named stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct LabelChanges(pub BTreeMap<String, Option<String>>);

/// What a list of checkpoints is narrowed to; empty is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckpointFilter {
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Name of the pod.
    pub pod: Option<String>,
    /// Name of the container.
    pub container: Option<String>,
    /// Name of the workload: the one that the pusher named, else that of the pod.
    pub workload: Option<String>,
    /// Name of the node.
    pub node: Option<String>,
    /// Image of the container, or its digest.
    pub image: Option<String>,
    /// Name of the repository.
    pub repository: Option<String>,
    /// Labels that must be there with these values.
    pub labels: BTreeMap<String, String>,
    /// Only pinned ones, or only others.
    pub pinned: Option<bool>,
    /// Taken at this time or later.
    pub since: Option<Timestamp>,
    /// Taken before this time.
    pub until: Option<Timestamp>,
}

/// In what order checkpoints are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckpointOrder {
    /// By what.
    pub by: SortKey,
    /// Oldest or smallest first.
    pub ascending: bool,
}

/// What checkpoints are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SortKey {
    /// The time when they were taken.
    #[default]
    Time,
    /// The bytes of their tars.
    Size,
    /// The bytes that their pushes added.
    Stored,
}

impl SortKey {
    /// The word for it in a query.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Size => "size",
            Self::Stored => "stored",
        }
    }
}

/// A checkpoint with what is known of it; what its processes had is asked for by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointDetail {
    /// What lists show.
    #[serde(flatten)]
    pub summary: Checkpoint,
    /// Tags that point to it.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Why it is pinned, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// Identifier of the container: 64 hexadecimal digits.
    pub container_id: String,
    /// Version of the CRIU that dumped, where its log is in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criu: Option<String>,
    /// Release of the node's kernel, where CRIU's log is in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Processes.
    pub process_count: u64,
    /// Their threads, together.
    pub thread_count: u64,
    /// Bytes of memory in it.
    pub memory_bytes: u64,
    /// How it was stored.
    pub stats: IngestStats,
    /// What it takes to restore it.
    pub restore: RestoreNeeds,
    /// What is in the archive: members and their sizes.
    pub members: Vec<ArchiveMember>,
    /// Things that the reader of the archive or of the images did not understand or found odd.
    pub warnings: Vec<String>,
}
