//! Probes.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::Shared;

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: requests are welcome; not while the server is about to end.
pub(crate) async fn readyz(State(app): State<Shared>) -> (StatusCode, &'static str) {
    match app.is_draining() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "ending\n"),
        false => (StatusCode::OK, "ready\n"),
    }
}

/// `GET /metrics`: what Prometheus reads.
pub(crate) async fn metrics(State(app): State<Shared>) -> Response {
    // A disk that cannot be asked leaves the last answer standing.
    let registry = &app.registry;
    let left = registry.space_left().ok();
    match app.metrics.text(left, registry.index_stats(), &registry.totals()) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
