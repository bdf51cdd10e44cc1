//! `/api/v1`: pushes, lists, totals.

use axum::body::Body;
use pagevault_testkit::{Flavour, PAGE_BYTES, Process, Tarball};

use crate::support::{Server, sha256};

fn tarball() -> Vec<u8> {
    Tarball::new(Flavour::Containerd).build()
}

#[tokio::test]
async fn a_push_in_one_request() {
    let server = Server::start().await;
    let tar = tarball();
    let line = "POST /api/v1/checkpoints?ref=x/y:z&workload=cart&node=n1&label=k%3Dv&label=a=b";
    let answer = server.ask(line, &[], tar.clone()).await.expect(201);
    let pushed = answer.json();
    assert_eq!(pushed["reference"], "x/y:z");
    assert_eq!(pushed["layerDigest"], sha256(&tar));
    assert_eq!(answer.header("location"), "/api/v1/checkpoints/x%2Fy%3Az");

    let shown = server.get(answer.header("location")).await.expect(200).json();
    assert_eq!(shown["digest"], pushed["digest"]);
    assert_eq!(shown["labels"], serde_json::json!({"k": "v", "a": "b"}));
    assert_eq!((&shown["workload"], &shown["node"]), (&"cart".into(), &"n1".into()));

    let layer = format!("/v2/x/y/blobs/{}", pushed["layerDigest"].as_str().unwrap());
    assert_eq!(server.get(&layer).await.expect(200).body, tar);
    let manifest = server.get("/v2/x/y/manifests/z").await.expect(200);
    assert_eq!(manifest.header("docker-content-digest"), pushed["digest"].as_str().unwrap());
    server.ask(line, &[], tar).await.expect(200);
}

