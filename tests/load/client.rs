//! One connection to the server, kept open; what is asked over it must get the expected status.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

use crate::content::{Blob, MANIFEST};

const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, */*";

pub(crate) type Outcome<T> = Result<T, String>;

/// A client.
pub(crate) struct Client {
    address: String,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Requests that have been answered as they should.
    pub(crate) requests: u64,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), sender: None, requests: 0 }
    }

    /// Sends one request and returns the head of its response, if it has one of these states.
    pub(crate) async fn ask(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: Bytes,
        expected: &[u16],
    ) -> Outcome<Response<Incoming>> {
        let failed = |what: String| format!("{line}: {what}");
        let (method, path) = line.split_once(' ').expect("method and path");
        let mut request = Request::builder().method(method).uri(path).header("host", &self.address);
        // Without it some registries do not find what they have.
        request = request.header("accept", ACCEPT);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        let sender = self.sender().await.map_err(&failed)?;
        let response = sender.send_request(request).await.map_err(|e| failed(e.to_string()))?;
        let status = response.status().as_u16();
        if expected.contains(&status) {
            self.requests += 1;
            return Ok(response);
        }
        let said = response.into_body().collect().await;
        let said = said.map_err(|e| failed(format!("{status}, not {expected:?}: {e}")))?.to_bytes();
        Err(failed(format!("{status}, not {expected:?}: {}", String::from_utf8_lossy(&said))))
    }

    /// As [`Self::ask`], and reads the response to its end.
    pub(crate) async fn read(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: Bytes,
        expected: &[u16],
    ) -> Outcome<(HeaderMap, Bytes)> {
        let response = self.ask(line, headers, body, expected).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| format!("{line}: {e}"))?;
        Ok((parts.headers, body.to_bytes()))
    }

    async fn sender(&mut self) -> Outcome<&mut SendRequest<Full<Bytes>>> {
        let alive = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !alive {
            let stream = TcpStream::connect(&self.address).await.map_err(|e| e.to_string())?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            let (sender, connection) =
                handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        Ok(self.sender.as_mut().expect("just made"))
    }

    /// Pushes a blob as containerd does: POST, then one PUT.
    pub(crate) async fn push(&mut self, name: &str, blob: &Blob, content: Bytes) -> Outcome<()> {
        let to = self.open(name).await?;
        let line = format!("PUT {}", with_digest(&to, blob));
        self.read(&line, &[], content, &[201]).await.map(drop)
    }

    /// Opens an upload and returns where it goes on.
    pub(crate) async fn open(&mut self, name: &str) -> Outcome<String> {
        let line = format!("POST /v2/{name}/blobs/uploads/");
        let (headers, _) = self.read(&line, &[], Bytes::new(), &[202]).await?;
        location(&headers).ok_or_else(|| format!("{line}: no Location"))
    }

    pub(crate) async fn put_manifest(
        &mut self,
        name: &str,
        reference: &str,
        manifest: Bytes,
    ) -> Outcome<()> {
        let line = format!("PUT /v2/{name}/manifests/{reference}");
        self.read(&line, &[("content-type", MANIFEST)], manifest, &[201]).await.map(drop)
    }

    /// Pulls a blob without keeping it: its bytes must have its digest.
    pub(crate) async fn pull(&mut self, name: &str, blob: &Blob) -> Outcome<()> {
        let line = format!("GET /v2/{name}/blobs/{}", blob.digest);
        let mut body = self.ask(&line, &[], Bytes::new(), &[200]).await?.into_body();
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| format!("{line}: after {bytes} bytes: {e}"))?;
            if let Some(data) = frame.data_ref() {
                hash.update(data);
                bytes += data.len();
            }
        }
        let found = format!("sha256:{}", hex::encode(hash.finalize()));
        if (found.as_str(), bytes) == (blob.digest.as_str(), blob.bytes) {
            return Ok(());
        }
        Err(format!("{line}: WRONG BYTES: {bytes} of {found}"))
    }
}

/// Where an upload ends: some registries have a query of their own in its location.
pub(crate) fn with_digest(location: &str, blob: &Blob) -> String {
    let mark = if location.contains('?') { '&' } else { '?' };
    format!("{location}{mark}digest={}", blob.digest)
}

/// The path of a Location; some registries answer with an absolute one.
pub(crate) fn location(headers: &HeaderMap) -> Option<String> {
    let location = headers.get("location")?.to_str().ok()?;
    let path = match location.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => location,
    };
    Some(path.to_owned())
}
