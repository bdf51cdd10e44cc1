//! `/api/v1/gc`: collections, and why something is kept.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use pagevault_api::gc::{GcTrigger, StartGc};
use pagevault_api::page::Page;

use super::retention::{fresh, number};
use super::{Segment, respond, uploads};
use crate::app::Shared;
use crate::errors::{Failure, Handled};
use crate::query::Query;
use crate::reply::set;

/// Bytes of a body that says how to collect.
const START_MAX: u64 = 4 << 10;

/// `POST /api/v1/gc`: starts a collection, which goes on by itself; 409 while there is one.
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

/// `GET /api/v1/gc`: the collections since the server started, newest first.
pub(super) async fn runs(State(app): State<Shared>, uri: Uri) -> Response {
    respond(list(&app, &uri))
}

fn list(app: &Shared, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    let page = Page { items: app.registry.collections(), next: None };
    Ok(fresh(page))
}

/// `GET /api/v1/gc/{id}`: one of them.
pub(super) async fn run(State(app): State<Shared>, Segment(id): Segment, uri: Uri) -> Response {
    let found = || {
        Query::strict(&uri, &[])?;
        Ok(fresh(app.registry.collection(number(&id)?)?))
    };
    respond(found())
}

/// `POST /api/v1/gc/{id}/cancel`: asks it to end. What it has removed nothing needed.
pub(super) async fn cancel(State(app): State<Shared>, Segment(id): Segment, uri: Uri) -> Response {
    let asked = || {
        Query::strict(&uri, &[])?;
        let run = app.registry.cancel_collection_run(number(&id)?)?;
        Ok((StatusCode::ACCEPTED, Json(run)).into_response())
    };
    respond(asked())
}

/// `GET /api/v1/gc/explain?digest=`: why something is kept, or that nothing is known of it.
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
