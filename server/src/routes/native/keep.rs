//! `/api/v1/checkpoints/{reference}`: pins, labels, deletion.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use pagevault_api::checkpoint::{Checkpoint, LabelChanges, PinRequest};

use super::{Problems, Segment, reference, respond, uploads};
use crate::app::Shared;
use crate::body::to_the_end;
use crate::errors::Handled;
use crate::query::Query;
use crate::reply::empty;

/// Bytes of a body that says what to change.
const BODY_MAX: u64 = 64 << 10;

/// Delete a checkpoint
///
/// With its tags; by a tag too the checkpoint goes. One that is pinned stays: 409.
#[utoipa::path(
    delete, path = "/checkpoints/{reference}", tag = "checkpoints",
    params(("reference" = String, Path)),
    responses((status = 204), Problems)
)]
pub(super) async fn delete(State(app): State<Shared>, at: Segment, uri: Uri) -> Response {
    respond(remove(&app, &at, &uri).await)
}

async fn remove(app: &Shared, at: &Segment, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    let (registry, reference) = (app.registry.clone(), reference(at)?);
    to_the_end(async move { registry.delete_checkpoint(&reference).await }).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Pin a checkpoint
///
/// Neither a DELETE nor retention removes it from now on.
#[utoipa::path(
    put, path = "/checkpoints/{reference}/pin", tag = "checkpoints",
    params(("reference" = String, Path)), request_body = PinRequest,
    responses((status = 200, body = Checkpoint), Problems)
)]
pub(super) async fn pin(State(app): State<Shared>, at: Segment, request: Request) -> Response {
    respond(set_pin(&app, &at, request).await)
}

async fn set_pin(app: &Shared, at: &Segment, request: Request) -> Handled {
    let (registry, reference) = (app.registry.clone(), reference(at)?);
    let pin: PinRequest = uploads::body(app, request, BODY_MAX).await?;
    let changed = to_the_end(async move { registry.pin(&reference, pin).await }).await?;
    Ok(Json(changed).into_response())
}

/// Unpin a checkpoint
#[utoipa::path(
    delete, path = "/checkpoints/{reference}/pin", tag = "checkpoints",
    params(("reference" = String, Path)),
    responses((status = 200, body = Checkpoint), Problems)
)]
pub(super) async fn unpin(State(app): State<Shared>, at: Segment, uri: Uri) -> Response {
    respond(take_pin(&app, &at, &uri).await)
}

async fn take_pin(app: &Shared, at: &Segment, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    let (registry, reference) = (app.registry.clone(), reference(at)?);
    let changed = to_the_end(async move { registry.unpin(&reference).await }).await?;
    Ok(Json(changed).into_response())
}

/// Change labels of a checkpoint
///
/// Sets those that are named; takes away those that are null.
#[utoipa::path(
    patch, path = "/checkpoints/{reference}/labels", tag = "checkpoints",
    params(("reference" = String, Path)), request_body = LabelChanges,
    responses((status = 200, body = Checkpoint), Problems)
)]
pub(super) async fn label(State(app): State<Shared>, at: Segment, request: Request) -> Response {
    respond(set_labels(&app, &at, request).await)
}

async fn set_labels(app: &Shared, at: &Segment, request: Request) -> Handled {
    let (registry, reference) = (app.registry.clone(), reference(at)?);
    let changes: LabelChanges = uploads::body(app, request, BODY_MAX).await?;
    let changed = to_the_end(async move { registry.label(&reference, changes).await }).await?;
    Ok(Json(changed).into_response())
}
