//! A server that keeps to the contract, except where it is told not to.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Json;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::StreamExt;
use pagevault_api::checkpoint::Pushed;
use pagevault_api::problem::{Problem, ProblemKind};
use pagevault_api::upload::{CommitUpload, NewUpload, Upload};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

/// What goes wrong at the next request that appends or commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Answer(ProblemKind),
    /// All uploads are gone.
    Forget,
    /// A power cut: so many bytes at the end have not survived.
    Lose(usize),
    /// It is done, and nobody is told.
    Silence,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) uploads: HashMap<String, (NewUpload, Vec<u8>)>,
    pub(crate) results: HashMap<String, Pushed>,
    pub(crate) faults: VecDeque<Fault>,
    /// Answers to commits that are kept back.
    pub(crate) silent: bool,
    pub(crate) opened: usize,
    pub(crate) appended: u64,
    /// Requests that are appending now.
    pub(crate) appending: usize,
    pub(crate) committed: usize,
    /// The layer of every image.
    pub(crate) blob: Vec<u8>,
    /// What its manifest says of it, if that is a lie.
    pub(crate) blob_digest: Option<String>,
    pub(crate) ignores_range: bool,
    pub(crate) ranges: Vec<String>,
    pub(crate) query: HashMap<String, String>,
}

#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<Inner>>);

impl Fake {
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let fake = Self::default();
        let router = Router::new()
            .route("/api/v1/uploads", post(open))
            .route("/api/v1/uploads/{id}", get(state).patch(append).delete(cancel))
            .route("/api/v1/uploads/{id}/commit", post(commit))
            .route("/api/v1/checkpoints", post(push))
            .route("/v2/a/b/manifests/{name}", get(manifest))
            .route("/v2/a/b/blobs/{digest}", get(blob))
            .with_state(fake.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (fake, address)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// What the only upload holds.
    pub(crate) fn arrived(&self) -> Vec<u8> {
        let inner = self.lock();
        assert_eq!(inner.uploads.len(), 1);
        inner.uploads.values().next().unwrap().1.clone()
    }

    /// Waits until a request has appended and none does any more: what a connection carried before
    /// it was cut arrives a little later than its sender knows of the cut.
    pub(crate) async fn at_rest(&self) {
        let at_rest = |inner: &Inner| inner.appended > 0 && inner.appending == 0;
        while !at_rest(&self.lock()) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    fn fault(&self, id: &str) -> Option<Response> {
        let mut inner = self.lock();
        match inner.faults.pop_front()? {
            Fault::Answer(kind) => Some(problem(kind, None)),
            Fault::Forget => {
                inner.uploads.clear();
                None
            }
            Fault::Silence => {
                inner.silent = true;
                None
            }
            Fault::Lose(bytes) => {
                let data = &mut inner.uploads.get_mut(id)?.1;
                data.truncate(data.len().saturating_sub(bytes));
                None
            }
        }
    }
}

fn problem(kind: ProblemKind, upload_offset: Option<u64>) -> Response {
    let body = Problem {
        kind,
        status: kind.status(),
        title: kind.title().to_owned(),
        detail: format!("fake: {}", kind.title()),
        upload_offset,
        request_id: None,
    };
    (StatusCode::from_u16(kind.status()).unwrap(), Json(body)).into_response()
}

fn not_found() -> Response {
    problem(ProblemKind::NotFound, None)
}

async fn open(State(fake): State<Fake>, Json(new): Json<NewUpload>) -> Json<Upload> {
    let mut inner = fake.lock();
    inner.opened += 1;
    let id = format!("upload-{}", inner.opened);
    inner.uploads.insert(id.clone(), (new, Vec::new()));
    Json(Upload { id, offset: 0, result: None })
}

async fn state(State(fake): State<Fake>, Path(id): Path<String>) -> Response {
    let inner = fake.lock();
    let Some((_, data)) = inner.uploads.get(&id) else { return not_found() };
    let result = inner.results.get(&id).cloned();
    Json(Upload { id, offset: data.len() as u64, result }).into_response()
}

async fn append(
    State(fake): State<Fake>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if let Some(response) = fake.fault(&id) {
        return response;
    }
    let offset: u64 = headers["upload-offset"].to_str().unwrap().parse().unwrap();
    let held = fake.lock().uploads.get(&id).map(|(_, data)| data.len() as u64);
    match held {
        None => return not_found(),
        Some(held) if held != offset => return problem(ProblemKind::OffsetMismatch, Some(held)),
        Some(_) => {}
    }
    let _appending = Appending::begin(&fake);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        // What arrived before a connection broke stays.
        let Ok(piece) = piece else { return problem(ProblemKind::Interrupted, None) };
        let mut inner = fake.lock();
        inner.appended += piece.len() as u64;
        inner.uploads.get_mut(&id).unwrap().1.extend_from_slice(&piece);
    }
    let held = fake.lock().uploads[&id].1.len();
    (StatusCode::NO_CONTENT, [("upload-offset", held.to_string())]).into_response()
}

/// A request that appends, until it ends or is dropped.
struct Appending(Fake);

impl Appending {
    fn begin(fake: &Fake) -> Self {
        fake.lock().appending += 1;
        Self(fake.clone())
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        self.0.lock().appending -= 1;
    }
}

async fn cancel(State(fake): State<Fake>, Path(id): Path<String>) -> StatusCode {
    fake.lock().uploads.remove(&id);
    StatusCode::NO_CONTENT
}

async fn commit(
    State(fake): State<Fake>,
    Path(id): Path<String>,
    Json(commit): Json<CommitUpload>,
) -> Response {
    if let Some(response) = fake.fault(&id) {
        return response;
    }
    let (response, silent) = commit_now(&fake, id, &commit);
    if silent {
        std::future::pending::<()>().await;
    }
    response
}

fn commit_now(fake: &Fake, id: String, commit: &CommitUpload) -> (Response, bool) {
    let mut inner = fake.lock();
    let Some((new, data)) = inner.uploads.get(&id) else { return (not_found(), false) };
    if data.len() as u64 != commit.bytes {
        return (problem(ProblemKind::OffsetMismatch, Some(data.len() as u64)), false);
    }
    if commit.xxh3.as_deref() != Some(checksum(data).as_str()) {
        inner.uploads.remove(&id);
        return (problem(ProblemKind::DigestMismatch, None), false);
    }
    let result = pushed(data, new.options.reference.clone());
    inner.results.insert(id, result.clone());
    inner.committed += 1;
    (Json(result).into_response(), inner.silent)
}

async fn push(
    State(fake): State<Fake>,
    Query(query): Query<HashMap<String, String>>,
    body: Body,
) -> Json<Pushed> {
    let body = to_bytes(body, usize::MAX).await.unwrap();
    fake.lock().query = query;
    Json(pushed(&body, None))
}

async fn manifest(State(fake): State<Fake>, Path(_): Path<String>) -> Response {
    let inner = fake.lock();
    let digest = inner.blob_digest.clone().unwrap_or_else(|| sha256(&inner.blob));
    let layer = serde_json::json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": format!("sha256:{digest}"), "size": inner.blob.len(),
    });
    Json(serde_json::json!({ "schemaVersion": 2, "config": layer, "layers": [layer] }))
        .into_response()
}

