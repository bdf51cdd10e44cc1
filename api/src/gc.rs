//! Collection of what nothing needs any more: `/api/v1/gc`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::run::Run;
pub use crate::run::{RunProgress as GcProgress, RunState as GcState, RunTrigger as GcTrigger};

/// Body of `POST /api/v1/gc`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct StartGc {
    /// Only say what would go.
    pub dry_run: bool,
}

/// One collection.
pub type GcRun = Run<GcResult>;

/// What a collection did; after a dry run, what it would have done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GcResult {
    /// Bytes that were freed.
    pub freed_bytes: u64,
    /// What was removed.
    pub freed: GcCounts,
    /// What was looked at.
    pub examined: GcCounts,
    /// What stays though no record names it.
    pub kept: GcKept,
    /// Layers that were stored anew, without what only they needed of deleted ones.
    pub rebased: GcRewritten,
    /// Objects of which little was used, and that was stored anew. A dry run does not look for them.
    pub repacked: GcRewritten,
    /// Microseconds that it took to go through the records.
    pub records_micros: u64,
    /// Microseconds that it took to find out what is needed.
    pub mark_micros: u64,
    /// Microseconds that it took to remove the rest.
    pub sweep_micros: u64,
    /// Microseconds that it took to store things anew.
    pub upkeep_micros: u64,
}

/// What was stored anew so that more can go; after a dry run, what that is expected to come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GcRewritten {
    /// How many.
    pub number: u64,
    /// Bytes that were written for it.
    pub written_bytes: u64,
    /// Bytes that the next collection frees because of it.
    pub frees_bytes: u64,
}

/// Numbers of things of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GcCounts {
    /// Manifests; where they are freed, those whose push had died before anybody saw them.
    pub manifests: u64,
    /// Blobs of repositories.
    pub blobs: u64,
    /// Promises that a blob stays for a while.
    pub promises: u64,
    /// Recipes of layers.
    pub recipes: u64,
    /// Data objects.
    pub data_objects: u64,
}

/// What stays though no record names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GcKept {
    /// Layers that pushes are at work on, or may be.
    pub unfinished: u64,
    /// Things that were named again after they had been condemned.
    pub condemned: u64,
    /// Layers of checkpoints that were deleted, on which later ones stand.
    pub buried: u64,
    /// Bytes that only those need.
    pub buried_bytes: u64,
    /// The largest of those.
    pub largest_buried: Vec<GcBuried>,
}

/// A layer that is kept only because later ones stand on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcBuried {
    /// Its recipe.
    pub recipe: String,
    /// Bytes that would go with it.
    pub bytes: u64,
    /// Layers that stand on it directly.
    pub above: u64,
}

/// Answer of `GET /api/v1/gc/explain`: why something is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcExplanation {
    /// What was asked about: a digest, or the name of a recipe or a data object.
    pub subject: String,
    /// Whether a collection now would let anything of it stay.
    pub kept: bool,
    /// All that is stored of it.
    pub items: Vec<GcItem>,
}

/// Something that is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcItem {
    /// What it is.
    pub kind: GcItemKind,
    /// Its name.
    pub name: String,
    /// Whether a collection now would let it stay.
    pub kept: bool,
    /// Its size, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why, a sentence each; or why not.
    pub because: Vec<String>,
}

/// What something that is stored is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum GcItemKind {
    /// A manifest of a repository.
    Manifest,
    /// A blob of a repository.
    Blob,
    /// A recipe: how a layer is put together.
    Recipe,
    /// A data object.
    DataObject,
}
