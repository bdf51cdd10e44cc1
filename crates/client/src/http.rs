//! Requests and their failures.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pagevault_api::oci_error::{OciErrorCode, OciErrors};
use pagevault_api::problem::{Problem, ProblemKind};
use reqwest::{RequestBuilder, Response, StatusCode, Url, header};
use serde::de::DeserializeOwned;

use crate::{Client, ClientError, Result};

/// Longest JSON that is read: a checkpoint with 100,000 members has a long list of them.
const JSON_BYTES_MAX: usize = 64 << 20;
const ERROR_BYTES_MAX: usize = 64 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The address of a server, as people write it.
pub(crate) fn base_url(server: &str) -> Result<Url> {
    let bad = |why: &str| ClientError::Invalid(format!("server {server:?}: {why}"));
    let text = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let url = Url::parse(&text).map_err(|e| bad(&e.to_string()))?;
    match url.scheme() {
        "http" if url.has_host() => Ok(url),
        "https" => Err(bad("this build speaks http only; put a proxy that speaks TLS before it")),
        _ => Err(bad("not of the form http://host:port")),
    }
}

pub(crate) fn connections(base: &Url) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("pagevault/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(KEEPALIVE)
        .tcp_nodelay(true);
    if is_loopback(base) {
        // A proxy has another loopback than we have.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|e| ClientError::Invalid(format!("HTTP client: {}", reason(&e))))
}

fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

impl Client {
    /// An address on the server; each segment is escaped.
    pub(crate) fn url<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Sends a request that is short; anything but success is an error. A server that takes the
    /// connection and says nothing is not waited for.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        self.in_time(self.send_patiently(request)).await?
    }

    /// Sends a request whose answer takes its time; whoever calls looks after it.
    pub(crate) async fn send_patiently(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|e| self.transport(&e))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refused(response).await)
        }
    }

    /// Waits for something of the server, as long as a connection may stand still.
    pub(crate) async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T> {
        let stall = self.settings.stall;
        let waited = tokio::time::timeout(stall, step).await;
        waited.map_err(|_| self.broken(format!("nothing came for {} s", stall.as_secs())))
    }

    /// Sends a request that is short, and reads the JSON of the answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        self.read_json(self.send(request).await?).await
    }

    pub(crate) async fn read_json<T: DeserializeOwned>(&self, response: Response) -> Result<T> {
        let status = response.status();
        let body = self.body(response, JSON_BYTES_MAX).await?;
        serde_json::from_slice(&body)
            .map_err(|e| self.protocol(Some(status), format!("JSON that cannot be read: {e}")))
    }

    /// A body, up to a size.
    pub(crate) async fn body(&self, mut response: Response, max: usize) -> Result<Bytes> {
        let mut body = BytesMut::new();
        while let Some(part) = self.chunk(&mut response).await? {
            if body.len().saturating_add(part.len()) > max {
                return Err(self.protocol(Some(response.status()), "an answer without an end"));
            }
            body.extend_from_slice(&part);
        }
        Ok(body.freeze())
    }

    /// The next part of a body.
    pub(crate) async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>> {
        self.in_time(response.chunk()).await?.map_err(|e| self.transport(&e))
    }

    pub(crate) fn protocol(
        &self,
        status: Option<StatusCode>,
        what: impl Into<String>,
    ) -> ClientError {
        ClientError::Protocol {
            server: self.server().to_owned(),
            status: status.map(|s| s.as_u16()),
            what: what.into(),
        }
    }

    pub(crate) fn broken(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Broken { server: self.server().to_owned(), reason: reason.into() }
    }

    pub(crate) fn transport(&self, error: &reqwest::Error) -> ClientError {
        let reason = reason(error);
        if error.is_connect() {
            return ClientError::Unreachable { server: self.server().to_owned(), reason };
        }
        self.broken(reason)
    }

    /// What an answer that is no success says.
    async fn refused(&self, response: Response) -> ClientError {
        let status = response.status();
        let length = response.headers().get(header::CONTENT_LENGTH).cloned();
        let body = match self.body(response, ERROR_BYTES_MAX).await {
            Ok(body) => body,
            Err(_) if length.is_none() => Bytes::new(),
            Err(error) => return error,
        };
        if let Ok(problem) = serde_json::from_slice::<Problem>(&body) {
            return ClientError::Problem(Box::new(problem));
        }
        if let Some(problem) = oci_problem(status, &body) {
            return ClientError::Problem(Box::new(problem));
        }
        self.protocol(Some(status), format!("HTTP {status}"))
    }
}

/// An error of `/v2/`, in the words of `/api/v1`.
fn oci_problem(status: StatusCode, body: &[u8]) -> Option<Problem> {
    let error = serde_json::from_slice::<OciErrors>(body).ok()?.errors.into_iter().next()?;
    let kind = match (error.code, status.as_u16()) {
        (_, 404) => ProblemKind::NotFound,
        (OciErrorCode::Toomanyrequests, _) | (_, 502..=504) => ProblemKind::Unavailable,
        (_, 500..) => ProblemKind::Internal,
        _ => ProblemKind::InvalidRequest,
    };
    Some(Problem {
        kind,
        status: status.as_u16(),
        title: kind.title().to_owned(),
        detail: error.message,
        upload_offset: None,
        request_id: None,
    })
}

/// The innermost cause: the layers above it only say that a request failed.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
