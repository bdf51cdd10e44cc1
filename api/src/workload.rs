//! Workloads: whose checkpoints make a history.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::checkpoint::Checkpoint;

/// A container of a workload, with its checkpoints. Listed by `GET /api/v1/workloads`, the one with
/// the newest checkpoint first; its checkpoints are
/// `GET /api/v1/checkpoints?namespace=&workload=&container=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Kubernetes namespace; `podman` for podman's containers.
    pub namespace: String,
    /// Name of the workload: the one that the pusher named, else that of the pod.
    pub name: String,
    /// Name of the container.
    pub container: String,
    /// Number of its checkpoints.
    pub checkpoints: u64,
    /// Bytes of all their tars.
    pub logical_bytes: u64,
    /// Bytes that their pushes added.
    pub stored_bytes: u64,
    /// When the oldest was taken.
    #[schema(value_type = String, format = DateTime)]
    pub oldest_at: Timestamp,
    /// The newest.
    pub latest: Checkpoint,
}

/// What a list of workloads is narrowed to; empty is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkloadFilter {
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Name of the workload.
    pub name: Option<String>,
    /// Name of the container.
    pub container: Option<String>,
    /// A part of one of the three or of the name of one of its pods, upper or lower case.
    pub search: Option<String>,
}
