//! Reading all that is stored and comparing it: `/api/v1/verify`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::reference::Reference;

/// One scrub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyRun {
    /// Its number: each has one more than the one before.
    pub id: u64,
    /// Whether it has ended, and how.
    pub state: VerifyState,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// What has been read so far.
    pub read: VerifyCounts,
    /// What is not as it was stored.
    pub damage: Vec<VerifyDamage>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl VerifyRun {
    /// Whether damage is left.
    pub fn is_damaged(&self) -> bool {
        self.damage.iter().any(|damage| !damage.repaired)
    }
}

/// Whether a scrub has ended, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum VerifyState {
    /// It is at work.
    Running,
    /// It has read everything.
    Done,
    /// It could not go on: something could not be read now.
    Failed,
    /// It was asked to end, as the server ends.
    Cancelled,
}

/// What a scrub has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VerifyCounts {
    /// Recipes of layers.
    pub recipes: u64,
    /// Stored blocks.
    pub blocks: u64,
    /// Bytes of those.
    pub bytes: u64,
}

/// Damage of one layer, or of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyDamage {
    /// Its recipe, or the key of the record.
    pub recipe: String,
    /// Its digest; empty where the recipe itself cannot be read, and for other records than blobs'.
    pub layer: String,
    /// What is wrong: missing, cut short, another checksum, and where.
    pub what: String,
    /// Images that read through the damage. Some of them may not need the damaged bytes.
    pub touches: Vec<Reference>,
    /// Whether it was put right from another copy of the same layer.
    pub repaired: bool,
}
