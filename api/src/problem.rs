//! Errors of `/api/v1` (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of an error response of `/api/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What programs branch on; stable.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// HTTP status code.
    pub status: u16,
    /// The kind, for people.
    pub title: String,
    /// What happened and what to do about it.
    pub detail: String,
    /// Bytes that the upload holds, where an offset did not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_offset: Option<u64>,
    /// Identifier of the request, as in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Kinds of problem, by what the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The request itself is wrong: a parameter, a name, a body.
    InvalidRequest,
    /// What arrived does not have the digest that was said: it was damaged on its way, or changed
    /// while it was sent. Send it again from the beginning.
    DigestMismatch,
    /// The body broke off or stood still. What arrived of an upload stays: go on there.
    Interrupted,
    /// What was sent is not a checkpoint archive, or one that must not be let in.
    InvalidArchive,
    /// Nothing by that name.
    NotFound,
    /// The upload holds another number of bytes: ask for the offset and go on there.
    OffsetMismatch,
    /// Something else happened at the same time, or the name is taken; the detail says which.
    Conflict,
    /// What the request was based on has changed, or it did not say: read it again.
    PreconditionFailed,
    /// The namespace has no room left by its quota: delete checkpoints of it, or raise the quota.
    QuotaExceeded,
    /// Larger than is allowed here.
    TooLarge,
    /// The disk is full up to its reserve: free space or raise the reserve.
    InsufficientStorage,
    /// What is stored is damaged; the server's log names the object.
    Damaged,
    /// Try again later.
    Unavailable,
    /// A fault of the server.
    Internal,
}

impl ProblemKind {
    /// The HTTP status that goes with the kind.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::DigestMismatch => 400,
            Self::QuotaExceeded => 403,
            Self::NotFound => 404,
            Self::Interrupted => 408,
            Self::OffsetMismatch | Self::Conflict => 409,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::InvalidArchive => 422,
            Self::Damaged | Self::Internal => 500,
            Self::Unavailable => 503,
            Self::InsufficientStorage => 507,
        }
    }

    /// The kind in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid request",
            Self::DigestMismatch => "digest does not match",
            Self::Interrupted => "the body broke off",
            Self::InvalidArchive => "not an acceptable checkpoint archive",
            Self::NotFound => "not found",
            Self::OffsetMismatch => "upload offset does not match",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "changed meanwhile",
            Self::QuotaExceeded => "quota exceeded",
            Self::TooLarge => "too large",
            Self::InsufficientStorage => "not enough storage",
            Self::Damaged => "stored data is damaged",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal error",
        }
    }
}
