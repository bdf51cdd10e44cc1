//! `/api/v1/gc`: collections, and why something is kept.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use pagevault_api::gc::{GcExplanation, GcResult, GcTrigger, StartGc};
use pagevault_api::page::Page;
use pagevault_api::run::Run;

use super::{Problems, Segment, number, respond, uploads};
use crate::app::Shared;
use crate::errors::{Failure, Handled};
use crate::query::Query;
use crate::reply::{fresh, set};

/// Bytes of a body that says how to collect.
const START_MAX: u64 = 4 << 10;

/// Start a collection
///
/// It goes on by itself; 409 while there is one.
#[utoipa::path(
    post, path = "/gc", tag = "operation", request_body = StartGc,
    responses((status = 202, body = Run<GcResult>), Problems)
)]
pub(super) async fn start(State(app): State<Shared>, request: Request) -> Response {
    respond(begin(&app, request).await)
}

async fn begin(app: &Shared, request: Request) -> Handled {
    let StartGc { dry_run } = uploads::body(app, request, START_MAX).await?;
    let run = app.registry.start_collection(dry_run, GcTrigger::Request)?;
    let location = format!("/api/v1/gc/{}", run.id);
    let mut response = (StatusCode::ACCEPTED, Json(run)).into_response();
    set(&mut response, "location", location);
    Ok(response)
}

/// List collections
///
/// The last ones, newest first.
#[utoipa::path(
    get, path = "/gc", tag = "operation",
    responses((status = 200, body = Page<Run<GcResult>>), Problems)
)]
pub(super) async fn runs(State(app): State<Shared>, uri: Uri) -> Response {
    respond(list(&app, &uri))
}

fn list(app: &Shared, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    let page = Page { items: app.registry.collections(), next: None };
    Ok(fresh(page))
}

/// Show a collection
#[utoipa::path(
    get, path = "/gc/{id}", tag = "operation", params(("id" = u64, Path)),
    responses((status = 200, body = Run<GcResult>), Problems)
)]
pub(super) async fn run(State(app): State<Shared>, Segment(id): Segment, uri: Uri) -> Response {
    let found = || {
        Query::strict(&uri, &[])?;
        Ok(fresh(app.registry.collection(number(&id)?)?))
    };
    respond(found())
}

/// Ask a collection to end
///
/// What it has removed nothing needed.
#[utoipa::path(
    post, path = "/gc/{id}/cancel", tag = "operation", params(("id" = u64, Path)),
    responses((status = 202, body = Run<GcResult>), Problems)
)]
pub(super) async fn cancel(State(app): State<Shared>, Segment(id): Segment, uri: Uri) -> Response {
    let asked = || {
        Query::strict(&uri, &[])?;
        let run = app.registry.cancel_collection_run(number(&id)?)?;
        Ok((StatusCode::ACCEPTED, Json(run)).into_response())
    };
    respond(asked())
}

/// Explain why something is kept
#[utoipa::path(
    get, path = "/gc/explain", tag = "operation",
    params(("digest" = String, Query, description = "Digest of a manifest or blob, or an object's name.")),
    responses((status = 200, body = GcExplanation), Problems)
)]
pub(super) async fn explain(State(app): State<Shared>, uri: Uri) -> Response {
    respond(reasons(&app, &uri).await)
}

async fn reasons(app: &Shared, uri: &Uri) -> Handled {
    let query = Query::strict(uri, &["digest"])?;
    let digest = query.only("digest")?.ok_or_else(|| {
        Failure::invalid(
            "the query lacks digest=<digest of a manifest or blob, or an object's name>",
        )
    })?;
    Ok(Json(app.registry.explain(digest).await?).into_response())
}
