//! `/api/v1/verify`: all that is stored is read again and compared.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use pagevault_api::verify::VerifyRun;

use super::{Problems, respond};
use crate::app::Shared;
use crate::errors::Handled;
use crate::query::Query;
use crate::reply::{fresh, set};

/// Start a scrub
///
/// It goes on by itself; 409 while there is one.
#[utoipa::path(
    post, path = "/verify", tag = "operation",
    responses((status = 202, body = VerifyRun), Problems)
)]
pub(super) async fn start(State(app): State<Shared>, request: Request) -> Response {
    respond(begin(&app, request.uri()))
}

fn begin(app: &Shared, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    let run = app.registry.start_verify()?;
    let mut response = (StatusCode::ACCEPTED, Json(run)).into_response();
    set(&mut response, "location", "/api/v1/verify");
    Ok(response)
}

/// Show the scrub that is running or was last
#[utoipa::path(
    get, path = "/verify", tag = "operation",
    responses((status = 200, body = Option<VerifyRun>), Problems)
)]
pub(super) async fn last(State(app): State<Shared>, uri: Uri) -> Response {
    respond(show(&app, &uri))
}

fn show(app: &Shared, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(fresh(app.registry.last_verify()))
}
