//! `/api/v1/checkpoints/{reference}/memory…` and `/api/v1/diff`: memory, and what differs.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use pagevault_api::contents::{Address, MEMORY_BYTES_MAX, MemoryMap};
use pagevault_api::diff::Diff;
use pagevault_api::reference::Reference;

use super::contents::pid;
use super::{Problems, Segment, reference, respond};
use crate::app::Shared;
use crate::errors::{Failure, Handled};
use crate::query::Query;
use crate::reply::{set, text};

/// Memory areas of a checkpoint
///
/// With their pages compared with another checkpoint, or else with the one before of the same
/// container.
#[utoipa::path(
    get, path = "/checkpoints/{reference}/memory-areas", tag = "contents",
    params(
        ("reference" = String, Path),
        ("pid" = Option<u32>, Query, description = "Of this process only."),
        ("against" = Option<String>, Query, description = "Reference of the checkpoint to compare with."),
    ),
    responses((status = 200, body = MemoryMap), Problems)
)]
pub(super) async fn areas(State(app): State<Shared>, at: Segment, uri: Uri) -> Response {
    respond(read_areas(&app, &at, &uri).await)
}

async fn read_areas(app: &Shared, at: &Segment, uri: &Uri) -> Handled {
    let query = Query::strict(uri, &["pid", "against"])?;
    let against = query.only("against")?.map(parse).transpose()?;
    let (reference, pid) = (reference(at)?, pid(&query)?);
    let map = Box::pin(app.registry.memory_map(&reference, pid, against.as_ref())).await?;
    Ok(Json(map).into_response())
}

/// Raw memory of a process
///
/// May hold secrets: each request is written into the server's log. All of the range must be in the
/// checkpoint, else 404.
#[utoipa::path(
    get, path = "/checkpoints/{reference}/memory", tag = "contents",
    params(
        ("reference" = String, Path),
        ("pid" = u32, Query),
        ("start" = String, Query, description = "First address: hexadecimal after 0x, or decimal."),
        ("length" = u64, Query, minimum = 1, maximum = 1048576),
    ),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), Problems)
)]
pub(super) async fn bytes(
    State(app): State<Shared>,
    at: Segment,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let client = Client {
        address: peer.map(|Extension(ConnectInfo(peer))| peer),
        agent: text(&headers, "user-agent").unwrap_or_default(),
    };
    respond(read_bytes(&app, &at, &client, &uri).await)
}

/// Who asks, for the log.
struct Client<'a> {
    address: Option<SocketAddr>,
    agent: &'a str,
}

async fn read_bytes(app: &Shared, at: &Segment, client: &Client<'_>, uri: &Uri) -> Handled {
    let query = Query::strict(uri, &["pid", "start", "length"])?;
    let missing = || Failure::invalid("the query lacks pid=, start= or length=");
    let pid = pid(&query)?.ok_or_else(missing)?;
    let start: Address =
        query.only("start")?.ok_or_else(missing)?.parse().map_err(|_| {
            Failure::invalid("start is no address: hexadecimal after 0x, or decimal")
        })?;
    let length = query.only("length")?.ok_or_else(missing)?.parse().map_err(|_| {
        Failure::invalid(format!("length is a number from 1 to {MEMORY_BYTES_MAX}"))
    })?;
    let reference = reference(at)?;
    tracing::info!(
        target: "audit",
        {
            checkpoint.reference = %reference,
            process.pid = pid,
            memory.start = %start,
            memory.length_bytes = length,
            client.address = client.address.map(tracing::field::display),
            client.agent = client.agent,
        },
        "raw memory of a checkpoint was asked for"
    );
    let memory = app.registry.memory(&reference, pid, start, length).await?;
    let mut response = Response::new(memory.into());
    set(&mut response, "content-type", "application/octet-stream");
    set(&mut response, "cache-control", "no-store");
    Ok(response)
}

/// Compare two checkpoints
///
/// Any two: processes, memory by area, open files, sockets, environment, root file system.
#[utoipa::path(
    get, path = "/diff", tag = "contents",
    params(
        ("from" = String, Query, description = "Reference of the checkpoint to compare with."),
        ("to" = String, Query, description = "Reference of the checkpoint to look at."),
    ),
    responses((status = 200, body = Diff), Problems)
)]
pub(super) async fn diff(State(app): State<Shared>, uri: Uri) -> Response {
    respond(read_diff(&app, &uri).await)
}

async fn read_diff(app: &Shared, uri: &Uri) -> Handled {
    let query = Query::strict(uri, &["from", "to"])?;
    let one = |name| -> Handled<Reference> {
        let text = query
            .only(name)?
            .ok_or_else(|| Failure::invalid(format!("the query lacks {name}=")))?;
        parse(text)
    };
    let (from, to) = (one("from")?, one("to")?);
    Ok(Json(Box::pin(app.registry.diff(&from, &to)).await?).into_response())
}

fn parse(text: &str) -> Handled<Reference> {
    text.parse::<Reference>().map_err(|e| Failure::invalid(e.to_string()))
}
