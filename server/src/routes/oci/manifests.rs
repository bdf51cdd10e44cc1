//! `/v2/<name>/manifests/<reference>`.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use pagevault_api::headers::{DOCKER_CONTENT_DIGEST, OCI_SUBJECT, OCI_TAG};
use pagevault_api::oci_error::OciErrorCode;
use pagevault_api::reference::{Selector, check_tag};

use super::digest;
use crate::app::Shared;
use crate::body::{Incoming, to_the_end};
use crate::errors::{Failure, Handled};
use crate::query::Query;
use crate::reply::{empty, set, text};
use crate::warning::{MEMORY, warn};

/// Tags that one PUT may set; each is a record of its own.
const TAGS_MAX: usize = 100;

/// The manifest, in the type that it was pushed with: what `Accept` says is not looked at, since
/// clients that leave a type out fail on a 404 and cope with the type. Always whole: a manifest is
/// smaller than what containerd asks for with its `Range: bytes=0-`.
pub(super) async fn get(app: &Shared, name: &str, reference: &str, headers: &HeaderMap) -> Handled {
    let selector = existing(name, reference)?;
    let manifest = app.registry.manifest(name, &selector).await?;
    let digest = manifest.digest.to_string();
    let etag = format!("\"{digest}\"");
    let fresh = text(headers, "if-none-match")
        .is_some_and(|known| known.split(',').any(|tag| matches!(tag.trim(), t if t == etag)));
    let status = if fresh { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = empty(status);
    set(&mut response, "etag", etag);
    set(&mut response, DOCKER_CONTENT_DIGEST, digest);
    if manifest.checkpoint {
        warn(&mut response, MEMORY);
    }
    if !fresh {
        set(&mut response, "content-type", &manifest.media_type);
        set(&mut response, "content-length", manifest.bytes.len().to_string());
        *response.body_mut() = Body::from(manifest.bytes);
    }
    Ok(response)
}

/// Stores a manifest; sets the tag of the path and those of `?tag=`.
pub(super) async fn put(
    app: &Shared,
    name: &str,
    reference: &str,
    parts: &Parts,
    body: Body,
) -> Handled {
    let selector = wanted(reference)?;
    let query = Query::open(&parts.uri);
    let tags: Vec<_> = query.all("tag").map(str::to_owned).collect();
    if tags.len() > TAGS_MAX {
        let detail = format!("at most {TAGS_MAX} tags can be set at once");
        return Err(Failure::new(StatusCode::URI_TOO_LONG, OciErrorCode::Unsupported, detail));
    }
    tags.iter().try_for_each(|tag| tag_name(tag))?;
    let media_type = text(&parts.headers, "content-type")
        .map(|kind| kind.split(';').next().unwrap_or(kind).trim().to_owned())
        .filter(|kind| !kind.is_empty());
    let body = Incoming::new(app, body, &parts.headers);
    let bytes = body.read(app.settings.manifest_max.0).await?;
    let (registry, repository) = (app.registry.clone(), name.to_owned());
    let tagged = !tags.is_empty();
    let put = to_the_end(async move {
        registry.put_manifest(&repository, &selector, &tags, media_type.as_deref(), bytes).await
    })
    .await?;
    let mut response = empty(StatusCode::CREATED);
    set(&mut response, "location", format!("/v2/{name}/manifests/{}", put.digest));
    set(&mut response, DOCKER_CONTENT_DIGEST, &put.digest);
    if put.missing > 0 {
        let what = format!("{} blobs of this manifest are not in this repository", put.missing);
        warn(&mut response, &what);
    }
    if let Some(subject) = put.subject {
        set(&mut response, OCI_SUBJECT, &subject);
    }
    for tag in put.tags.iter().filter(|_| tagged) {
        if let Ok(value) = HeaderValue::from_str(tag) {
            response.headers_mut().append(OCI_TAG, value);
        }
    }
    Ok(response)
}

/// Removes a tag, or a manifest with its tags.
pub(super) async fn delete(app: &Shared, name: &str, reference: &str) -> Handled {
    let selector = existing(name, reference)?;
    let (registry, repository) = (app.registry.clone(), name.to_owned());
    to_the_end(async move { registry.delete_manifest(&repository, &selector).await }).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

/// A reference to what may be there: a tag that cannot exist is not there.
fn existing(name: &str, reference: &str) -> Handled<Selector> {
    if reference.contains(':') {
        return digest(reference).map(Selector::Digest);
    }
    check_tag(reference).map_err(|_| {
        let detail = format!("no manifest {name}:{reference}");
        Failure::new(StatusCode::NOT_FOUND, OciErrorCode::ManifestUnknown, detail)
    })?;
    Ok(Selector::Tag(reference.to_owned()))
}

/// A reference to what shall be there.
fn wanted(reference: &str) -> Handled<Selector> {
    if reference.contains(':') {
        return digest(reference).map(Selector::Digest);
    }
    tag_name(reference)?;
    Ok(Selector::Tag(reference.to_owned()))
}

fn tag_name(tag: &str) -> Handled<()> {
    check_tag(tag).map_err(|e| Failure::bad(OciErrorCode::ManifestInvalid, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(failure: Failure) -> u16 {
        failure.into_oci().status().as_u16()
    }

    #[test]
    fn a_name_that_cannot_be_is_not_there_but_cannot_be_made() {
        assert_eq!(status(existing("a", ".INVALID").unwrap_err()), 404);
        assert_eq!(status(wanted(".INVALID").unwrap_err()), 400);
        assert_eq!(status(existing("a", "sha256:12").unwrap_err()), 400);
        assert_eq!(status(wanted("md5:0123").unwrap_err()), 400);
        assert!(matches!(existing("a", "latest").unwrap(), Selector::Tag(tag) if tag == "latest"));
    }
}
