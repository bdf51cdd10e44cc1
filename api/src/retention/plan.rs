//! Runs of retention, and what they decide.

use jiff::Timestamp;
use oci_spec::image::Digest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Scope;
use crate::reference::Reference;
use crate::run::Run;

/// Body of `POST /api/v1/retention/runs`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct StartRetention {
    /// Only say what would go.
    pub dry_run: bool,
}

/// One run of retention. Its plan is at `/api/v1/retention/runs/{id}/plan` until the next one.
pub type RetentionRun = Run<RetentionResult>;

/// What a run did; after a dry run, what it would have done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetentionResult {
    /// ETag of the policies that it went by.
    pub policies: String,
    /// Checkpoints that it looked at.
    pub examined: u64,
    /// Those that stay.
    pub kept: u64,
    /// Those that it deleted.
    pub deleted: u64,
    /// Those that it was about to delete and let be: they were gone, pinned, or no longer chosen.
    pub spared: u64,
    /// Bytes of the tars that were deleted.
    pub logical_bytes: u64,
    /// Bytes of what is stored that nothing else needs: the next collection frees them.
    pub freeable_bytes: u64,
}

/// What is decided of one checkpoint. Listed by `GET /api/v1/retention/runs/{id}/plan`, sorted by
/// namespace, pod and container, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionDecision {
    /// Repository and digest.
    pub reference: Reference,
    /// Digest of the image's manifest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Kubernetes namespace; `podman` for podman's containers.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// When the checkpoint was taken.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Bytes of the tar.
    pub logical_bytes: u64,
    /// Bytes that its push added.
    pub stored_bytes: u64,
    /// Bytes that would go if it alone went.
    pub freeable_bytes: u64,
    /// Whether it stays.
    pub action: RetentionAction,
    /// The scope of the policy that governs it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Why, the decisive one first.
    pub reasons: Vec<RetentionReason>,
}

/// Whether a checkpoint stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetentionAction {
    /// It stays.
    Keep,
    /// It goes.
    Delete,
}

/// Why a checkpoint stays or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionReason {
    /// The rule, for programs.
    pub rule: RetentionRule,
    /// A sentence for people.
    pub text: String,
}

/// A rule that keeps a checkpoint or lets it go.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum RetentionRule {
    /// It is pinned: it stays.
    Pinned,
    /// No policy governs it: it stays.
    NoPolicy,
    /// Its policy has no `keep…` rule: it stays, unless a limit says otherwise.
    NoKeepRule,
    /// `keepLast`
    KeepLast,
    /// `keepWithin`
    KeepWithin,
    /// `keepHourly`
    KeepHourly,
    /// `keepDaily`
    KeepDaily,
    /// `keepWeekly`
    KeepWeekly,
    /// `minKeep`
    MinKeep,
    /// None of the `keep…` rules chooses it: it goes.
    NotChosen,
    /// `retainOrphan`
    RetainOrphan,
    /// `maxAge`
    MaxAge,
    /// `maxCheckpointSize`
    MaxCheckpointSize,
    /// `maxCount`
    MaxCount,
    /// `maxLogicalSize`
    MaxLogicalSize,
    /// `maxStoredSize`
    MaxStoredSize,
    /// It was about to go, but has changed meanwhile: it stays until the next run.
    Spared,
}
