//! `/api/v1/openapi.json`: the description of all this, for programs.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use super::{Problems, respond};
use crate::app::Shared;
use crate::errors::Handled;
use crate::query::Query;
use crate::reply::set;

/// This description
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation",
    responses((status = 200, body = Object), Problems)
)]
pub(super) async fn show(State(app): State<Shared>, uri: Uri) -> Response {
    respond(read(&app, &uri))
}

fn read(app: &Shared, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    let mut response = Response::new(app.openapi().clone().into());
    set(&mut response, "content-type", "application/json");
    Ok(response)
}
