//! `/api/v1/checkpoints/{reference}/…`: what is in a checkpoint.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use pagevault_api::contents::{Environment, OpenFiles, ProcessList, RootfsChanges};
use pagevault_api::restore::RestoreManifests;

use super::{Problems, Segment, reference, respond};
use crate::app::Shared;
use crate::errors::{Failure, Handled};
use crate::query::Query;
use crate::reply::text;

/// Processes of a checkpoint
///
/// By process id; `parent` makes a tree of them.
#[utoipa::path(
    get, path = "/checkpoints/{reference}/processes", tag = "contents",
    params(("reference" = String, Path)),
    responses((status = 200, body = ProcessList), Problems)
)]
pub(super) async fn processes(State(app): State<Shared>, at: Segment, uri: Uri) -> Response {
    respond(read_processes(&app, &at, &uri).await)
}

async fn read_processes(app: &Shared, at: &Segment, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(Json(app.registry.processes(&reference(at)?).await?).into_response())
}

/// Open files and sockets of a checkpoint
#[utoipa::path(
    get, path = "/checkpoints/{reference}/files", tag = "contents",
    params(
        ("reference" = String, Path),
        ("pid" = Option<u32>, Query, description = "Of this process only."),
    ),
    responses((status = 200, body = OpenFiles), Problems)
)]
pub(super) async fn files(State(app): State<Shared>, at: Segment, uri: Uri) -> Response {
    respond(read_files(&app, &at, &uri).await)
}

async fn read_files(app: &Shared, at: &Segment, uri: &Uri) -> Handled {
    let query = Query::strict(uri, &["pid"])?;
    let pid = pid(&query)?;
    Ok(Json(app.registry.open_files(&reference(at)?, pid).await?).into_response())
}

/// Environment of a checkpoint
///
/// What its container was started with. Values that look like secrets are kept back.
#[utoipa::path(
    get, path = "/checkpoints/{reference}/environment", tag = "contents",
    params(("reference" = String, Path)),
    responses((status = 200, body = Environment), Problems)
)]
pub(super) async fn environment(State(app): State<Shared>, at: Segment, uri: Uri) -> Response {
    respond(read_environment(&app, &at, &uri).await)
}

async fn read_environment(app: &Shared, at: &Segment, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(Json(app.registry.environment(&reference(at)?).await?).into_response())
}

/// Changes of the root file system
///
/// What the container made, wrote to and deleted, against its image.
#[utoipa::path(
    get, path = "/checkpoints/{reference}/rootfs", tag = "contents",
    params(("reference" = String, Path)),
    responses((status = 200, body = RootfsChanges), Problems)
)]
pub(super) async fn rootfs(State(app): State<Shared>, at: Segment, uri: Uri) -> Response {
    respond(read_rootfs(&app, &at, &uri).await)
}

async fn read_rootfs(app: &Shared, at: &Segment, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(Json(app.registry.rootfs(&reference(at)?).await?).into_response())
}

/// How to restore a checkpoint
///
/// A Pod for Kubernetes, or commands for podman, by the engine that made the checkpoint.
#[utoipa::path(
    get, path = "/checkpoints/{reference}/restore", tag = "contents",
    params(
        ("reference" = String, Path),
        ("registry" = Option<String>, Query, description = "What nodes call this registry, as host:port; default: the host of this request."),
    ),
    responses((status = 200, body = RestoreManifests), Problems)
)]
pub(super) async fn restore(
    State(app): State<Shared>,
    at: Segment,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    respond(read_restore(&app, &at, &headers, &uri).await)
}

async fn read_restore(app: &Shared, at: &Segment, headers: &HeaderMap, uri: &Uri) -> Handled {
    let query = Query::strict(uri, &["registry"])?;
    let listen = app.settings.listen.to_string();
    let registry = query.only("registry")?.or(text(headers, "host")).unwrap_or(&listen);
    if !is_host(registry) {
        return Err(Failure::invalid("registry is no host, with a port or without"));
    }
    Ok(Json(app.registry.restore_manifests(&reference(at)?, registry).await?).into_response())
}

/// Letters, digits and what addresses have: it is written into commands for shells.
fn is_host(text: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    (1..=255).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(fine)
}

pub(super) fn pid(query: &Query) -> Handled<Option<u32>> {
    let pid = query.only("pid")?.map(str::parse).transpose();
    pid.map_err(|_| Failure::invalid("pid is not a process id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for fine in ["registry.example:5000", "127.0.0.1", "[::1]:5000"] {
            assert!(is_host(fine), "{fine}");
        }
        for bad in ["", "a b", "$(id)", "a/b", "a\"b", "-x", &"a".repeat(256)] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