async fn blob(State(fake): State<Fake>, Path(_): Path<String>, headers: HeaderMap) -> Response {
    let mut inner = fake.lock();
    let range = headers.get("range").map(|range| range.to_str().unwrap().to_owned());
    inner.ranges.extend(range.clone());
    let total = inner.blob.len();
    match range.filter(|_| !inner.ignores_range) {
        None => inner.blob.clone().into_response(),
        Some(range) => {
            let range = range.strip_prefix("bytes=").unwrap();
            let start: usize = range.trim_end_matches('-').parse().unwrap();
            let content = format!("bytes {start}-{}/{total}", total - 1);
            let body = inner.blob[start..].to_vec();
            (StatusCode::PARTIAL_CONTENT, [("content-range", content)], body).into_response()
        }
    }
}

/// As the contract has it.
fn checksum(data: &[u8]) -> String {
    let segments = data.chunks(1 << 20).map(|segment| xxh3_64(segment).to_le_bytes());
    format!("{:016x}", xxh3_64(&segments.collect::<Vec<_>>().concat()))
}

pub(crate) fn sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

fn pushed(data: &[u8], reference: Option<pagevault_api::reference::Reference>) -> Pushed {
    let digest = format!("sha256:{}", sha256(data));
    Pushed {
        reference: reference.unwrap_or_else(|| "a/b:c".parse().unwrap()),
        digest: digest.parse().unwrap(),
        layer_digest: digest.parse().unwrap(),
        logical_bytes: data.len() as u64,
        stored_bytes: 1,
        created: true,
        base: None,
        stats: Default::default(),
    }
}
