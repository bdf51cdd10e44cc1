//! Names of HTTP headers beyond the standard ones.

/// Digest of the manifest or blob in a response (OCI distribution spec).
pub const DOCKER_CONTENT_DIGEST: &str = "docker-content-digest";
/// Identifier of a blob upload session (older docker clients log it).
pub const DOCKER_UPLOAD_UUID: &str = "docker-upload-uuid";
/// Protocol marker on `GET /v2/`.
pub const DOCKER_DISTRIBUTION_API_VERSION: &str = "docker-distribution-api-version";
/// Digest of a manifest's `subject`, when the referrers API will list it.
pub const OCI_SUBJECT: &str = "oci-subject";
/// Filters that a referrers response has applied.
pub const OCI_FILTERS_APPLIED: &str = "oci-filters-applied";
/// Tags that a manifest PUT has set.
pub const OCI_TAG: &str = "oci-tag";
/// Bytes that an upload holds (draft-ietf-httpbis-resumable-upload).
pub const UPLOAD_OFFSET: &str = "upload-offset";
/// Identifier of a request, echoed so that both sides' logs can be joined.
pub const REQUEST_ID: &str = "x-request-id";
