//! Small parts of responses.

use axum::body::Body;
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    (status, Body::empty()).into_response()
}

/// Sets a header. A value that cannot be one is left out: names that come here are checked before.
pub(crate) fn set(response: &mut Response, name: &'static str, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// The value of a header, if it is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// JSON that is another in a moment.
pub(crate) fn fresh(body: impl serde::Serialize) -> Response {
    let mut response = axum::Json(body).into_response();
    set(&mut response, "cache-control", "no-store");
    response
}
