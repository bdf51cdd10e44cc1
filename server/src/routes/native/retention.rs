//! `/api/v1/retention`: policies and quotas, runs, and why each checkpoint stays or goes.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use pagevault_api::oci_error::OciErrorCode;
use pagevault_api::page::Page;
use pagevault_api::retention::{
    RetentionAction, RetentionConfig, RetentionDecision, RetentionResult, StartRetention,
};
use pagevault_api::run::Run;
use pagevault_registry::Policies;

use super::{Problems, Segment, checkpoints, json, number, respond, uploads};
use crate::app::Shared;
use crate::body::{Incoming, to_the_end};
use crate::errors::{Failure, Handled};
use crate::policies::{from_yaml, to_yaml};
use crate::query::Query;
use crate::reply::{fresh, set, text};

/// Bytes of policies and quotas.
const POLICIES_MAX: u64 = 1 << 20;
/// Bytes of a body that says how to run.
const START_MAX: u64 = 4 << 10;

/// Show policies and quotas
///
/// JSON, or YAML for who accepts that, with an ETag. It is `"file"` where a file that the server was
/// started with says what holds.
#[utoipa::path(
    get, path = "/retention/policies", tag = "retention",
    responses((status = 200, content(
        (RetentionConfig = "application/json"), (String = "application/yaml")
    )), Problems)
)]
pub(super) async fn policies(State(app): State<Shared>, headers: HeaderMap, uri: Uri) -> Response {
    respond(read_policies(&app, &headers, &uri).await)
}

async fn read_policies(app: &Shared, headers: &HeaderMap, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    described(app.registry.policies().await?, headers)
}

/// Replace policies and quotas
///
/// If they are still those of `If-Match`.
#[utoipa::path(
    put, path = "/retention/policies", tag = "retention",
    params(("If-Match" = String, Header, description = "The ETag that GET told, or `*`.")),
    request_body(content((RetentionConfig = "application/json"), (String = "application/yaml"))),
    responses((status = 200, content(
        (RetentionConfig = "application/json"), (String = "application/yaml")
    )), Problems)
)]
pub(super) async fn put_policies(State(app): State<Shared>, request: Request) -> Response {
    respond(write_policies(&app, request).await)
}

async fn write_policies(app: &Shared, request: Request) -> Handled {
    Query::strict(request.uri(), &[])?;
    let (parts, body) = request.into_parts();
    let expected = if_match(&parts.headers)?;
    let is_yaml = text(&parts.headers, "content-type").is_some_and(|kind| kind.contains("yaml"));
    let body = Incoming::new(app, body, &parts.headers).read(POLICIES_MAX).await?;
    let config: RetentionConfig = if is_yaml {
        let yaml = std::str::from_utf8(&body)
            .map_err(|e| Failure::invalid(format!("the body is not text: {e}")))?;
        from_yaml(yaml).map_err(|e| Failure::invalid(format!("the body, as YAML: {e}")))?
    } else {
        json(&body)?
    };
    let registry = app.registry.clone();
    let put =
        to_the_end(async move { registry.put_policies(config, expected.as_deref()).await }).await?;
    described(put, &parts.headers)
}

/// The ETag that the client has seen; nothing for `*`.
fn if_match(headers: &HeaderMap) -> Handled<Option<String>> {
    let value = text(headers, "if-match").map(str::trim).ok_or_else(|| {
        let detail = "the request lacks If-Match: the ETag of the policies that it is to replace \
                      (GET tells it), or * for any";
        Failure::new(StatusCode::PRECONDITION_REQUIRED, OciErrorCode::Unsupported, detail)
    })?;
    if value == "*" {
        return Ok(None);
    }
    let etag = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let etag = etag.ok_or_else(|| Failure::invalid("If-Match is one ETag in quotes, or *"))?;
    Ok(Some(etag.to_owned()))
}

