//! All routes. Read this as the table of contents.

mod native;
mod oci;
mod ops;
mod pages;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use pagevault_api::oci_error::OciErrorCode;

use crate::app::Shared;
use crate::errors::Failure;
use crate::guard::guard;
use crate::observe::observe;

/// The routes, guarded and observed.
pub(crate) fn router(app: Shared) -> Router {
    let (native, description) = native::router();
    app.describe(&description);
    let guarded = Router::new()
        .merge(oci::router())
        .nest("/api/v1", native)
        .merge(pages::router())
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(Arc::clone(&app), guard));
    // Probes come by whatever name the prober has, and tell no secret.
    Router::new()
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .merge(guarded)
        .layer(from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

async fn unknown() -> Response {
    Failure::new(StatusCode::NOT_FOUND, OciErrorCode::Unsupported, "there is nothing at this path")
        .into_problem()
}

async fn not_allowed() -> Response {
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        OciErrorCode::Unsupported,
        "this method means nothing at this path; see the Allow header",
    )
    .into_problem()
}
