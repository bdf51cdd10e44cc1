//! Which failure is which status and code: one table for `/v2/` and `/api/v1`.
//!
//! A use case fails with a kind; handlers fail with a [`Failure`], of either shape. Nothing else in
//! this crate chooses a status for a failure of the registry.

use std::error::Error as _;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pagevault_api::headers::UPLOAD_OFFSET;
use pagevault_api::oci_error::{OciError, OciErrorCode as Oci, OciErrors};
use pagevault_api::problem::{Problem, ProblemKind};
use pagevault_registry::{RegistryError, RegistryErrorKind as Kind};

/// The table: for a kind, status and code under `/v2/`, and the problem under `/api/v1`.
fn table(kind: Kind) -> (u16, Oci, ProblemKind) {
    match kind {
        Kind::Invalid => (400, Oci::ManifestInvalid, ProblemKind::InvalidRequest),
        Kind::DigestMismatch => (400, Oci::DigestInvalid, ProblemKind::DigestMismatch),
        Kind::RepositoryUnknown => (404, Oci::NameUnknown, ProblemKind::NotFound),
        Kind::ManifestUnknown => (404, Oci::ManifestUnknown, ProblemKind::NotFound),
        Kind::BlobUnknown => (404, Oci::BlobUnknown, ProblemKind::NotFound),
        Kind::ReferenceUnknown => (404, Oci::ManifestBlobUnknown, ProblemKind::NotFound),
        Kind::RunUnknown => (404, Oci::Unsupported, ProblemKind::NotFound),
        Kind::UploadUnknown => (404, Oci::BlobUploadUnknown, ProblemKind::NotFound),
        Kind::Offset(_) => (416, Oci::BlobUploadInvalid, ProblemKind::OffsetMismatch),
        Kind::Archive => (400, Oci::ManifestInvalid, ProblemKind::InvalidArchive),
        Kind::Conflict => (409, Oci::Denied, ProblemKind::Conflict),
        Kind::Precondition => (412, Oci::Denied, ProblemKind::PreconditionFailed),
        Kind::Quota => (403, Oci::Denied, ProblemKind::QuotaExceeded),
        Kind::TooLarge => (413, Oci::SizeInvalid, ProblemKind::TooLarge),
        Kind::Full => (507, Oci::Denied, ProblemKind::InsufficientStorage),
        Kind::BodyBroken => (408, Oci::BlobUploadInvalid, ProblemKind::Interrupted),
        Kind::Damaged => (500, Oci::Unknown, ProblemKind::Damaged),
        Kind::Collected | Kind::Unavailable => (503, Oci::Unknown, ProblemKind::Unavailable),
        Kind::Internal => (500, Oci::Unknown, ProblemKind::Internal),
    }
}

/// Why a request is not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A use case has failed.
    Registry(RegistryError),
    /// The request was wrong before any use case saw it.
    Refused {
        status: StatusCode,
        /// Code under `/v2/`.
        code: Oci,
        detail: String,
    },
}

