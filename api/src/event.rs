//! What happens, as it happens: `GET /api/v1/events`, a stream of server-sent events.
//!
//! Each has `id: NUMBER`, `event: TYPE` and `data: JSON` (an [`Event`]). The stream begins now, or
//! after `Last-Event-ID` as far as the server remembers; whoever was too slow, or asks for more than
//! is remembered, gets an event of type `lost`, and should look at everything again. The numbers
//! begin anew with the server.

use jiff::Timestamp;
use oci_spec::image::Digest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::checkpoint::Checkpoint;
use crate::gc::GcResult;
use crate::reference::Reference;
use crate::retention::RetentionResult;
use crate::run::Run;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its number, counted since the server started.
    pub id: u64,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What it is.
    #[serde(flatten)]
    pub what: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum EventKind {
    /// A checkpoint is new, or more is known of one that came over OCI.
    CheckpointPushed {
        /// The checkpoint.
        checkpoint: Box<Checkpoint>,
    },
    /// Its pin or its labels have changed.
    CheckpointChanged {
        /// The checkpoint as it is now.
        checkpoint: Box<Checkpoint>,
    },
    /// A checkpoint, or another image, was deleted, by whomever: a client, a retention policy.
    CheckpointDeleted {
        /// Where it was.
        reference: Reference,
        /// Digest of its manifest.
        #[schema(value_type = String)]
        digest: Digest,
    },
    /// A collection has begun.
    GcStarted {
        /// The collection.
        run: Box<Run<GcResult>>,
    },
    /// A collection has ended.
    GcFinished {
        /// The collection, with its result.
        run: Box<Run<GcResult>>,
    },
    /// A run of retention has begun.
    RetentionStarted {
        /// The run.
        run: Box<Run<RetentionResult>>,
    },
    /// A run of retention has ended.
    RetentionFinished {
        /// The run, with its result.
        run: Box<Run<RetentionResult>>,
    },
    /// Events were lost: look at everything again.
    Lost,
}

impl EventKind {
    /// The `event:` field of the stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CheckpointPushed { .. } => "checkpoint-pushed",
            Self::CheckpointChanged { .. } => "checkpoint-changed",
            Self::CheckpointDeleted { .. } => "checkpoint-deleted",
            Self::GcStarted { .. } => "gc-started",
            Self::GcFinished { .. } => "gc-finished",
            Self::RetentionStarted { .. } => "retention-started",
            Self::RetentionFinished { .. } => "retention-finished",
            Self::Lost => "lost",
        }
    }
}
