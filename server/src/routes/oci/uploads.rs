//! `/v2/<name>/blobs/uploads/`: blobs, in one piece or in chunks.
//!
//! Locations are relative, so that they hold behind any proxy. What an upload holds is told as
//! `Range: 0-<last>`, which is `0-0` both for nothing and for one byte: so the specification.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use pagevault_api::Digest;
use pagevault_api::headers::{DOCKER_CONTENT_DIGEST, DOCKER_UPLOAD_UUID};
use pagevault_api::oci_error::OciErrorCode;
use pagevault_registry::DigestAlgorithm;

use super::digest;
use crate::app::Shared;
use crate::body::{Incoming, send, to_the_end};
use crate::errors::{Failure, Handled};
use crate::query::Query;
use crate::range::chunk;
use crate::reply::{empty, set, text};
use crate::warning::warn_of_expiry;

/// Opens an upload; or mounts a blob of another repository; or takes a blob in one request.
pub(super) async fn start(app: &Shared, name: &str, parts: &Parts, body: Body) -> Handled {
    let query = Query::open(&parts.uri);
    if let Some(wanted) = query.first("mount") {
        let wanted = digest(wanted)?;
        if app.registry.mount_blob(name, &wanted, query.first("from")).await? {
            return Ok(created(name, &wanted));
        }
    } else if let Some(wanted) = query.first("digest") {
        let body = Incoming::new(app, body, &parts.headers);
        return at_once(app, name, digest(wanted)?, body).await;
    }
    let algorithm = match query.first("digest-algorithm") {
        Some(named) => known(DigestAlgorithm::named(named), named)?,
        None => DigestAlgorithm::default(),
    };
    let id = app.registry.start_blob_upload(name, algorithm).await?;
    Ok(progress(StatusCode::ACCEPTED, name, &id, 0))
}

async fn at_once(app: &Shared, name: &str, wanted: Digest, body: Incoming) -> Handled {
    let (registry, repository) = (app.registry.clone(), name.to_owned());
    let (expected, algorithm) = (wanted.clone(), algorithm_of(&wanted)?);
    send(body, |body| async move {
        let id = registry.start_blob_upload(&repository, algorithm).await?;
        let stored = match registry.append_blob(&repository, &id, Some(0), None, body).await {
            Ok(_) => registry.finish_blob_upload(&repository, &id, &expected).await,
            Err(error) => Err(error),
        };
        if stored.is_err() {
            // Nobody knows its identifier: it cannot be gone on with.
            let _ = registry.cancel_blob_upload(&repository, &id).await;
        }
        stored
    })
    .await?;
    Ok(created(name, &wanted))
}

/// Says what has arrived.
pub(super) async fn status(app: &Shared, name: &str, id: &str) -> Handled {
    let upload = app.registry.blob_upload(name, id).await?;
    let mut response = progress(StatusCode::NO_CONTENT, name, id, upload.bytes);
    warn_of_expiry(&mut response, "what was sent of this upload", upload.left);
    Ok(response)
}

/// Appends a chunk.
pub(super) async fn append(
    app: &Shared,
    name: &str,
    id: &str,
    parts: &Parts,
    body: Body,
) -> Handled {
    let body = Incoming::new(app, body, &parts.headers);
    match receive(app, name, id, None, parts, body).await {
        Ok(offset) => Ok(progress(StatusCode::ACCEPTED, name, id, offset)),
        Err(failure) => Ok(refused(name, id, failure)),
    }
}

/// Ends an upload, with or without a last chunk.
pub(super) async fn finish(
    app: &Shared,
    name: &str,
    id: &str,
    parts: &Parts,
    body: Body,
) -> Handled {
    let query = Query::open(&parts.uri);
    let wanted = query.first("digest").ok_or_else(|| {
        Failure::bad(OciErrorCode::DigestInvalid, "the query lacks digest=<digest of the blob>")
    })?;
    let wanted = digest(wanted)?;
    let body = Incoming::new(app, body, &parts.headers);
    if !body.is_empty()
        && let Err(failure) = receive(app, name, id, Some(&wanted), parts, body).await
    {
        return Ok(refused(name, id, failure));
    }
    let (registry, repository, id) = (app.registry.clone(), name.to_owned(), id.to_owned());
    let expected = wanted.clone();
    to_the_end(async move { registry.finish_blob_upload(&repository, &id, &expected).await })
        .await?;
    Ok(created(name, &wanted))
}

/// Forgets an upload.
pub(super) async fn cancel(app: &Shared, name: &str, id: &str) -> Handled {
    let (registry, name, id) = (app.registry.clone(), name.to_owned(), id.to_owned());
    to_the_end(async move { registry.cancel_blob_upload(&name, &id).await }).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Appends a body where `Content-Range` says, else at the end; returns the bytes that are there.
async fn receive(
    app: &Shared,
    name: &str,
    id: &str,
    wanted: Option<&Digest>,
    parts: &Parts,
    mut body: Incoming,
) -> Handled<u64> {
    let algorithm = wanted.map(algorithm_of).transpose()?;
    let mut offset = None;
    if let Some(range) = text(&parts.headers, "content-range") {
        let range = chunk(range).ok_or_else(|| {
            let detail = format!("Content-Range {range:?} is not of the form 0-499");
            Failure::bad(OciErrorCode::BlobUploadInvalid, detail)
        })?;
        let bytes = range.end - range.start;
        if body.length().is_some_and(|length| length != bytes) {
            let detail = format!("Content-Range speaks of {bytes} bytes, Content-Length of others");
            return Err(Failure::bad(OciErrorCode::SizeInvalid, detail));
        }
        body.expect(bytes);
        offset = Some(range.start);
    }
    let (registry, name, id) = (app.registry.clone(), name.to_owned(), id.to_owned());
    send(
        body,
        |body| async move { registry.append_blob(&name, &id, offset, algorithm, body).await },
    )
    .await
}

fn algorithm_of(digest: &Digest) -> Handled<DigestAlgorithm> {
    known(DigestAlgorithm::of(digest), digest.algorithm().as_ref())
}

fn known(algorithm: Option<DigestAlgorithm>, named: &str) -> Handled<DigestAlgorithm> {
    algorithm.ok_or_else(|| {
        let detail = format!("digests are sha256 or sha512 here, not {named:?}");
        Failure::bad(OciErrorCode::DigestInvalid, detail)
    })
}

/// A failure; where the chunk came out of order, with what is there, so that the client goes on.
fn refused(name: &str, id: &str, failure: Failure) -> Response {
    let offset = failure.offset();
    let mut response = failure.into_oci();
    if let Some(offset) = offset {
        describe(&mut response, name, id, offset);
    }
    response
}

fn progress(status: StatusCode, name: &str, id: &str, offset: u64) -> Response {
    let mut response = empty(status);
    describe(&mut response, name, id, offset);
    response
}

fn describe(response: &mut Response, name: &str, id: &str, offset: u64) {
    set(response, "location", format!("/v2/{name}/blobs/uploads/{id}"));
    set(response, "range", format!("0-{}", offset.saturating_sub(1)));
    set(response, DOCKER_UPLOAD_UUID, id);
}

fn created(name: &str, digest: &Digest) -> Response {
    let mut response = empty(StatusCode::CREATED);
    set(&mut response, "location", format!("/v2/{name}/blobs/{digest}"));
    set(&mut response, DOCKER_CONTENT_DIGEST, digest);
    response
}
