//! What is kept and what is let go of: `/api/v1/retention`.
//!
//! A policy governs the checkpoints of its scope that no narrower policy governs, and of each says
//! in this order:
//!
//! 1. The `keep…` rules choose, in each *history* (the checkpoints of one container of one workload
//!    or pod, newest first), as `restic forget` does. What none of them chooses goes. A policy
//!    without any chooses all. Copies in several repositories count once, and stay or go together.
//! 2. `retainOrphan: false`, `maxAge` and `maxCheckpointSize` take away one by one.
//! 3. The limits take away the oldest of what is left until the rest fits: `perContainer`, `perPod`,
//!    `perNamespace`, then those of the policy itself, over all that it governs. Pinned checkpoints
//!    count, and never go.
//! 4. `minKeep`: the newest of each history stay, whatever was said before.
//!
//! What no policy governs stays. Days and weeks (of ISO 8601) are those of UTC.
//!
//! | checkpoint-restore-operator | here |
//! |---|---|
//! | `globalPolicy` | a policy whose `scope` is empty |
//! | `…PerNamespace`, `…PerPod`, `…PerContainer` | `perNamespace`, `perPod`, `perContainer` |
//! | `namespacePolicies`, `podPolicies`, `containerPolicies` | policies whose `scope` names a namespace, a pod of it, a container of that |
//! | `maxCheckpoints` | `maxCount` |
//! | `maxCheckpointSize` (MB) | `maxCheckpointSize` |
//! | `maxTotalSize` (MB) | `maxLogicalSize` |
//! | `retainOrphan` | `retainOrphan` |
//! | a `.keep` file | a pin |

mod check;
mod period;
mod plan;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

pub use check::InvalidRetention;
pub use period::{InvalidPeriod, Period};
pub use plan::{
    RetentionAction, RetentionDecision, RetentionReason, RetentionResult, RetentionRule,
    RetentionRun, StartRetention,
};

use crate::size::ByteSize;

/// Label of checkpoints whose pod and workload are gone; its value is `true`. Whoever watches the
/// cluster sets it.
pub const ORPHAN_LABEL: &str = "pagevault.io/orphan";

/// Policies and quotas: body of `GET` and `PUT /api/v1/retention/policies`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// What is kept. Of each scope there is one at most.
    pub policies: Vec<Policy>,
    /// What a namespace may take. Of each namespace there is one at most.
    pub quotas: Vec<Quota>,
}

/// What of a scope is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Policy {
    /// What it governs.
    pub scope: Scope,
    /// The newest so many of each history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// Those that are younger than this, seen from the newest of their history that is not of the
    /// future.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub keep_within: Option<Period>,
    /// The newest of each of the last so many hours in which there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_hourly: Option<u32>,
    /// The newest of each of the last so many days in which there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_daily: Option<u32>,
    /// The newest of each of the last so many weeks in which there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_weekly: Option<u32>,
    /// The newest so many of each history, whatever else is said here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_keep: Option<u32>,
    /// Whether checkpoints with the label [`ORPHAN_LABEL`] are kept like others. Default true.
    pub retain_orphan: bool,
    /// Those that were taken longer ago go.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub max_age: Option<Period>,
    /// Those whose tar is larger go; in bytes.
    #[serde(deserialize_with = "size", skip_serializing_if = "Option::is_none")]
    pub max_checkpoint_size: Option<u64>,
    /// Number of all that it governs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
    /// Bytes of their tars, together.
    #[serde(deserialize_with = "size", skip_serializing_if = "Option::is_none")]
    pub max_logical_size: Option<u64>,
    /// Bytes of what is stored of them, each object counted once.
    #[serde(deserialize_with = "size", skip_serializing_if = "Option::is_none")]
    pub max_stored_size: Option<u64>,
    /// Limits of each namespace.
    #[serde(skip_serializing_if = "Limits::is_none")]
    pub per_namespace: Limits,
    /// Limits of each pod.
    #[serde(skip_serializing_if = "Limits::is_none")]
    pub per_pod: Limits,
    /// Limits of each container of a pod.
    #[serde(skip_serializing_if = "Limits::is_none")]
    pub per_container: Limits,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            scope: Scope::default(),
            keep_last: None,
            keep_within: None,
            keep_hourly: None,
            keep_daily: None,
            keep_weekly: None,
            min_keep: None,
            retain_orphan: true,
            max_age: None,
            max_checkpoint_size: None,
            max_count: None,
            max_logical_size: None,
            max_stored_size: None,
            per_namespace: Limits::default(),
            per_pod: Limits::default(),
            per_container: Limits::default(),
        }
    }
}

impl Policy {
    /// Its limits over all that it governs.
    pub fn whole(&self) -> Limits {
        Limits {
            max_count: self.max_count,
            max_logical_size: self.max_logical_size,
            max_stored_size: self.max_stored_size,
        }
    }
}

/// What a policy governs: everything, unless it names a namespace, and in it a pod, a container, or a
/// container of one pod. The narrowest policy that fits a checkpoint governs it, and no other:
/// container before pod before namespace.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Scope {
    /// Kubernetes namespace; `podman` for podman's containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Name of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// What a group of checkpoints may come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Their number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
    /// Bytes of their tars, together.
    #[serde(deserialize_with = "size", skip_serializing_if = "Option::is_none")]
    pub max_logical_size: Option<u64>,
    /// Bytes of what is stored of them, each object counted once.
    #[serde(deserialize_with = "size", skip_serializing_if = "Option::is_none")]
    pub max_stored_size: Option<u64>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What a namespace may take: a push that would exceed it is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// Kubernetes namespace; `podman` for podman's containers.
    pub namespace: String,
    /// Number of its checkpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
    /// Bytes of their tars, together.
    #[serde(default, deserialize_with = "size", skip_serializing_if = "Option::is_none")]
    pub max_logical_size: Option<u64>,
    /// Bytes of what is stored of them, each object counted once.
    #[serde(default, deserialize_with = "size", skip_serializing_if = "Option::is_none")]
    pub max_stored_size: Option<u64>,
}

/// A number of bytes, or a text such as `10GiB`.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<ByteSize>::deserialize(deserializer)?.map(|size| size.0))
}
