//! Collection of what nothing needs any more: `/api/v1/gc`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Body of `POST /api/v1/gc`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct StartGc {
    /// Only say what would go.
    pub dry_run: bool,
}

/// One collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcRun {
    /// Its number, counted since the server started.
    pub id: u64,
    /// Whether it only says what would go.
    pub dry_run: bool,
    /// Why it was started.
    pub trigger: GcTrigger,
    /// Whether it has ended, and how.
    pub state: GcState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// How far it is, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<GcProgress>,
    /// What it did, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<GcResult>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a collection was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GcTrigger {
    /// Its time had come.
    Schedule,
    /// Somebody asked for it.
    Request,
}

/// Whether a collection has ended, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GcState {
    /// It is at work.
    Running,
    /// It has come to its end.
    Done,
    /// It could not go on. Nothing has to be undone.
    Failed,
    /// It was asked to end. Nothing has to be undone.
    Cancelled,
}

/// How far a collection is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcProgress {
    /// What it is doing: `begin`, `records`, `recipes`, `data`, `condemn` or `remove`.
    pub phase: String,
    /// Steps of that which are done.
    pub done: u64,
    /// All of them, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// What a collection did; after a dry run, what it would have done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Microseconds that it took to go through the records.
    pub records_micros: u64,
    /// Microseconds that it took to find out what is needed.
    pub mark_micros: u64,
    /// Microseconds that it took to remove the rest.
    pub sweep_micros: u64,
}

/// Numbers of things of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
