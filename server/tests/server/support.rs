//! A server for a test, and short ways to ask it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use pagevault_registry::Registry;
use pagevault_server::{ByteSize, ServerSettings};
use sha2::Digest as _;
use tempfile::TempDir;
use tower::ServiceExt as _;

pub(crate) struct Server {
    pub(crate) registry: Arc<Registry>,
    pub(crate) settings: ServerSettings,
    pub(crate) folder: TempDir,
}

/// A response, read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = ServerSettings {
            data: folder.path().to_path_buf(),
            reserve: ByteSize(0),
            ..ServerSettings::default()
        };
        let registry = Registry::open(settings.registry()).await.unwrap();
        Self { registry, settings, folder }
    }

    /// Ends the server and starts it again on the same folder.
    pub(crate) async fn restart(self) -> Self {
        let Self { registry, settings, folder } = self;
        registry.close(std::time::Duration::ZERO).await;
        let registry = Registry::open(settings.registry()).await.unwrap();
        Self { registry, settings, folder }
    }

    pub(crate) async fn respond(&self, request: Request<Body>) -> Response {
        let router = pagevault_server::router(self.registry.clone(), self.settings.clone());
        router.oneshot(request).await.unwrap()
    }

    /// `method path`, headers, body.
    pub(crate) async fn ask(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.respond(request.body(body.into()).unwrap()).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], Body::empty()).await
    }

    /// Pushes a blob in one request and returns its digest.
    pub(crate) async fn push_blob(&self, name: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let line = format!("POST /v2/{name}/blobs/uploads/?digest={digest}");
        self.ask(&line, &[], bytes.to_vec()).await.expect(201);
        digest
    }

    /// Pushes an image of an empty configuration and one layer; returns the manifest.
    pub(crate) async fn push_image(&self, name: &str, tag: &str, layer: &[u8]) -> Vec<u8> {
        let config = self.push_blob(name, b"{}").await;
        let digest = self.push_blob(name, layer).await;
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": layer.len()}],
        });
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let line = format!("PUT /v2/{name}/manifests/{tag}");
        self.ask(&line, &[("content-type", MANIFEST)], bytes.clone()).await.expect(201);
        bytes
    }
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{:?} {:?}", self.headers, self.body);
        self
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Code of an OCI error.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes)))
}

pub(crate) fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex::encode(sha2::Sha512::digest(bytes)))
}

/// Bytes that do not compress and do not repeat.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(len)
    .collect()
}
