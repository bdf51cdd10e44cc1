//! Error codes of the OCI distribution specification, 1.1, "Error Codes".

use serde::{Deserialize, Serialize};

/// Code of an error under `/v2/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OciErrorCode {
    /// The blob is not known to the repository.
    BlobUnknown,
    /// The upload session is broken or its data out of order.
    BlobUploadInvalid,
    /// No such upload session.
    BlobUploadUnknown,
    /// The content does not hash to the digest, or the digest cannot be read.
    DigestInvalid,
    /// The manifest names a blob that the repository does not hold.
    ManifestBlobUnknown,
    /// The manifest cannot be accepted.
    ManifestInvalid,
    /// No such manifest.
    ManifestUnknown,
    /// The repository name breaks the specification's grammar.
    NameInvalid,
    /// No such repository.
    NameUnknown,
    /// The length does not match the content.
    SizeInvalid,
    /// Authentication is needed.
    Unauthorized,
    /// The caller may not do this.
    Denied,
    /// This server does not do that.
    Unsupported,
    /// Slow down.
    Toomanyrequests,
    /// Not in the specification, as used by distribution: a fault of the server.
    Unknown,
}

/// Body of an error response under `/v2/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OciErrors {
    /// At least one error.
    pub errors: Vec<OciError>,
}

/// One error.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OciError {
    /// What programs branch on.
    pub code: OciErrorCode,
    /// For people.
    pub message: String,
}
