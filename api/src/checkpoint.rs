//! Checkpoints, as the API shows them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use oci_spec::image::Digest;
use serde::{Deserialize, Serialize};

use crate::reference::Reference;
use crate::stats::IngestStats;

/// Answer to a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pushed {
    /// Where it is: repository and tag.
    pub reference: Reference,
    /// Digest of the image's manifest.
    pub digest: Digest,
    /// Digest of its only layer: sha256 of the inner tar.
    pub layer_digest: Digest,
    /// Bytes of the inner tar.
    pub logical_bytes: u64,
    /// Bytes that this push added to the store.
    pub stored_bytes: u64,
    /// False if the same checkpoint was there already: nothing has changed.
    pub created: bool,
    /// What it was stored against, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// How it was stored.
    pub stats: IngestStats,
}

/// A checkpoint, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// Repository and tag.
    pub reference: Reference,
    /// Digest of the image's manifest.
    pub digest: Digest,
    /// Digest of its only layer.
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
    /// Workload that the pusher named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Node that the pusher named.
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
    pub created_at: Timestamp,
    /// When it was pushed.
    pub pushed_at: Timestamp,
    /// Bytes of the inner tar.
    pub logical_bytes: u64,
    /// Bytes that its push added.
    pub stored_bytes: u64,
    /// Manifest digest of the checkpoint that it was stored against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// Never collected nor deleted while set.
    pub pinned: bool,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What a list of checkpoints is narrowed to; empty is all.
#[derive(Debug, Clone, Default)]
pub struct CheckpointFilter {
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Name of the pod.
    pub pod: Option<String>,
    /// Name of the container.
    pub container: Option<String>,
    /// Name of the workload.
    pub workload: Option<String>,
    /// Name of the repository.
    pub repository: Option<String>,
    /// Labels that must be there with these values.
    pub labels: BTreeMap<String, String>,
}

/// A checkpoint with all that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointDetail {
    /// What lists show.
    #[serde(flatten)]
    pub summary: Checkpoint,
    /// How it was stored.
    pub stats: IngestStats,
    /// What is in the archive: members and their sizes.
    pub members: Vec<ArchiveMember>,
    /// Processes, memory areas, open files: the report of the CRIU images.
    pub processes: serde_json::Value,
    /// Things that the reader of the archive or of the images did not understand or found odd.
    pub warnings: Vec<String>,
}

/// A member of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveMember {
    /// Path in the archive.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
}
