//! `/api/v1/stats`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};

use super::respond;
use crate::app::Shared;
use crate::errors::Handled;
use crate::query::Query;

/// `GET /api/v1/stats`: totals.
pub(super) async fn totals(State(app): State<Shared>, uri: Uri) -> Response {
    respond(read(&app, &uri).await)
}

async fn read(app: &Shared, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(Json(app.registry.stats().await?).into_response())
}
