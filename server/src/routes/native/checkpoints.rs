//! `/api/v1/checkpoints`: push in one request, list, show.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use pagevault_api::checkpoint::{CheckpointFilter, CheckpointOrder};
use pagevault_api::reference::Reference;
use pagevault_api::upload::{CommitUpload, NewUpload, PushOptions};

use super::{Segment, pushed, respond};
use crate::app::Shared;
use crate::body::{Incoming, send};
use crate::errors::{Failure, Handled};
use crate::query::Query;

/// Checkpoints of a page where the client does not say, and at most.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1000;

/// `POST /api/v1/checkpoints`: the body is the tar, of known or unknown length.
pub(super) async fn push(State(app): State<Shared>, request: Request) -> Response {
    respond(Box::pin(push_body(&app, request)).await)
}

async fn push_body(app: &Shared, request: Request) -> Handled {
    let (parts, body) = request.into_parts();
    let options = options(&Query::strict(&parts.uri, &["ref", "workload", "node", "label"])?)?;
    let body = Incoming::new(app, body, &parts.headers);
    let new = NewUpload { options, bytes: body.length(), hint: None };
    let registry = app.registry.clone();
    let done = send(body, |body| async move {
        let id = registry.open_upload(new).await?.id;
        let done = match registry.append_upload(&id, 0, body).await {
            Ok(bytes) => {
                registry.commit_upload(&id, CommitUpload { bytes, ..CommitUpload::default() }).await
            }
            Err(error) => Err(error),
        };
        if done.is_err() {
            // Nobody knows its identifier: it cannot be gone on with.
            let _ = registry.cancel_upload(&id).await;
        }
        done
    })
    .await?;
    Ok(pushed(done))
}

/// `GET /api/v1/checkpoints`: newest first.
pub(super) async fn list(State(app): State<Shared>, uri: Uri) -> Response {
    respond(list_page(&app, &uri).await)
}

async fn list_page(app: &Shared, uri: &Uri) -> Handled {
    const NAMES: [&str; 8] =
        ["namespace", "pod", "container", "workload", "repository", "label", "limit", "cursor"];
    let query = Query::strict(uri, &NAMES)?;
    let only = |name| query.only(name).map(|value| value.map(str::to_owned));
    let filter = CheckpointFilter {
        namespace: only("namespace")?,
        pod: only("pod")?,
        container: only("container")?,
        workload: only("workload")?,
        repository: only("repository")?,
        labels: labels(&query)?,
        ..CheckpointFilter::default()
    };
    let limit = limit(query.only("limit")?)?;
    let page = app
        .registry
        .checkpoints(filter, CheckpointOrder::default(), query.only("cursor")?, limit)
        .await?;
    Ok(Json(page).into_response())
}

/// `GET /api/v1/checkpoints/{reference}`: one, with all that is known of it.
pub(super) async fn show(State(app): State<Shared>, Segment(text): Segment, uri: Uri) -> Response {
    respond(detail(&app, &text, &uri).await)
}

async fn detail(app: &Shared, text: &str, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    let reference: Reference = text.parse().map_err(invalid)?;
    Ok(Json(app.registry.checkpoint(&reference).await?).into_response())
}

fn options(query: &Query) -> Handled<PushOptions> {
    Ok(PushOptions {
        reference: query.only("ref")?.map(str::parse).transpose().map_err(invalid)?,
        workload: query.only("workload")?.map(str::to_owned),
        node: query.only("node")?.map(str::to_owned),
        labels: labels(query)?,
    })
}

fn labels(query: &Query) -> Handled<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for label in query.all("label") {
        let (key, value) = label
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Failure::invalid(format!("label {label:?} is not key=value")))?;
        if labels.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::invalid(format!("label {key:?} is there twice")));
        }
    }
    Ok(labels)
}

pub(super) fn limit(text: Option<&str>) -> Handled<usize> {
    let Some(text) = text else { return Ok(LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| Failure::invalid(format!("limit is a number from 1 to {LIMIT_MAX}")))
}

fn invalid(error: pagevault_api::reference::InvalidReference) -> Failure {
    Failure::invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::open(&format!("/x?{text}").parse().unwrap())
    }

    #[test]
    fn options_of_a_push() {
        let read = options(&query("ref=a/b:c&workload=w&node=n&label=k=v&label=x=")).unwrap();
        assert_eq!(read.reference.unwrap().to_string(), "a/b:c");
        assert_eq!(read.workload.as_deref(), Some("w"));
        assert_eq!(read.labels["k"], "v");
        assert_eq!(read.labels["x"], "");
        for wrong in ["ref=A", "ref=a&ref=b", "label=k", "label==v", "label=k=1&label=k=2"] {
            assert!(options(&query(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits() {
        assert_eq!(limit(None).unwrap(), LIMIT);
        assert_eq!(limit(Some("1000")).unwrap(), 1000);
        for wrong in ["0", "1001", "-1", "x", ""] {
            assert!(limit(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
