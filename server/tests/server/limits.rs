//! Limits: who comes over them waits; who does not move is let go.

use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Server, noise, sha256};
use crate::wire::{Listening, listen};

const SOON: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(20);

async fn connect(to: &Listening, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// The first bytes of a response.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 64 << 10];
    let read = timeout(LATE, stream.read(&mut bytes)).await.expect("an answer").unwrap();
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

const PING: &str = "GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn connections_over_the_limit_wait() {
    let mut server = Server::start().await;
    server.settings.max_connections = 1;
    let listening = listen(&server).await;
    let mut first = connect(&listening, PING).await;
    assert!(answer(&mut first).await.starts_with("HTTP/1.1 200"));
    let mut second = connect(&listening, PING).await;
    assert!(timeout(SOON, second.read(&mut [0; 1])).await.is_err());
    drop(first);
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn uploads_over_the_limit_wait() {
    let mut server = Server::start().await;
    server.settings.max_uploads = 1;
    let listening = listen(&server).await;
    let post = |bytes: &[u8]| {
        let digest = sha256(bytes);
        format!(
            "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: localhost\r\n\
             Content-Length: {}\r\n\r\n",
            bytes.len()
        )
    };
    let mut first = connect(&listening, &post(b"one")).await;
    first.write_all(b"on").await.unwrap();
    tokio::time::sleep(SOON).await;
    let mut second = connect(&listening, &format!("{}two", post(b"two"))).await;
    assert!(timeout(SOON, second.read(&mut [0; 1])).await.is_err());
    // Whoever reads is not held up.
    let mut reader = connect(&listening, PING).await;
    assert!(answer(&mut reader).await.starts_with("HTTP/1.1 200"));
    let mut metrics = connect(&listening, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let said = answer(&mut metrics).await;
    assert!(said.contains("pagevault_uploads_open 1\n"), "{said}");
    assert!(said.contains("pagevault_uploads_waiting 1\n"), "{said}");
    first.write_all(b"e").await.unwrap();
    assert!(answer(&mut first).await.starts_with("HTTP/1.1 201"));
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 201"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let mut server = Server::start().await;
    server.settings.write_timeout_seconds = 1;
    server.settings.max_connections = 1;
    let digest = server.push_blob("a", &noise(40 << 20)).await;
    let listening = listen(&server).await;
    let get = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let _stuck = connect(&listening, &get).await;
    let mut waits = connect(&listening, PING).await;
    assert!(answer(&mut waits).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not() {
    let mut server = Server::start().await;
    server.settings.write_timeout_seconds = 1;
    let blob = noise(12 << 20);
    let digest = server.push_blob("a", &blob).await;
    let listening = listen(&server).await;
    let get = format!(
        "GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    );
    let mut stream = connect(&listening, &get).await;
    let (mut bytes, mut part) = (Vec::new(), vec![0; 1 << 20]);
    // Three seconds for all of it, at a pace that is enough.
    loop {
        let read = timeout(LATE, stream.read(&mut part)).await.unwrap().unwrap();
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&part[..read]);
        tokio::time::sleep(Duration::from_millis(3000 * read as u64 / (12 << 20))).await;
    }
    assert!(bytes.ends_with(&blob));
}

/// containerd asks for all that follows and closes after a chunk.
#[tokio::test]
async fn a_range_that_is_closed_early_costs_little_more_than_what_was_read() {
    const READ: usize = 1 << 20;
    // What the kernel and the connection hold, beside what is decoded ahead by then.
    const AHEAD: u64 = 12 << 20;
    let server = Server::start().await;
    let blob = noise(48 << 20);
    let digest = server.push_blob("a", &blob).await;
    let listening = listen(&server).await;
    let get = format!(
        "GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=1000-\r\n\r\n"
    );
    let mut stream = connect(&listening, &get).await;
    let mut read = vec![0; READ];
    stream.read_exact(&mut read).await.unwrap();
    assert!(read.windows(64).any(|part| part == &blob[1000..1064]));
    drop(stream);
    let metric = "pagevault_http_sent_bytes_total{route=\"blob\"} ";
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut metrics =
            connect(&listening, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let said = answer(&mut metrics).await;
        if let Some(sent) = said.lines().find_map(|line| line.strip_prefix(metric)) {
            let sent: u64 = sent.parse().unwrap();
            assert!(sent >= READ as u64 / 2 && sent < AHEAD, "{sent}");
            return;
        }
    }
    panic!("the request has not ended");
}

#[tokio::test]
async fn headers_must_come_in_time() {
    let mut server = Server::start().await;
    server.settings.header_timeout_seconds = 1;
    let listening = listen(&server).await;
    let mut stream = connect(&listening, "GET /v2/ HTTP/1.1\r\nHost: ").await;
    let mut rest = Vec::new();
    timeout(LATE, stream.read_to_end(&mut rest)).await.expect("closed").unwrap();
}

#[tokio::test]
async fn headers_are_bounded() {
    let server = Server::start().await;
    let listening = listen(&server).await;
    let large =
        format!("GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    let _ = stream.write_all(large.as_bytes()).await;
    let said = answer(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");
}

#[tokio::test]
async fn requests_are_counted() {
    let server = Server::start().await;
    let listening = listen(&server).await;
    let mut stream =
        connect(&listening, "GET /v2/a/manifests/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 404"));
    tokio::time::sleep(SOON).await;
    let mut stream = connect(&listening, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let said = answer(&mut stream).await;
    let line =
        "pagevault_http_requests_total{route=\"manifest\",method=\"GET\",status=\"404\"} 1\n";
    assert!(said.contains(line), "{said}");
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let server = Server::start().await;
    let blob = noise(200_000);
    let opened = server.ask("POST /v2/a/blobs/uploads/", &[], "").await.expect(202);
    let to = opened.header("location").to_owned();
    server.ask(&format!("PATCH {to}"), &[], blob[..120_000].to_vec()).await.expect(202);
    let server = server.restart().await;
    assert_eq!(server.get(&to).await.expect(204).header("range"), "0-119999");
    let range = [("content-range", "120000-199999")];
    server.ask(&format!("PATCH {to}"), &range, blob[120_000..].to_vec()).await.expect(202);
    let server = server.restart().await;
    server.ask(&format!("PUT {to}?digest={}", sha256(&blob)), &[], "").await.expect(201);
    let server = server.restart().await;
    let path = format!("/v2/a/blobs/{}", sha256(&blob));
    assert_eq!(server.get(&path).await.expect(200).body, blob);
    server.get(&to).await.expect(404);
}

#[tokio::test]
async fn an_upload_that_goes_soon_says_so() {
    let server = Server::start().await;
    let opened = server.ask("POST /v2/a/blobs/uploads/", &[], "").await.expect(202);
    let location = opened.header("location").to_owned();
    server.ask(&format!("PATCH {location}"), &[], "abc").await.expect(202);
    assert!(server.get(&location).await.expect(204).headers.get("warning").is_none());
    let id = location.rsplit('/').next().unwrap();
    let data = server.folder.path().join("spool").join(id).join("data");
    let long_ago = SystemTime::now() - Duration::from_secs(23 * 3600 + 40 * 60);
    std::fs::File::options().write(true).open(data).unwrap().set_modified(long_ago).unwrap();
    let told = server.get(&location).await.expect(204);
    let warning = "299 - \"what was sent of this upload expires soon, in 19 minutes\"";
    assert_eq!(told.header("warning"), warning);
    server.ask(&format!("PATCH {location}"), &[], "def").await.expect(202);
    assert!(server.get(&location).await.expect(204).headers.get("warning").is_none());
}
