//! `/api/v1/stats`, `/api/v1/workloads`: sums.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use pagevault_api::page::Page;
use pagevault_api::stats::{GrowthPoint, NamespaceStats, StoreStats};
use pagevault_api::workload::{Workload, WorkloadFilter};

use super::checkpoints::limit;
use super::{Problems, respond};
use crate::app::Shared;
use crate::errors::Handled;
use crate::query::Query;

/// Totals
#[utoipa::path(
    get, path = "/stats", tag = "statistics",
    responses((status = 200, body = StoreStats), Problems)
)]
pub(super) async fn totals(State(app): State<Shared>, uri: Uri) -> Response {
    respond(read(&app, &uri).await)
}

async fn read(app: &Shared, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(Json(app.registry.stats().await?).into_response())
}

/// Sums of each namespace
#[utoipa::path(
    get, path = "/stats/namespaces", tag = "statistics",
    responses((status = 200, body = Page<NamespaceStats>), Problems)
)]
pub(super) async fn namespaces(State(app): State<Shared>, uri: Uri) -> Response {
    respond(read_namespaces(&app, &uri).await)
}

async fn read_namespaces(app: &Shared, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(Json(app.registry.namespaces().await?).into_response())
}

/// Running sums over time
///
/// Of the checkpoints that are here, by the time when they were taken: at most 120 points.
#[utoipa::path(
    get, path = "/stats/growth", tag = "statistics",
    responses((status = 200, body = Page<GrowthPoint>), Problems)
)]
pub(super) async fn growth(State(app): State<Shared>, uri: Uri) -> Response {
    respond(read_growth(&app, &uri).await)
}

async fn read_growth(app: &Shared, uri: &Uri) -> Handled {
    Query::strict(uri, &[])?;
    Ok(Json(app.registry.growth().await?).into_response())
}

/// List workloads
///
/// That with the newest checkpoint first, each container for itself.
#[utoipa::path(
    get, path = "/workloads", tag = "checkpoints",
    params(
        ("namespace" = Option<String>, Query),
        ("name" = Option<String>, Query, description = "Name of the workload, or of the pod where no workload was named."),
        ("container" = Option<String>, Query),
        ("search" = Option<String>, Query, description = "A part of the name of the workload, one of its pods, its namespace or the container."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses((status = 200, body = Page<Workload>), Problems)
)]
pub(super) async fn workloads(State(app): State<Shared>, uri: Uri) -> Response {
    respond(list_workloads(&app, &uri).await)
}

async fn list_workloads(app: &Shared, uri: &Uri) -> Handled {
    let query =
        Query::strict(uri, &["namespace", "name", "container", "search", "limit", "cursor"])?;
    let only = |name| query.only(name).map(|value| value.map(str::to_owned));
    let filter = WorkloadFilter {
        namespace: only("namespace")?,
        name: only("name")?,
        container: only("container")?,
        search: only("search")?,
    };
    let limit = limit(query.only("limit")?)?;
    let page = app.registry.workloads(filter, query.only("cursor")?, limit).await?;
    Ok(Json(page).into_response())
}
