//! The real client against the real server, over loopback.

use std::sync::Arc;

use pagevault_client::{Client, ClientSettings, NoProgress, PullTarget, PushRequest, PushSource};
use pagevault_registry::Registry;
use pagevault_server::ServerSettings;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fixtures::{compressed, series, singles};
use crate::support::{Vault, sha256};

/// A server that ends when it is told to.
pub(crate) struct Running {
    pub(crate) address: String,
    client: Client,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
    _folder: Option<TempDir>,
}

async fn start() -> Running {
    let Vault { registry, folder } = Vault::new().await;
    Running { _folder: Some(folder), ..serve(registry).await }
}

/// Serves what is in a registry.
pub(crate) async fn serve(registry: Arc<Registry>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(async move {
        let settings = ServerSettings::default();
        let stopped = async { drop(stopped.await) };
        pagevault_server::serve(listener, registry, settings, stopped).await.unwrap();
    });
    let client = Client::new(&format!("http://{address}"), ClientSettings::default()).unwrap();
    Running { address, client, stop, ended, _folder: None }
}

impl Running {
    pub(crate) async fn end(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_is_pushed_and_pulled_back() {
    let server = start().await;
    let files = tempfile::tempdir().unwrap();
    let mut keyframe = None;
    for fixture in singles().into_iter().chain(series()) {
        let file = files.path().join("pushed.tar");
        std::fs::write(&file, &fixture.tar).unwrap();
        let request = PushRequest::default();
        let push = server.client.push(PushSource::File(file), &request, &NoProgress);
        let outcome = push.await.unwrap();
        assert_eq!(outcome.sent_bytes, fixture.tar.len() as u64, "{}", fixture.name);
        assert_eq!(outcome.pushed.layer_digest.to_string(), sha256(&fixture.tar));
        let path = files.path().join("pulled.tar");
        let target = PullTarget::File { path: path.clone(), force: true };
        server.client.pull(&outcome.pushed.reference, target, &NoProgress).await.unwrap();
        assert!(std::fs::read(path).unwrap() == fixture.tar, "{}", fixture.name);
        if fixture.name.contains("cart") {
            let first = *keyframe.get_or_insert(outcome.pushed.stored_bytes);
            let later = outcome.pushed.base.is_some();
            assert!(!later || outcome.pushed.stored_bytes < first / 10, "{:?}", outcome.pushed);
        }
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_stream_is_pushed_as_what_is_inside() {
    let server = start().await;
    let bytes = compressed("cri-o-counter.tar.zst");
    let source = PushSource::Stream(Box::new(std::io::Cursor::new(bytes.clone())));
    let outcome = server.client.push(source, &PushRequest::default(), &NoProgress).await.unwrap();
    assert_eq!(outcome.sent_bytes, bytes.len() as u64);
    let tar = zstd::decode_all(bytes.as_slice()).unwrap();
    assert_eq!(outcome.pushed.layer_digest.to_string(), sha256(&tar));
    server.end().await;
}
