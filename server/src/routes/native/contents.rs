//! `/api/v1/checkpoints/{reference}/…`: what is in a checkpoint.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};

use super::{Segment, reference, respond};
use crate::app::Shared;
use crate::errors::{Failure, Handled};
use crate::query::Query;

/// `GET …/processes`: the process tree.
pub(super) async fn processes(State(app): State<Shared>, at: Segment, uri: Uri) -> Response {
    respond(read_processes(&app, &at, &uri).await)
}

async fn read_processes(app: &Shared, at: &Segment, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(Json(app.registry.processes(&reference(at)?).await?).into_response())
}

/// `GET …/files`: open files and sockets.
pub(super) async fn files(State(app): State<Shared>, at: Segment, uri: Uri) -> Response {
    respond(read_files(&app, &at, &uri).await)
}

async fn read_files(app: &Shared, at: &Segment, uri: &Uri) -> Handled {
    let query = Query::strict(uri, &["pid"])?;
    let pid = pid(&query)?;
    Ok(Json(app.registry.open_files(&reference(at)?, pid).await?).into_response())
}

fn pid(query: &Query) -> Handled<Option<u32>> {
    let pid = query.only("pid")?.map(str::parse).transpose();
    pid.map_err(|_| Failure::invalid("pid is not a process id"))
}
