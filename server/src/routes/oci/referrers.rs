//! `/v2/<name>/referrers/<digest>`.

use axum::body::Body;
use axum::http::{StatusCode, Uri};
use pagevault_api::headers::OCI_FILTERS_APPLIED;
use pagevault_api::media_types::OCI_INDEX;

use super::digest;
use crate::app::Shared;
use crate::errors::Handled;
use crate::query::{Query, encode};
use crate::reply::{empty, set};

/// The manifests whose subject is `subject`. An empty index, not a 404, where there are none: from
/// a 404 clients conclude that this API is missing, and keep an index of their own.
pub(super) async fn list(app: &Shared, name: &str, subject: &str, uri: &Uri) -> Handled {
    let query = Query::open(uri);
    let subject = digest(subject)?;
    let kind = query.first("artifactType").filter(|kind| !kind.is_empty());
    let page = app.registry.referrers(name, &subject, kind, query.first("last")).await?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, "content-type", OCI_INDEX);
    set(&mut response, "content-length", page.index.len().to_string());
    if kind.is_some() {
        set(&mut response, OCI_FILTERS_APPLIED, "artifactType");
    }
    if let Some(last) = page.next {
        let kind = kind.map(|kind| format!("&artifactType={}", encode(kind))).unwrap_or_default();
        let next = format!("/v2/{name}/referrers/{subject}?last={}{kind}", encode(&last));
        set(&mut response, "link", format!("<{next}>; rel=\"next\""));
    }
    *response.body_mut() = Body::from(page.index);
    Ok(response)
}
