//! `/api/v1/uploads`: pushes that outlive a broken connection and a restarted server.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use pagevault_api::checkpoint::Pushed;
use pagevault_api::headers::UPLOAD_OFFSET;
use pagevault_api::upload::{CommitUpload, HINT_BYTES_MAX, NewUpload, Upload};

use super::{Problems, Segment, json, pushed, respond};
use crate::app::Shared;
use crate::body::{Incoming, send, to_the_end};
use crate::errors::{Failure, Handled};
use crate::query::Query;
use crate::reply::{empty, set, text};

/// Bytes of a description without a hint.
const JSON_MAX: u64 = 1 << 20;
/// Bytes of one with a hint: page maps of large processes.
const OPEN_MAX: u64 = HINT_BYTES_MAX as u64 + JSON_MAX;

/// Open an upload
#[utoipa::path(
    post, path = "/uploads", tag = "uploads", request_body = NewUpload,
    responses((status = 201, body = Upload), Problems)
)]
pub(super) async fn open(State(app): State<Shared>, request: Request) -> Response {
    respond(open_one(&app, request).await)
}

async fn open_one(app: &Shared, request: Request) -> Handled {
    let new: NewUpload = body(app, request, OPEN_MAX).await?;
    let registry = app.registry.clone();
    let upload = to_the_end(async move { registry.open_upload(new).await }).await?;
    let location = format!("/api/v1/uploads/{}", upload.id);
    let mut response = described(StatusCode::CREATED, upload);
    set(&mut response, "location", location);
    Ok(response)
}

/// Show an upload
///
/// What has arrived, and the outcome once there is one.
#[utoipa::path(
    get, path = "/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    responses((status = 200, body = Upload), Problems)
)]
pub(super) async fn state(State(app): State<Shared>, Segment(id): Segment, uri: Uri) -> Response {
    respond(read_state(&app, &id, &uri).await)
}

async fn read_state(app: &Shared, id: &str, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(described(StatusCode::OK, app.registry.upload(id).await?))
}

/// Append to an upload
#[utoipa::path(
    patch, path = "/uploads/{id}", tag = "uploads",
    params(
        ("id" = String, Path),
        ("Upload-Offset" = u64, Header, description = "Bytes that the upload holds."),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 204), Problems)
)]
pub(super) async fn append(
    State(app): State<Shared>,
    Segment(id): Segment,
    request: Request,
) -> Response {
    respond(Box::pin(append_to(&app, id, request)).await)
}

async fn append_to(app: &Shared, id: String, request: Request) -> Handled {
    Query::strict(request.uri(), &[])?;
    let (parts, body) = request.into_parts();
    let offset = text(&parts.headers, UPLOAD_OFFSET).and_then(|offset| offset.parse().ok());
    let offset = offset.ok_or_else(|| {
        Failure::invalid("header Upload-Offset is missing, or not a number of bytes")
    })?;
    let body = Incoming::new(app, body, &parts.headers);
    let registry = app.registry.clone();
    let arrived =
        send(body, |body| async move { registry.append_upload(&id, offset, body).await }).await?;
    let mut response = empty(StatusCode::NO_CONTENT);
    set(&mut response, UPLOAD_OFFSET, arrived.to_string());
    Ok(response)
}

/// Forget an upload
#[utoipa::path(
    delete, path = "/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    responses((status = 204), Problems)
)]
pub(super) async fn cancel(State(app): State<Shared>, Segment(id): Segment, uri: Uri) -> Response {
    respond(forget(&app, id, &uri).await)
}

async fn forget(app: &Shared, id: String, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    let registry = app.registry.clone();
    to_the_end(async move { registry.cancel_upload(&id).await }).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// End an upload
///
/// The checkpoint is read, stored, checked and named. Asked again, answers the same.
#[utoipa::path(
    post, path = "/uploads/{id}/commit", tag = "uploads", params(("id" = String, Path)),
    request_body = CommitUpload,
    responses((status = 201, body = Pushed), (status = 200, body = Pushed), Problems)
)]
pub(super) async fn commit(
    State(app): State<Shared>,
    Segment(id): Segment,
    request: Request,
) -> Response {
    respond(commit_one(&app, id, request).await)
}

async fn commit_one(app: &Shared, id: String, request: Request) -> Handled {
    let commit: CommitUpload = body(app, request, JSON_MAX).await?;
    let registry = app.registry.clone();
    let done = to_the_end(async move { registry.commit_upload(&id, commit).await }).await?;
    Ok(pushed(done))
}

/// The body of a request that has no query, as JSON.
pub(super) async fn body<T: serde::de::DeserializeOwned>(
    app: &Shared,
    request: Request,
    max: u64,
) -> Handled<T> {
    Query::strict(request.uri(), &[])?;
    let (parts, body) = request.into_parts();
    let body = Incoming::new(app, body, &parts.headers);
    json(&body.read(max).await?)
}

fn described(status: StatusCode, upload: Upload) -> Response {
    let offset = upload.offset;
    let mut response = (status, Json(upload)).into_response();
    set(&mut response, UPLOAD_OFFSET, offset.to_string());
    set(&mut response, "cache-control", "no-store");
    response
}
