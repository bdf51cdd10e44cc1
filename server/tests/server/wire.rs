//! What only shows on a connection.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Server, noise, sha256};

pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

pub(crate) async fn listen(server: &Server) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (registry, settings) = (server.registry.clone(), server.settings.clone());
    let ended = tokio::spawn(async move {
        let stopped = async move { stopped.await.unwrap_or(()) };
        pagevault_server::serve(listener, registry, settings, stopped).await.unwrap();
    });
    Listening { address, stop, ended }
}

/// Sends a request as it is, and reads until the server closes.
async fn raw(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

fn split(answer: &[u8]) -> (String, &[u8]) {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), &answer[end + 4..])
}

#[tokio::test]
async fn headers_of_a_thousand_ranges() {
    let server = Server::start().await;
    let digest = server.push_blob("a", &noise(300_000)).await;
    let listening = listen(&server).await;
    let ranges: Vec<_> = (0..1024).map(|i| format!("{0:0>30}-{0:0>30}", i * 200)).collect();
    let request = format!(
        "GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Range: bytes={}\r\n\r\n",
        ranges.join(",")
    );
    assert!(request.len() > 60_000);
    let answer = raw(listening.address, request.as_bytes()).await;
    let (head, _) = split(&answer);
    assert!(head.starts_with("http/1.1 206"), "{head}");
}

#[tokio::test]
async fn no_content_has_no_length() {
    let server = Server::start().await;
    let location = server.ask("POST /v2/a/blobs/uploads/", &[], "").await.expect(202);
    let location = location.header("location");
    let listening = listen(&server).await;
    let request =
        format!("GET {location} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = raw(listening.address, request.as_bytes()).await;
    let (head, body) = split(&answer);
    assert!(head.starts_with("http/1.1 204") && body.is_empty(), "{head}");
    assert!(!head.contains("content-length"), "{head}");
}

#[tokio::test]
async fn damage_ends_the_connection_short_or_is_an_error() {
    let server = Server::start().await;
    let blob = noise(6 << 20);
    let digest = server.push_blob("a", &blob).await;
    let largest = largest(server.folder.path());
    let listening = listen(&server).await;
    let request = format!(
        "GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    );
    let flip = |at: usize| {
        let mut bytes = std::fs::read(&largest).unwrap();
        bytes[at] ^= 1;
        std::fs::write(&largest, bytes).unwrap();
    };
    flip(5 << 20);
    let answer = raw(listening.address, request.as_bytes()).await;
    let (head, body) = split(&answer);
    assert!(
        head.starts_with("http/1.1 200") && head.contains(&format!("content-length: {}", 6 << 20))
    );
    assert!(body.len() <= 5 << 20, "{}", body.len());
    assert!(blob.starts_with(body));
    flip(100);
    let answer = raw(listening.address, request.as_bytes()).await;
    let (head, _) = split(&answer);
    assert!(head.starts_with("http/1.1 500"), "{head}");
}

/// The largest file of a folder: where the only large blob is.
fn largest(folder: &Path) -> PathBuf {
    let (mut best, mut folders) = ((0, PathBuf::new()), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let about = entry.metadata().unwrap();
            if about.is_dir() {
                folders.push(entry.path());
            } else if about.len() > best.0 {
                best = (about.len(), entry.path());
            }
        }
    }
    best.1
}

#[tokio::test]
async fn a_request_under_way_is_finished_at_the_end() {
    let server = Server::start().await;
    let listening = listen(&server).await;
    let blob = noise(100_000);
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        sha256(&blob),
        blob.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&blob[..50_000]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    listening.stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(listening.address).await.is_err());
    stream.write_all(&blob[50_000..]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(split(&answer).0.starts_with("http/1.1 201"));
    listening.ended.await.unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_does_not_hold_the_end() {
    let mut server = Server::start().await;
    server.settings.shutdown_seconds = 1;
    let listening = listen(&server).await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    let head = "POST /v2/a/blobs/uploads/?digest=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 \
                HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    listening.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), listening.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_what_arrived() {
    let server = Server::start().await;
    let opened = server.ask("POST /v2/a/blobs/uploads/", &[], "").await.expect(202);
    let location = opened.header("location").to_owned();
    let listening = listen(&server).await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    let head =
        format!("PATCH {location} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[7; 40]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(stream);
    for _ in 0..100 {
        if server.get(&location).await.header("range") == "0-39" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("what arrived is not there");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = Server::start().await;
    let listening = listen(&server).await;
    let unknown = "0".repeat(32);
    let head = format!(
        "PATCH /v2/a/blobs/uploads/{unknown} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: 8000000\r\n\r\n"
    );
    let mut request = head.into_bytes();
    request.resize(request.len() + 8_000_000, 7);
    let answer = raw(listening.address, &request).await;
    let (head, body) = split(&answer);
    assert!(head.starts_with("http/1.1 404"), "{head}");
    assert!(String::from_utf8_lossy(body).contains("BLOB_UPLOAD_UNKNOWN"));
}
