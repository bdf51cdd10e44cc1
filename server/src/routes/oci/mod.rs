//! `/v2/`: the OCI distribution specification.

mod blobs;
mod manifests;
mod path;
mod referrers;
mod tags;
mod uploads;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Json, Router};
use pagevault_api::Digest;
use pagevault_api::headers::DOCKER_DISTRIBUTION_API_VERSION;
use pagevault_api::oci_error::OciErrorCode;
use pagevault_api::reference::check_repository;

use crate::app::Shared;
use crate::errors::{Failure, Handled};
use crate::reply::set;
use path::Target;

/// Names of repositories contain slashes, so everything below `/v2/` is one route, split in
/// [`path`] and dispatched in [`dispatch`].
pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/v2", get(version))
        .route("/v2/", get(version))
        .route("/v2/{*rest}", any(below))
}

/// `GET /v2/`: says that this is a registry. Podman looks for its challenge here.
async fn version() -> impl axum::response::IntoResponse {
    ([(DOCKER_DISTRIBUTION_API_VERSION, "registry/2.0")], Json(serde_json::json!({})))
}

async fn below(
    State(app): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let Ok(Path(path)) = path else {
        return Failure::bad(OciErrorCode::NameInvalid, "the path is not text").into_oci();
    };
    // Boxed: its size is that of the largest handler, for every request.
    Box::pin(dispatch(&app, &path, request)).await.unwrap_or_else(Failure::into_oci)
}

async fn dispatch(app: &Shared, path: &str, request: Request) -> Handled {
    let target = path::split(path).ok_or_else(|| {
        Failure::new(StatusCode::NOT_FOUND, OciErrorCode::Unsupported, "no such endpoint")
    })?;
    if let Some(name) = target.repository() {
        check_repository(name)
            .map_err(|e| Failure::bad(OciErrorCode::NameInvalid, e.to_string()))?;
    }
    let (parts, body) = request.into_parts();
    match (target, &parts.method) {
        (Target::Catalog, &Method::GET) => tags::catalog(app, &parts.uri).await,
        (Target::Tags { name }, &Method::GET) => tags::list(app, name, &parts.uri).await,
        (Target::Referrers { name, digest }, &Method::GET | &Method::HEAD) => {
            referrers::list(app, name, digest, &parts.uri).await
        }
        (Target::Manifest { name, reference }, &Method::GET | &Method::HEAD) => {
            manifests::get(app, name, reference, &parts.headers).await
        }
        (Target::Manifest { name, reference }, &Method::PUT) => {
            manifests::put(app, name, reference, &parts, body).await
        }
        (Target::Manifest { name, reference }, &Method::DELETE) => {
            manifests::delete(app, name, reference).await
        }
        (Target::Blob { name, digest }, &Method::GET) => {
            blobs::get(app, name, digest, &parts).await
        }
        (Target::Blob { name, digest }, &Method::HEAD) => blobs::head(app, name, digest).await,
        (Target::Blob { name, digest }, &Method::DELETE) => blobs::delete(app, name, digest).await,
        (Target::Uploads { name }, &Method::POST) => uploads::start(app, name, &parts, body).await,
        (Target::Upload { name, id }, &Method::GET | &Method::HEAD) => {
            uploads::status(app, name, id).await
        }
        (Target::Upload { name, id }, &Method::PATCH) => {
            uploads::append(app, name, id, &parts, body).await
        }
        (Target::Upload { name, id }, &Method::PUT) => {
            uploads::finish(app, name, id, &parts, body).await
        }
        (Target::Upload { name, id }, &Method::DELETE) => uploads::cancel(app, name, id).await,
        (target, method) => Ok(not_allowed(&target, method)),
    }
}

fn not_allowed(target: &Target<'_>, method: &Method) -> Response {
    let (status, methods) = (StatusCode::METHOD_NOT_ALLOWED, target.methods());
    let detail = format!("{method} means nothing here; there is {methods}");
    let mut response = Failure::new(status, OciErrorCode::Unsupported, detail).into_oci();
    set(&mut response, "allow", methods);
    response
}

/// Reads a digest of one of the algorithms that are known here.
fn digest(text: &str) -> Handled<Digest> {
    let invalid = |why: String| Failure::bad(OciErrorCode::DigestInvalid, why);
    let digest: Digest = text.parse().map_err(|e| invalid(format!("digest {text:?}: {e}")))?;
    match digest.algorithm().as_ref() {
        "sha256" | "sha512" => Ok(digest),
        other => Err(invalid(format!("digests are sha256 or sha512 here, not {other}"))),
    }
}
