//! Pagevault over HTTP: `/v2/` for OCI clients, `/api/v1` for ours, pages for people.
//!
//! A handler reads the request, calls one use case of the registry and writes the answer. What
//! kind of failure becomes which status and code is one table, in `errors`.

mod app;
mod body;
mod encoding;
mod errors;
mod guard;
mod jobs;
mod metrics;
mod multipart;
mod observe;
mod paced;
mod policies;
mod query;
mod range;
mod reply;
mod routes;
mod serve;
mod settings;
mod turns;
mod warning;

use std::sync::Arc;

use axum::Router;
use pagevault_registry::Registry;

pub use pagevault_api::size::{ByteSize, InvalidByteSize};
pub use policies::{PoliciesError, read_policies};
pub use serve::{ServerError, serve};
pub use settings::ServerSettings;

/// All routes over a registry, without a socket.
pub fn router(registry: Arc<Registry>, settings: ServerSettings) -> Router {
    routes::router(Arc::new(app::App::new(registry, settings)))
}
