//! Resumable uploads of a checkpoint.
//!
//! `POST /api/v1/uploads` (body [`NewUpload`]) opens one; `PATCH /api/v1/uploads/{id}` with header
//! `Upload-Offset` appends; `GET` tells what has arrived, also after the server was restarted;
//! `POST /api/v1/uploads/{id}/commit` (body [`CommitUpload`]) ends it and answers
//! [`Pushed`](crate::checkpoint::Pushed), again and again if asked again.
//! `POST /api/v1/checkpoints` is all of that in one request.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::checkpoint::Pushed;
use crate::reference::Reference;

/// Labels of one checkpoint, at most.
pub const LABELS_MAX: usize = 64;
/// Bytes of a workload, a node, a label's key or value, at most.
pub const TEXT_BYTES_MAX: usize = 253;
/// Bytes of a hint, at most, as it is sent.
pub const HINT_BYTES_MAX: usize = 16 << 20;

/// Why what a push says is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOptions(String);

impl fmt::Display for InvalidOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidOptions {}

/// What a push may say about the checkpoint beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PushOptions {
    /// Where to put it; default `<namespace>/<pod>/<container>:<time>`.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Name of what the pod belongs to (a Deployment, a StatefulSet …): checkpoints of one
    /// workload share a history though its pods change names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Node that it was taken on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Free labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl PushOptions {
    /// Refuses what would not fit a list, or a line.
    pub fn check(&self) -> Result<(), InvalidOptions> {
        if self.labels.len() > LABELS_MAX {
            let labels = self.labels.len();
            return Err(InvalidOptions(format!("{labels} labels; {LABELS_MAX} are the most")));
        }
        if let Some(key) = self.labels.keys().find(|key| key.contains('=')) {
            return Err(InvalidOptions(format!("label key {key:?} has a =")));
        }
        let texts = [("workload", self.workload.as_ref()), ("node", self.node.as_ref())];
        let texts = texts.into_iter().filter_map(|(what, text)| Some((what, text?)));
        let labels = self.labels.iter().flat_map(|(k, v)| [("label key", k), ("label value", v)]);
        for (what, text) in texts.chain(labels) {
            if text.len() > TEXT_BYTES_MAX {
                let bytes = text.len();
                let why = format!("a {what} of {bytes} bytes; {TEXT_BYTES_MAX} are the most");
                return Err(InvalidOptions(why));
            }
            if text.chars().any(char::is_control) {
                return Err(InvalidOptions(format!("{what} {text:?} has a control character")));
            }
        }
        Ok(())
    }
}

/// Body of `POST /api/v1/uploads`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NewUpload {
    /// What is pushed.
    #[serde(flatten)]
    pub options: PushOptions,
    /// Bytes that will be sent, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What the sender read in the file, so that the server can begin before all has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
}

/// What a sender knows of a checkpoint before its bytes are sent.
///
/// It may choose what the pages are compared with, never who the checkpoint is: a wrong hint costs
/// space, nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Hint {
    /// Members of the archive that tell the identity and the page maps, by path, base64.
    pub members: BTreeMap<String, String>,
}

impl Hint {
    /// Bytes of text in it.
    pub fn bytes(&self) -> usize {
        self.members.iter().map(|(path, text)| path.len().saturating_add(text.len())).sum()
    }
}

/// State of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    /// Its identifier; whoever knows it may append.
    pub id: String,
    /// Bytes that have arrived and survive a restart of the server.
    pub offset: u64,
    /// The outcome, once committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Pushed>,
}

/// Body of `POST /api/v1/uploads/{id}/commit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CommitUpload {
    /// Bytes that were sent in all; another number is refused.
    pub bytes: u64,
    /// sha256 of what was sent, in hex; checked if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// A checksum of what was sent, checked if given; much cheaper than a sha256 for whoever sends.
    /// In hex: XXH3 (64 bits) of the list of the XXH3 (64 bits, little-endian) of each MiB, the last
    /// one perhaps short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xxh3: Option<String>,
}
