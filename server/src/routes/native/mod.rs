//! `/api/v1`: what Pagevault's own clients use.
//!
//! | route | answer |
//! |---|---|
//! | `GET /checkpoints?namespace=&pod=&container=&workload=&node=&image=&repository=&label=k=v&pinned=&since=&until=&sort=time,size,stored&order=desc,asc&limit=&cursor=` | `Page<Checkpoint>` |
//! | `POST /checkpoints` | [`Pushed`] |
//! | `GET, DELETE /checkpoints/{reference}` | `CheckpointDetail`; 204, or 409 while it is pinned |
//! | `PUT, DELETE /checkpoints/{reference}/pin` | `PinRequest` → `Checkpoint` |
//! | `PATCH /checkpoints/{reference}/labels` | `LabelChanges` → `Checkpoint` |
//! | `GET /checkpoints/{reference}/processes` | `ProcessList` |
//! | `GET /checkpoints/{reference}/memory-areas?pid=&against=REF` | `MemoryMap` |
//! | `GET /checkpoints/{reference}/memory?pid=&start=&length=` | raw bytes, at most 1 MiB |
//! | `GET /checkpoints/{reference}/files?pid=` | `OpenFiles` |
//! | `GET /checkpoints/{reference}/environment` | `Environment` |
//! | `GET /checkpoints/{reference}/rootfs` | `RootfsChanges` |
//! | `GET /checkpoints/{reference}/restore?registry=HOST:PORT` | `RestoreManifests` |
//! | `GET /diff?from=REF&to=REF` | `Diff` |
//! | `GET /workloads?namespace=&name=&limit=&cursor=` | `Page<Workload>` |
//! | `GET /stats`, `GET /stats/namespaces` | `StoreStats`, `Page<NamespaceStats>` |
//! | `GET /events` | server-sent events, each an `Event` |
//! | `POST /uploads` … | resumable pushes, see [`pagevault_api::upload`] |
//! | `GET, POST /gc`, `GET /gc/explain?digest=` | `Page<GcRun>`, `GcRun`, `GcExplanation` |
//! | `GET, POST /verify` | `VerifyRun` |
//! | `GET /openapi.json` | all of this, for programs |
//!
//! `{reference}` is one segment: its slashes are `%2F`.

mod checkpoints;
mod contents;
mod gc;
mod retention;
mod stats;
mod uploads;
mod verify;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use pagevault_api::checkpoint::Pushed;
use pagevault_api::reference::Reference;

use crate::app::Shared;
use crate::errors::{Failure, Handled};
use crate::query::encode;
use crate::reply::set;

/// The routes, below `/api/v1`.
pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/checkpoints", get(checkpoints::list).post(checkpoints::push))
        .route("/checkpoints/{reference}", get(checkpoints::show))
        .route("/checkpoints/{reference}/processes", get(contents::processes))
        .route("/checkpoints/{reference}/files", get(contents::files))
        .route("/uploads", post(uploads::open))
        .route("/uploads/{id}", get(uploads::state).patch(uploads::append).delete(uploads::cancel))
        .route("/uploads/{id}/commit", post(uploads::commit))
        .route("/stats", get(stats::totals))
        .route("/gc", get(gc::runs).post(gc::start))
        .route("/gc/explain", get(gc::explain))
        .route("/gc/{id}", get(gc::run))
        .route("/gc/{id}/cancel", post(gc::cancel))
        .route("/retention/policies", get(retention::policies).put(retention::put_policies))
        .route("/retention/run", post(retention::start))
        .route("/retention/runs", get(retention::runs))
        .route("/retention/runs/{id}", get(retention::run))
        .route("/retention/runs/{id}/cancel", post(retention::cancel))
        .route("/retention/runs/{id}/plan", get(retention::plan))
        .route("/verify", get(verify::last).post(verify::start))
}

/// The variable segment of a path, decoded.
struct Segment(String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(segment)) => Ok(Self(segment)),
            Err(_) => Err(Failure::invalid("the path is not text").into_problem()),
        }
    }
}

/// The reference in a path.
fn reference(Segment(text): &Segment) -> Handled<Reference> {
    text.parse::<Reference>().map_err(|e| Failure::invalid(e.to_string()))
}

/// The response of a handler.
fn respond(handled: Handled) -> Response {
    handled.unwrap_or_else(Failure::into_problem)
}

/// The answer to a push: 201 for a new checkpoint, 200 for one that was there.
fn pushed(pushed: Pushed) -> Response {
    let status = if pushed.created { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/api/v1/checkpoints/{}", encode(&pushed.reference.to_string()));
    let mut response = (status, axum::Json(pushed)).into_response();
    set(&mut response, "location", location);
    response
}

/// Reads a JSON object. A body of nothing is an object of nothing.
fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Handled<T> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // Serde would take a list of its fields' values as well.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Failure::invalid("the body is not a JSON object"));
    }
    serde_json::from_slice(bytes)
        .map_err(|e| Failure::invalid(format!("the body cannot be read as JSON: {e}")))
}
