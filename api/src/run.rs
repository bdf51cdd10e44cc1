//! Work that goes on by itself after the request that began it: collection, retention.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One run; `R` is what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run<R> {
    /// Its number: each has one more than the one before.
    pub id: u64,
    /// Whether it only says what would go.
    pub dry_run: bool,
    /// Why it was started.
    pub trigger: RunTrigger,
    /// Whether it has ended, and how.
    pub state: RunState,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// How far it is, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<RunProgress>,
    /// What it did, once it is done.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub result: Option<R>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

fn none<R>() -> Option<R> {
    None
}

/// Why a run was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RunTrigger {
    /// Its time had come.
    Schedule,
    /// Somebody asked for it.
    Request,
}

/// Whether a run has ended, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// It is at work.
    Running,
    /// It has come to its end.
    Done,
    /// It could not go on. Nothing has to be undone.
    Failed,
    /// It was asked to end. Nothing has to be undone.
    Cancelled,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunProgress {
    /// What it is doing: `begin`, `records`, `recipes`, `data`, `condemn`, `remove`, `rebase` or
    /// `repack`.
    pub phase: String,
    /// Steps of that which are done.
    pub done: u64,
    /// All of them, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}
