//! Probes.

use axum::extract::State;
use axum::http::StatusCode;

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
