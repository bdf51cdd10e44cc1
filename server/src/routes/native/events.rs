//! `/api/v1/events`: what happens, as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use futures_util::stream;
use pagevault_api::event::Event;
use pagevault_registry::Listening;

use super::respond;
use crate::app::Shared;
use crate::errors::Handled;
use crate::query::Query;
use crate::reply::{set, text};

/// How often something is sent where nothing happens, so that a connection that has gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Events
///
/// A stream of server-sent events that does not end: `id: NUMBER`, `event: TYPE`, `data: Event`.
/// After `Last-Event-ID`, if that is given.
#[utoipa::path(
    get, path = "/events", tag = "events",
    params(("Last-Event-ID" = Option<u64>, Header, description = "Number of the last event that was seen.")),
    responses((status = 200, body = String, content_type = "text/event-stream"), super::Problems)
)]
pub(super) async fn stream(State(app): State<Shared>, headers: HeaderMap, uri: Uri) -> Response {
    respond(begin(&app, &headers, &uri))
}

fn begin(app: &Shared, headers: &HeaderMap, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    let after = text(headers, "last-event-id").and_then(|id| id.parse().ok());
    let state = (app.clone(), app.registry.listen(after), true);
    let parts = stream::unfold(state, |(app, mut listening, first)| async move {
        let part = match first {
            true => Some(Bytes::from_static(b": events\n\n")),
            false => next(&app, &mut listening).await,
        };
        Some((Ok::<_, Infallible>(part?), (app, listening, false)))
    });
    let mut response = Response::new(Body::from_stream(parts));
    set(&mut response, "content-type", "text/event-stream");
    set(&mut response, "cache-control", "no-store");
    Ok(response)
}

/// The next part of the stream; none when the server ends.
async fn next(app: &Shared, listening: &mut Listening) -> Option<Bytes> {
    tokio::select! {
        event = listening.next() => event.map(|event| frame(&event)),
        () = tokio::time::sleep(KEEP_ALIVE) => Some(Bytes::from_static(b":\n\n")),
        () = app.drained() => None,
    }
}

/// JSON has no line breaks of its own.
fn frame(event: &Event) -> Bytes {
    let data = serde_json::to_string(event).unwrap_or_default();
    Bytes::from(format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.what.name()))
}
