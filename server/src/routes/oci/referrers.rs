//! `/v2/<name>/referrers/<digest>`.

use axum::body::Body;
use axum::http::{StatusCode, Uri};
use pagevault_api::headers::OCI_FILTERS_APPLIED;
use pagevault_api::media_types::OCI_INDEX;

use super::digest;
use crate::app::Shared;
use crate::errors::Handled;
use crate::query::Query;
use crate::reply::{empty, set};

/// The manifests whose subject is `subject`. An empty index, not a 404, where there are none: from
/// a 404 clients conclude that this API is missing, and keep an index of their own.
pub(super) async fn list(app: &Shared, name: &str, subject: &str, uri: &Uri) -> Handled {
    let query = Query::open(uri);
    let kind = query.first("artifactType").filter(|kind| !kind.is_empty());
    let index = app.registry.referrers(name, &digest(subject)?, kind).await?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, "content-type", OCI_INDEX);
    if kind.is_some() {
        set(&mut response, OCI_FILTERS_APPLIED, "artifactType");
    }
    *response.body_mut() = Body::from(index);
    Ok(response)
}