fn described(policies: Policies, headers: &HeaderMap) -> Handled {
    let accepts_yaml = text(headers, "accept").is_some_and(|kinds| kinds.contains("yaml"));
    let mut response = if accepts_yaml {
        let yaml = to_yaml(&policies.config).map_err(|e| {
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, OciErrorCode::Unknown, e)
        })?;
        ([(header::CONTENT_TYPE, "application/yaml")], yaml).into_response()
    } else {
        Json(policies.config).into_response()
    };
    set(&mut response, "etag", format!("\"{}\"", policies.etag));
    set(&mut response, "cache-control", "no-cache");
    set(&mut response, "vary", "accept");
    Ok(response)
}

/// Start a run
///
/// It goes on by itself; 409 while there is one.
#[utoipa::path(
    post, path = "/retention/run", tag = "retention", request_body = StartRetention,
    responses((status = 202, body = Run<RetentionResult>), Problems)
)]
pub(super) async fn start(State(app): State<Shared>, request: Request) -> Response {
    respond(begin(&app, request).await)
}

async fn begin(app: &Shared, request: Request) -> Handled {
    let StartRetention { dry_run } = uploads::body(app, request, START_MAX).await?;
    let run = app.registry.start_retention(dry_run)?;
    let location = format!("/api/v1/retention/runs/{}", run.id);
    let mut response = (StatusCode::ACCEPTED, Json(run)).into_response();
    set(&mut response, "location", location);
    Ok(response)
}

/// List runs
///
/// The last ones, newest first.
#[utoipa::path(
    get, path = "/retention/runs", tag = "retention",
    responses((status = 200, body = Page<Run<RetentionResult>>), Problems)
)]
pub(super) async fn runs(State(app): State<Shared>, uri: Uri) -> Response {
    let page = Page { items: app.registry.retention_runs(), next: None };
    respond(Query::strict(&uri, &[]).map(|_| fresh(page)))
}

/// Show a run
#[utoipa::path(
    get, path = "/retention/runs/{id}", tag = "retention", params(("id" = u64, Path)),
    responses((status = 200, body = Run<RetentionResult>), Problems)
)]
pub(super) async fn run(State(app): State<Shared>, Segment(id): Segment, uri: Uri) -> Response {
    let found = || {
        Query::strict(&uri, &[])?;
        Ok(fresh(app.registry.retention_run(number(&id)?)?))
    };
    respond(found())
}

/// Ask a run to end
///
/// What it has deleted stays deleted.
#[utoipa::path(
    post, path = "/retention/runs/{id}/cancel", tag = "retention", params(("id" = u64, Path)),
    responses((status = 202, body = Run<RetentionResult>), Problems)
)]
pub(super) async fn cancel(State(app): State<Shared>, Segment(id): Segment, uri: Uri) -> Response {
    let asked = || {
        Query::strict(&uri, &[])?;
        let run = app.registry.cancel_retention_run(number(&id)?)?;
        Ok((StatusCode::ACCEPTED, Json(run)).into_response())
    };
    respond(asked())
}

/// Show what the newest run has decided of each checkpoint, and why
#[utoipa::path(
    get, path = "/retention/runs/{id}/plan", tag = "retention",
    params(
        ("id" = u64, Path),
        ("action" = Option<RetentionAction>, Query, description = "Only these."),
        ("limit" = Option<u32>, Query, description = "Most items of the page."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses((status = 200, body = Page<RetentionDecision>), Problems)
)]
pub(super) async fn plan(State(app): State<Shared>, Segment(id): Segment, uri: Uri) -> Response {
    respond(show_plan(&app, &id, &uri))
}

fn show_plan(app: &Shared, id: &str, uri: &Uri) -> Handled {
    let query = Query::strict(uri, &["action", "limit", "cursor"])?;
    let action = match query.only("action")? {
        None => None,
        Some("keep") => Some(RetentionAction::Keep),
        Some("delete") => Some(RetentionAction::Delete),
        Some(_) => return Err(Failure::invalid("action is keep or delete")),
    };
    let limit = checkpoints::limit(query.only("limit")?)?;
    let page = app.registry.retention_plan(number(id)?, action, query.only("cursor")?, limit)?;
    Ok(fresh(page))
}
