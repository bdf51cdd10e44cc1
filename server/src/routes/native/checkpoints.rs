//! `/api/v1/checkpoints`: push in one request, list, show.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use pagevault_api::checkpoint::{
    Checkpoint, CheckpointDetail, CheckpointFilter, CheckpointOrder, Pushed, SortKey,
};
use pagevault_api::page::Page;
use pagevault_api::upload::{CommitUpload, LABELS_MAX, NewUpload, PushOptions};

use super::{Problems, Segment, pushed, reference, respond};
use crate::app::Shared;
use crate::body::{Incoming, send};
use crate::errors::{Failure, Handled};
use crate::query::Query;

/// Checkpoints of a page where the client does not say, and at most.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1000;

/// Push a checkpoint
///
/// The body is the tar, plain or compressed with gzip or zstd, of known or unknown length.
#[utoipa::path(
    post, path = "/checkpoints", tag = "checkpoints",
    params(
        ("ref" = Option<String>, Query, description = "Where to put it, as REPOSITORY:TAG."),
        ("workload" = Option<String>, Query, description = "What the pod belongs to."),
        ("node" = Option<String>, Query, description = "Node that it was taken on."),
        ("label" = Option<Vec<String>>, Query, description = "key=value; may be given many times."),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Pushed), (status = 200, body = Pushed), Problems)
)]
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

/// List checkpoints
#[utoipa::path(
    get, path = "/checkpoints", tag = "checkpoints",
    params(
        ("namespace" = Option<String>, Query), ("pod" = Option<String>, Query),
        ("container" = Option<String>, Query),
        ("workload" = Option<String>, Query, description = "The one that was named at the push, else the pod's name."),
        ("node" = Option<String>, Query),
        ("image" = Option<String>, Query, description = "Image of the container, or its digest."),
        ("repository" = Option<String>, Query),
        ("label" = Option<Vec<String>>, Query, description = "key=value; may be given many times."),
        ("pinned" = Option<bool>, Query),
        ("since" = Option<String>, Query, description = "Taken at this time or later (RFC 3339)."),
        ("until" = Option<String>, Query, description = "Taken before this time (RFC 3339)."),
        ("sort" = Option<SortKey>, Query, description = "Default: time."),
        ("order" = Option<String>, Query, description = "asc or desc; default desc: newest or largest first."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses((status = 200, body = Page<Checkpoint>), Problems)
)]
pub(super) async fn list(State(app): State<Shared>, uri: Uri) -> Response {
    respond(list_page(&app, &uri).await)
}

async fn list_page(app: &Shared, uri: &Uri) -> Handled {
    const NAMES: [&str; 15] = [
        "namespace",
        "pod",
        "container",
        "workload",
        "node",
        "image",
        "repository",
        "label",
        "pinned",
        "since",
        "until",
        "sort",
        "order",
        "limit",
        "cursor",
    ];
    let query = Query::strict(uri, &NAMES)?;
    let (filter, order) = (filter(&query)?, order(&query)?);
    let limit = limit(query.only("limit")?)?;
    let page = app.registry.checkpoints(filter, order, query.only("cursor")?, limit).await?;
    Ok(Json(page).into_response())
}

fn filter(query: &Query) -> Handled<CheckpointFilter> {
    let only = |name| query.only(name).map(|value| value.map(str::to_owned));
    let pinned = query.only("pinned")?.map(str::parse).transpose();
    Ok(CheckpointFilter {
        namespace: only("namespace")?,
        pod: only("pod")?,
        container: only("container")?,
        workload: only("workload")?,
        node: only("node")?,
        image: only("image")?,
        repository: only("repository")?,
        labels: labels(query)?,
        pinned: pinned.map_err(|_| Failure::invalid("pinned is true or false"))?,
        since: time(query, "since")?,
        until: time(query, "until")?,
    })
}

fn order(query: &Query) -> Handled<CheckpointOrder> {
    let by = match query.only("sort")? {
        None | Some("time") => SortKey::Time,
        Some("size") => SortKey::Size,
        Some("stored") => SortKey::Stored,
        Some(_) => return Err(Failure::invalid("sort is time, size or stored")),
    };
    match query.only("order")? {
        None | Some("desc") => Ok(CheckpointOrder { by, ascending: false }),
        Some("asc") => Ok(CheckpointOrder { by, ascending: true }),
        Some(_) => Err(Failure::invalid("order is asc or desc")),
    }
}

fn time(query: &Query, name: &str) -> Handled<Option<Timestamp>> {
    let time = query.only(name)?.map(str::parse).transpose();
    time.map_err(|_| Failure::invalid(format!("{name} is no time as in 2026-11-23T09:20:33Z")))
}

/// Show a checkpoint
#[utoipa::path(
    get, path = "/checkpoints/{reference}", tag = "checkpoints",
    params(("reference" = String, Path, description = "`REPOSITORY:TAG` or `REPOSITORY@DIGEST`, as one segment: slashes are `%2F`.")),
    responses((status = 200, body = CheckpointDetail), Problems)
)]
pub(super) async fn show(State(app): State<Shared>, at: Segment, uri: Uri) -> Response {
    respond(detail(&app, &at, &uri).await)
}

async fn detail(app: &Shared, at: &Segment, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(Json(app.registry.checkpoint(&reference(at)?).await?).into_response())
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
    if query.all("label").count() > LABELS_MAX {
        return Err(Failure::invalid(format!("more than {LABELS_MAX} labels")));
    }
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
