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
//! | `GET /checkpoints/{reference}/files?pid=` | `OpenFiles` |
//! | `GET /checkpoints/{reference}/environment` | `Environment` |
//! | `GET /checkpoints/{reference}/rootfs` | `RootfsChanges` |
//! | `GET /checkpoints/{reference}/restore?registry=HOST:PORT` | `RestoreManifests` |
//! | `GET /workloads?namespace=&name=&container=&search=&limit=&cursor=` | `Page<Workload>` |
//! | `GET /stats`, `GET /stats/namespaces` | `StoreStats`, `Page<NamespaceStats>` |
//! | `GET /stats/growth` | `Page<GrowthPoint>` |
//! | `GET /events` | server-sent events, each an `Event` |
//! | `POST /uploads` … | resumable pushes, see [`pagevault_api::upload`] |
//! | `GET, POST /gc`, `GET /gc/explain?digest=` | `Page<GcRun>`, `GcRun`, `GcExplanation` |
//! | `GET /gc/{id}`, `POST /gc/{id}/cancel` | `GcRun` |
//! | `GET, PUT /retention/policies` | `RetentionConfig`, as JSON or YAML, by `If-Match` |
//! | `POST /retention/run`, `GET /retention/runs` | `RetentionRun`, `Page<RetentionRun>` |
//! | `GET /retention/runs/{id}`, `POST /retention/runs/{id}/cancel` | `RetentionRun` |
//! | `GET /retention/runs/{id}/plan?action=keep,delete&limit=&cursor=` | `Page<RetentionDecision>` |
//! | `GET, POST /verify` | `VerifyRun` |
//! | `GET /openapi.json` | all of this, for programs |
//!
//! `{reference}` is one segment: its slashes are `%2F`.

mod checkpoints;
mod contents;
mod events;
mod gc;
mod keep;
mod memory;
mod openapi;
mod retention;
mod stats;
mod uploads;
mod verify;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use pagevault_api::checkpoint::Pushed;
use pagevault_api::event::Event;
use pagevault_api::problem::{Problem, ProblemKind};
use pagevault_api::reference::Reference;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Shared;
use crate::errors::{Failure, Handled};
use crate::query::encode;
use crate::reply::set;

/// The routes, below `/api/v1`, and their description. What is not described is not served. Schemas are
/// called by the types that attributes name: an alias hides what a generic type is of, and two of them
/// become one schema.
pub(crate) fn router() -> (Router<Shared>, OpenApi) {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(checkpoints::list, checkpoints::push))
        .routes(routes!(checkpoints::show, keep::delete))
        .routes(routes!(keep::pin, keep::unpin))
        .routes(routes!(keep::label))
        .routes(routes!(contents::processes))
        .routes(routes!(contents::files))
        .routes(routes!(contents::environment))
        .routes(routes!(contents::rootfs))
        .routes(routes!(contents::restore))
        .routes(routes!(memory::areas))
        .routes(routes!(memory::bytes))
        .routes(routes!(memory::diff))
        .routes(routes!(stats::workloads))
        .routes(routes!(stats::totals))
        .routes(routes!(stats::namespaces))
        .routes(routes!(stats::growth))
        .routes(routes!(events::stream))
        .routes(routes!(uploads::open))
        .routes(routes!(uploads::state, uploads::append, uploads::cancel))
        .routes(routes!(uploads::commit))
        .routes(routes!(gc::runs, gc::start))
        .routes(routes!(gc::explain))
        .routes(routes!(gc::run))
        .routes(routes!(gc::cancel))
        .routes(routes!(retention::policies, retention::put_policies))
        .routes(routes!(retention::start))
        .routes(routes!(retention::runs))
        .routes(routes!(retention::run))
        .routes(routes!(retention::cancel))
        .routes(routes!(retention::plan))
        .routes(routes!(verify::last, verify::start))
        .routes(routes!(openapi::show))
        .split_for_parts()
}

/// What is described besides the routes: types that no body of theirs names by itself.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Pagevault",
        description = "Container checkpoints: push, find, look into, compare, keep, let go."
    ),
    servers((url = "/api/v1")),
    components(schemas(Event, Problem, ProblemKind))
)]
struct Description;

/// What every route may answer.
#[derive(utoipa::IntoResponses)]
#[response(
    status = "default",
    description = "Not done, and why.",
    content_type = "application/problem+json"
)]
#[expect(dead_code, reason = "it stands for the schema of failures")]
struct Problems(#[to_schema] Problem);

/// The variable segment of a path, decoded.
#[derive(Debug)]
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

/// The number of a run, as a path has it.
fn number(id: &str) -> Handled<u64> {
    id.parse().map_err(|_| Failure::invalid(format!("{id:?} is not the number of a run")))
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
