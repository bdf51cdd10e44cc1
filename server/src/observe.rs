//! What is seen of a request from outside its handler: identifier, log line, security headers.
//!
//! One line a request, when its response has ended: method, path, status, bytes, duration. Never
//! logged: bodies, queries, and identifiers of uploads (whoever knows one may append), of which a
//! short hash stands in the path.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use opentelemetry::trace::Status;
use opentelemetry_http::HeaderExtractor;
use pagevault_api::headers::REQUEST_ID;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::app::Shared;
use crate::errors;
use crate::metrics::{self, Counted, Ended, route};

/// Longest identifier that is taken over from a request.
const ID_MAX: usize = 64;

/// Gives a request its identifier and its line in the log.
pub(crate) async fn observe(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    let (method, path) = (request.method().clone(), redact(request.uri().path()));
    let open = Counted::in_(&app.metrics.requests_open);
    let received = Arc::new(AtomicU64::new(0));
    let request = request.map(|inner| match inner.is_end_stream() {
        true => inner,
        false => Body::new(Received { inner, bytes: Arc::clone(&received) }),
    });
    let span = span(&request, &id);
    let response = next.run(request).instrument(span.clone()).await;
    let mut response = errors::finish(response, &id);
    protect(&mut response);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let status = response.status();
    let line = Line { app, method, path, status, started, received, sent: 0, span, _open: open };
    response.map(|inner| Body::new(Watched { inner, line }))
}

/// The span of a request, in its caller's trace if that says which one it is.
fn span(request: &Request, id: &str) -> tracing::Span {
    let (method, route) = (metrics::method(request.method()), route(request.uri().path()));
    let span = tracing::info_span!(
        "request",
        request.id = id,
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server"
    );
    if request.headers().contains_key("traceparent") {
        let headers = HeaderExtractor(request.headers());
        let caller = opentelemetry::global::get_text_map_propagator(|p| p.extract(&headers));
        // That there is nobody to tell is no error.
        let _ = span.set_parent(caller);
    }
    span
}

/// Headers that keep a browser from making more of a response than it is: a manifest has the media
/// type that its pusher gave it. Pages set a policy of their own.
fn protect(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"));
}

/// The client's identifier if it is one that can stand in a log, else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let sane = |id: &&str| {
        !id.is_empty()
            && id.len() <= ID_MAX
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    given.filter(sane).map_or_else(unique, str::to_owned)
}

/// Sixteen hex digits that no other call in this process gets, and nobody outside foresees.
pub(crate) fn unique() -> String {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}", KEYS.get_or_init(RandomState::new).hash_one(count))
}

/// The path as it is logged: an upload's identifier, which follows `uploads`, becomes a hash.
fn redact(path: &str) -> String {
    let mut after_uploads = false;
    let parts = path.split('/').map(|part| {
        let secret = after_uploads && !part.is_empty();
        after_uploads = part == "uploads";
        if secret { short_hash(part) } else { part.to_owned() }
    });
    parts.collect::<Vec<_>>().join("/")
}

fn short_hash(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("~{:08x}", hasher.finish() >> 32)
}

/// What the log will say; said when dropped, which is when the response has ended, or broken.
struct Line {
    app: Shared,
    method: Method,
    path: String,
    status: StatusCode,
    started: Instant,
    received: Arc<AtomicU64>,
    sent: u64,
    span: tracing::Span,
    _open: Counted,
}

impl Drop for Line {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let received = self.received.load(Ordering::Relaxed);
        let (method, status, sent) = (&self.method, self.status, self.sent);
        self.app
            .metrics
            .ended(route(&self.path), &Ended { method, status, duration, received, sent });
        self.span.set_attribute("http.request.method", self.method.to_string());
        self.span.set_attribute("url.path", self.path.clone());
        self.span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            self.span.set_status(Status::error(status.to_string()));
        }
        let _entered = self.span.enter();
        tracing::info!(
            http.method = %self.method,
            http.path = self.path,
            http.status = self.status.as_u16(),
            http.received_bytes = received,
            http.sent_bytes = self.sent,
            http.duration_micros = micros,
            "{} {} {}", self.method, self.path, self.status.as_u16(),
        );
    }
}

/// A request's body that counts what is taken from it.
struct Received {
    inner: Body,
    bytes: Arc<AtomicU64>,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response's body that counts what is taken from it.
struct Watched {
    inner: Body,
    line: Line,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.line.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_are_not_named_in_the_log() {
        let secret = "0123456789abcdef0123456789abcdef";
        for path in [
            format!("/v2/a/b/blobs/uploads/{secret}"),
            format!("/api/v1/uploads/{secret}"),
            format!("/api/v1/uploads/{secret}/commit"),
        ] {
            let shown = redact(&path);
            assert!(!shown.contains(secret) && shown.contains("/uploads/~"), "{shown}");
        }
        assert_eq!(redact("/v2/a/blobs/uploads/"), "/v2/a/blobs/uploads/");
        assert_eq!(redact("/v2/a/manifests/latest"), "/v2/a/manifests/latest");
        assert_eq!(redact("/api/v1/uploads/x/commit").rsplit('/').next(), Some("commit"));
    }

    #[test]
    fn identifiers() {
        let with = |id: &str| {
            let request = Request::builder().header(REQUEST_ID, id).body(Body::empty()).unwrap();
            request_id(&request)
        };
        assert_eq!(with("abc-1.2_3"), "abc-1.2_3");
        assert_eq!(with("a b").len(), 16);
        assert_eq!(with(&"a".repeat(65)).len(), 16);
        assert_ne!(unique(), unique());
    }
}