/// The result of a handler.
pub(crate) type Handled<T = Response> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(status: StatusCode, code: Oci, detail: impl Into<String>) -> Self {
        Self::Refused { status, code, detail: detail.into() }
    }

    /// 400, with a code for `/v2/`.
    pub(crate) fn bad(code: Oci, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 400 under `/api/v1`.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::bad(Oci::Unsupported, detail)
    }

    /// A body that is larger than is read here.
    pub(crate) fn too_large(max: u64) -> Self {
        let detail = format!("the body is larger than {max} bytes, the most that is read here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Oci::SizeInvalid, detail)
    }

    /// Where to go on, if the failure is about that.
    pub(crate) fn offset(&self) -> Option<u64> {
        match self {
            Self::Registry(error) => match error.kind() {
                Kind::Offset(offset) => Some(offset),
                _ => None,
            },
            Self::Refused { .. } => None,
        }
    }

    /// The response under `/v2/`.
    pub(crate) fn into_oci(self) -> Response {
        let (status, code, detail) = match self {
            Self::Registry(error) => {
                let (status, code, _) = table(error.kind());
                let status = known(status);
                (status, code, logged(&error, status))
            }
            Self::Refused { status, code, detail } => (status, code, detail),
        };
        let body = OciErrors { errors: vec![OciError { code, message: detail }] };
        with_retry((status, Json(body)).into_response())
    }

    /// The response under `/api/v1`. Its body is written by [`finish`], which knows the request's
    /// identifier.
    pub(crate) fn into_problem(self) -> Response {
        let upload_offset = self.offset();
        let (kind, status, detail) = match self {
            Self::Registry(error) => {
                let (_, _, kind) = table(error.kind());
                let status = known(kind.status());
                (kind, status, logged(&error, status))
            }
            Self::Refused { status, detail, .. } => (problem_kind(status), status, detail),
        };
        let mut response = status.into_response();
        if let Some(offset) = upload_offset {
            response.headers_mut().insert(UPLOAD_OFFSET, HeaderValue::from(offset));
        }
        let title = kind.title().to_owned();
        let status = status.as_u16();
        let problem = Problem { kind, status, title, detail, upload_offset, request_id: None };
        response.extensions_mut().insert(problem);
        with_retry(response)
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

/// Writes the body of a problem, with the identifier of its request.
pub(crate) fn finish(mut response: Response, request_id: &str) -> Response {
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else { return response };
    problem.request_id = Some(request_id.to_owned());
    let (parts, _) = response.into_parts();
    let mut response = Json(problem).into_response();
    *response.status_mut() = parts.status;
    let kind = HeaderValue::from_static(pagevault_api::media_types::PROBLEM);
    response.headers_mut().extend(parts.headers);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The problem kind of a status that this crate has chosen.
fn problem_kind(status: StatusCode) -> ProblemKind {
    match status {
        StatusCode::NOT_FOUND => ProblemKind::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge,
        StatusCode::PRECONDITION_REQUIRED => ProblemKind::PreconditionFailed,
        status if status.is_server_error() => ProblemKind::Internal,
        _ => ProblemKind::InvalidRequest,
    }
}

/// Writes a fault of ours into the log, and returns what the client is told.
fn logged(error: &RegistryError, status: StatusCode) -> String {
    if !status.is_server_error() {
        return error.to_string();
    }
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let (kind, causes) = (error.kind(), causes.join(": "));
    tracing::error!(error.kind = ?kind, error.causes = causes, "request failed: {error}");
    match kind {
        // What went wrong inside is for the log.
        Kind::Internal => "the server has failed; its log tells more by the request id".to_owned(),
        _ => error.to_string(),
    }
}

/// 503 says when to come back.
fn with_retry(mut response: Response) -> Response {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn known(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const KINDS: [Kind; 19] = [
        Kind::Invalid,
        Kind::DigestMismatch,
        Kind::RepositoryUnknown,
        Kind::ManifestUnknown,
        Kind::BlobUnknown,
        Kind::ReferenceUnknown,
        Kind::RunUnknown,
        Kind::UploadUnknown,
        Kind::Offset(7),
        Kind::Archive,
        Kind::Conflict,
        Kind::Precondition,
        Kind::Quota,
        Kind::TooLarge,
        Kind::Full,
        Kind::BodyBroken,
        Kind::Damaged,
        Kind::Unavailable,
        Kind::Internal,
    ];

    #[test]
    fn both_sides_agree_on_whose_fault_it_is() {
        for kind in KINDS {
            let (status, _, problem) = table(kind);
            assert!((400..600).contains(&status), "{kind:?}");
            assert_eq!(status / 100, problem.status() / 100, "{kind:?}");
        }
    }

    async fn json(response: Response) -> serde_json::Value {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn oci_shape() {
        let error = RegistryError::new(Kind::BlobUnknown, "no blob x");
        let response = Failure::from(error).into_oci();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let expected =
            serde_json::json!({"errors": [{"code": "BLOB_UNKNOWN", "message": "no blob x"}]});
        assert_eq!(json(response).await, expected);
    }

    #[tokio::test]
    async fn problem_shape() {
        let error = RegistryError::new(Kind::Offset(7), "the upload holds 7 bytes: go on there");
        let response = finish(Failure::from(error).into_problem(), "r1");
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()[UPLOAD_OFFSET], "7");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = json(response).await;
        assert_eq!(body["type"], "offset-mismatch");
        assert_eq!(body["uploadOffset"], 7);
        assert_eq!(body["requestId"], "r1");
    }

    #[tokio::test]
    async fn what_failed_inside_stays_inside() {
        let response =
            Failure::from(RegistryError::new(Kind::Internal, "secret of the house")).into_problem();
        assert!(!json(finish(response, "r")).await.to_string().contains("secret"));
        let response = Failure::from(RegistryError::new(Kind::Unavailable, "later")).into_oci();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