#[tokio::test]
async fn lists_and_totals() {
    let server = Server::start().await;
    for (pod, at) in [("cart-0", 1_700_000_000), ("cart-1", 1_700_000_100), ("db-0", 1_700_000_200)]
    {
        let tar = Tarball::new(Flavour::CriO).named("shop", pod, "main").at(at).build();
        server.ask("POST /api/v1/checkpoints", &[], tar).await.expect(201);
    }
    let first = server.get("/api/v1/checkpoints?limit=2&namespace=shop").await.expect(200).json();
    let pods = |page: &serde_json::Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["pod"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(pods(&first), ["db-0", "cart-1"]);
    let next = first["next"].as_str().unwrap();
    let path = format!("/api/v1/checkpoints?limit=2&namespace=shop&cursor={next}");
    let second = server.get(&path).await.expect(200).json();
    assert_eq!(pods(&second), ["cart-0"]);
    assert!(second.get("next").is_none());
    let one = server.get("/api/v1/checkpoints?pod=cart-0").await.expect(200).json();
    assert_eq!(pods(&one), ["cart-0"]);
    let stats = server.get("/api/v1/stats").await.expect(200).json();
    assert_eq!((&stats["checkpoints"], &stats["repositories"]), (&3.into(), &3.into()));
}

#[tokio::test]
async fn an_upload_in_parts() {
    let server = Server::start().await;
    let tar = tarball();
    let new = format!(r#"{{"ref": "a/b:c", "workload": "w", "bytes": {}}}"#, tar.len());
    let opened = server.ask("POST /api/v1/uploads", &[], new).await.expect(201);
    let to = opened.header("location").to_owned();
    assert_eq!(opened.header("upload-offset"), "0");
    assert_eq!(to, format!("/api/v1/uploads/{}", opened.json()["id"].as_str().unwrap()));

    let patch = |at: usize, part: &[u8]| {
        let (line, at, part) = (format!("PATCH {to}"), at.to_string(), part.to_vec());
        let server = &server;
        async move { server.ask(&line, &[("upload-offset", &at)], part).await }
    };
    let half = tar.len() / 2;
    assert_eq!(patch(0, &tar[..half]).await.expect(204).header("upload-offset"), half.to_string());
    let wrong = patch(0, &tar[..half]).await.expect(409);
    assert_eq!(wrong.json()["type"], "offset-mismatch");
    assert_eq!(wrong.json()["uploadOffset"], half);
    assert_eq!(server.get(&to).await.expect(200).json()["offset"], half);
    let head = server.ask(&format!("HEAD {to}"), &[], "").await.expect(200);
    assert_eq!(head.header("upload-offset"), half.to_string());
    server.ask(&format!("PATCH {to}"), &[], "x").await.expect(400);
    patch(half, &tar[half..]).await.expect(204);

    let commit = format!("POST {to}/commit");
    server.ask(&commit, &[], r#"{"bytes": 1}"#).await.expect(409);
    let body = format!(r#"{{"bytes": {}}}"#, tar.len());
    let first = server.ask(&commit, &[], body.clone()).await.expect(201).json();
    let again = server.ask(&commit, &[], body).await;
    assert_eq!(again.json()["digest"], first["digest"]);
    assert_eq!(server.get(&to).await.expect(200).json()["result"]["reference"], "a/b:c");
    server.ask(&format!("DELETE {to}"), &[], "").await.expect(204);
    server.get(&to).await.expect(404);
}

#[tokio::test]
async fn what_is_refused_says_why() {
    let server = Server::start().await;
    let answer = server.get("/api/v1/checkpoints?colour=red").await.expect(400);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["type"], "invalid-request");
    assert_eq!(problem["requestId"], answer.header("x-request-id"));
    assert!(problem["detail"].as_str().unwrap().contains("\"colour\""));

    let answer =
        server.ask("POST /api/v1/checkpoints", &[("x-request-id", "mine")], "not a tar").await;
    let answer = answer.expect(422);
    assert_eq!(answer.json()["type"], "invalid-archive");
    assert_eq!(answer.json()["requestId"], "mine");
    for (line, status) in [
        ("GET /api/v1/nothing", 404),
        ("GET /nothing", 404),
        ("GET /api/v1/checkpoints/a%2Fb%3Ac", 404),
        ("GET /api/v1/checkpoints/A", 400),
        ("GET /api/v1/checkpoints/%FF", 400),
        ("GET /api/v1/checkpoints?limit=0", 400),
        ("DELETE /api/v1/stats", 405),
        ("GET /api/v1/uploads/none", 404),
        ("GET /api/v1/uploads/%FF", 400),
        ("POST /api/v1/checkpoints?ref=UPPER", 400),
        ("POST /api/v1/checkpoints?label=k", 400),
    ] {
        let answer = server.ask(line, &[], "").await;
        assert_eq!(answer.status.as_u16(), status, "{line} {:?}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{line}");
    }
    server.ask("POST /api/v1/uploads", &[], r#"{"colour": "red"}"#).await.expect(400);
}

#[tokio::test]
async fn a_push_that_breaks_leaves_nothing() {
    let server = Server::start().await;
    let tar = tarball();
    let parts = [Ok(tar[..tar.len() / 2].to_vec()), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(futures_util::stream::iter(parts));
    server.ask("POST /api/v1/checkpoints", &[], body).await.expect(408);
    server.ask("POST /api/v1/checkpoints", &[], tar[..tar.len() / 2].to_vec()).await.expect(422);
    let spool = std::fs::read_dir(server.folder.path().join("spool")).unwrap();
    assert_eq!(spool.count(), 0);
    let stats = server.get("/api/v1/stats").await.expect(200).json();
    assert_eq!((&stats["checkpoints"], &stats["storedBytes"]), (&0.into(), &0.into()));
}

#[tokio::test]
async fn browsers_that_were_misled() {
    let server = Server::start().await;
    let evil = [("host", "evil.example:5000")];
    for path in ["/", "/api/v1/stats", "/v2/"] {
        server.ask(&format!("GET {path}"), &evil, "").await.expect(403);
    }
    assert_eq!(server.ask("GET /v2/", &evil, "").await.code(), "DENIED");
    server.ask("GET /healthz", &evil, "").await.expect(200);
    server.ask("GET /readyz", &evil, "").await.expect(200);
    let foreign = [("host", "localhost:5000"), ("origin", "http://evil.example")];
    server.ask("POST /api/v1/checkpoints", &foreign, "").await.expect(403);
    server.ask("GET /api/v1/stats", &foreign, "").await.expect(200);
}

/// A checkpoint of three megabytes of memory, which compresses.
fn three_megabytes() -> Vec<u8> {
    let pages: Vec<u8> =
        (0..=251u8).cycle().flat_map(|byte| [byte; 64]).take(768 * PAGE_BYTES).collect();
    let process = Process { pid: 1, runs: vec![(0x40_0000, pages)] };
    Tarball::new(Flavour::Containerd).processes(vec![process]).build()
}

#[tokio::test]
async fn a_layer_in_stored_frames_for_those_who_ask() {
    let server = Server::start().await;
    let tar = three_megabytes();
    server.ask("POST /api/v1/checkpoints?ref=x:y", &[], tar.clone()).await.expect(201);
    let digest = sha256(&tar);
    let path = format!("/v2/x/blobs/{digest}");
    let containerd = ("accept-encoding", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5");

    let encoded = server.ask(&format!("GET {path}"), &[containerd], "").await.expect(200);
    assert_eq!(encoded.header("content-encoding"), "zstd");
    assert_eq!(encoded.header("vary"), "accept-encoding");
    assert_eq!(encoded.header("docker-content-digest"), digest);
    assert_eq!(encoded.header("etag"), format!("W/\"{digest}+zstd\""));
    assert!(encoded.headers.get("content-length").is_none());
    assert!(encoded.body.len() < tar.len() / 4, "{} of {}", encoded.body.len(), tar.len());
    assert!(zstd::decode_all(&*encoded.body).unwrap() == tar);

    let length = tar.len().to_string();
    let plain = [
        ("GET", vec![]),
        ("GET", vec![("accept-encoding", "gzip, *")]),
        ("GET", vec![("accept-encoding", "zstd;q=0, gzip")]),
        ("HEAD", vec![containerd]),
    ];
    for (method, headers) in plain {
        let answer = server.ask(&format!("{method} {path}"), &headers, "").await.expect(200);
        assert!(answer.headers.get("content-encoding").is_none(), "{method} {headers:?}");
        assert_eq!(answer.header("content-length"), length);
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
        assert_eq!(answer.header("vary"), "accept-encoding");
        assert!(method == "HEAD" || answer.body == tar);
    }
    // A broken pull goes on in the bytes as they are, whatever coding it began in.
    let (rest, size) = (tar.len() - 1000, tar.len());
    let range = format!("bytes={rest}-");
    let headers = [containerd, ("range", range.as_str())];
    let answer = server.ask(&format!("GET {path}"), &headers, "").await.expect(206);
    assert_eq!(answer.header("content-range"), format!("bytes {rest}-{}/{size}", size - 1));
    assert!(answer.headers.get("content-encoding").is_none());
    assert_eq!(answer.body, tar[rest..]);
}

#[tokio::test]
async fn what_is_stored_as_it_came_is_sent_as_it_is() {
    let server = Server::start().await;
    for blob in [vec![7; 1000], vec![7; 2_000_000]] {
        let path = format!("/v2/a/blobs/{}", server.push_blob("a", &blob).await);
        let answer = server.ask(&format!("GET {path}"), &[("accept-encoding", "zstd")], "").await;
        assert_eq!(answer.header("content-length"), blob.len().to_string());
        assert!(answer.expect(200).body == blob);
    }
}
