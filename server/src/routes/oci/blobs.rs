//! `/v2/<name>/blobs/<digest>`.

use std::ops::Range;

use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::response::Response;
use pagevault_api::Digest;
use pagevault_api::headers::DOCKER_CONTENT_DIGEST;
use pagevault_api::oci_error::OciErrorCode;
use pagevault_registry::Blob;

use super::digest;
use crate::app::Shared;
use crate::body::{Bits, outgoing, to_the_end};
use crate::encoding::asks_for;
use crate::errors::{Failure, Handled};
use crate::multipart::ByteRanges;
use crate::observe::unique;
use crate::range::{Selection, content_range, select};
use crate::reply::{empty, set, text};

/// What a blob is, without its bytes.
pub(super) async fn head(app: &Shared, name: &str, of: &str) -> Handled {
    let digest = digest(of)?;
    let bytes = app.registry.blob_bytes(name, &digest).await?;
    let mut response = described(StatusCode::OK, &digest);
    set(&mut response, "content-length", bytes.to_string());
    Ok(response)
}

/// A blob, or ranges of it.
pub(super) async fn get(app: &Shared, name: &str, of: &str, parts: &Parts) -> Handled {
    let headers = &parts.headers;
    let blob = app.registry.blob(name, &digest(of)?).await?;
    if let Some(frames) = Some(&blob).filter(|_| takes_zstd(parts)).and_then(Blob::zstd) {
        return encoded(&blob.digest, frames).await;
    }
    let range = text(headers, "range").filter(|_| applies(headers, &blob));
    match select(range, blob.bytes) {
        Selection::Whole => whole(blob).await,
        Selection::One(range) => part(blob, range).await,
        Selection::Many(ranges) => several(blob, ranges).await,
        Selection::Unsatisfiable => Ok(unsatisfiable(&blob)),
        Selection::Excessive => Err(Failure::bad(
            OciErrorCode::Unsupported,
            "at most 1024 ranges, together no larger than the blob, are sent at once",
        )),
    }
}

/// Removes a blob from the repository.
pub(super) async fn delete(app: &Shared, name: &str, text: &str) -> Handled {
    let digest = digest(text)?;
    let (registry, name) = (app.registry.clone(), name.to_owned());
    to_the_end(async move { registry.delete_blob(&name, &digest).await }).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

async fn whole(blob: Blob) -> Handled {
    let mut response = described(StatusCode::OK, &blob.digest);
    set(&mut response, "content-length", blob.bytes.to_string());
    *response.body_mut() = outgoing(blob.stream(0..blob.bytes)).await?;
    Ok(response)
}

/// A blob as its stored zstd frames. Nobody has counted them: there is no Content-Length.
async fn encoded(digest: &Digest, frames: Bits) -> Handled {
    let mut response = described(StatusCode::OK, digest);
    set(&mut response, "content-encoding", "zstd");
    // Weak: the same bytes may be stored in other frames tomorrow.
    set(&mut response, "etag", format!("W/\"{digest}+zstd\""));
    *response.body_mut() = outgoing(frames).await?;
    Ok(response)
}

/// Whether a client is sent zstd. Never with a range, which is one of the bytes as they are; nor where
/// a body without a length has no other end than that of the connection.
fn takes_zstd(parts: &Parts) -> bool {
    let plain = parts.headers.contains_key("range") || parts.version < Version::HTTP_11;
    !plain && asks_for("zstd", &parts.headers)
}

async fn part(blob: Blob, range: Range<u64>) -> Handled {
    let mut response = described(StatusCode::PARTIAL_CONTENT, &blob.digest);
    set(&mut response, "content-length", (range.end - range.start).to_string());
    set(&mut response, "content-range", content_range(&range, blob.bytes));
    *response.body_mut() = outgoing(blob.stream(range)).await?;
    Ok(response)
}

async fn several(blob: Blob, ranges: Vec<Range<u64>>) -> Handled {
    let parts = ByteRanges::new(ranges, blob.bytes, unique());
    let mut response = described(StatusCode::PARTIAL_CONTENT, &blob.digest);
    set(&mut response, "content-type", parts.content_type());
    set(&mut response, "content-length", parts.length().to_string());
    *response.body_mut() = outgoing(parts.stream(blob)).await?;
    Ok(response)
}

fn unsatisfiable(blob: &Blob) -> Response {
    let mut response = empty(StatusCode::RANGE_NOT_SATISFIABLE);
    set(&mut response, "content-range", format!("bytes */{}", blob.bytes));
    set(&mut response, "accept-ranges", "bytes");
    response
}

/// What every response about a blob says.
fn described(status: StatusCode, digest: &Digest) -> Response {
    let mut response = empty(status);
    set(&mut response, "content-type", "application/octet-stream");
    set(&mut response, "accept-ranges", "bytes");
    set(&mut response, "etag", etag(digest));
    set(&mut response, "vary", "accept-encoding");
    set(&mut response, DOCKER_CONTENT_DIGEST, digest);
    response
}

fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// `If-Range`: a range is for those who hold the rest of this blob.
fn applies(headers: &HeaderMap, blob: &Blob) -> bool {
    text(headers, "if-range").is_none_or(|held| held.trim() == etag(&blob.digest))
}
