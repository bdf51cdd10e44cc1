//! `/v2/`, read.

use crate::support::{MANIFEST, Server, noise, sha256};

#[tokio::test]
async fn version_check() {
    let server = Server::start().await;
    for path in ["/v2/", "/v2"] {
        let answer = server.get(path).await.expect(200);
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
    }
}

#[tokio::test]
async fn manifests() {
    let server = Server::start().await;
    let manifest = server.push_image("a/b", "latest", b"layer").await;
    let digest = sha256(&manifest);
    for reference in ["latest", &digest] {
        for method in ["GET", "HEAD"] {
            let line = format!("{method} /v2/a/b/manifests/{reference}?ns=registry.example");
            let accept = [("accept", "application/vnd.docker.distribution.manifest.v2+json")];
            let answer = server.ask(&line, &accept, "").await.expect(200);
            assert_eq!(answer.header("content-type"), MANIFEST);
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert_eq!(answer.header("content-length"), manifest.len().to_string());
            assert_eq!(answer.header("etag"), format!("\"{digest}\""));
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            if method == "GET" {
                assert_eq!(answer.body, manifest);
            }
        }
    }
    let etag = format!("\"{digest}\"");
    server.ask("GET /v2/a/b/manifests/latest", &[("if-none-match", &etag)], "").await.expect(304);
    let ranged = server.ask("GET /v2/a/b/manifests/latest", &[("range", "bytes=0-")], "").await;
    assert_eq!(ranged.expect(200).body, manifest);
}

#[tokio::test]
async fn what_is_not_there() {
    let server = Server::start().await;
    server.push_image("a", "latest", b"layer").await;
    let missing = sha256(b"missing");
    for (path, status, code) in [
        ("/v2/a/manifests/none".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("/v2/a/manifests/.INVALID".to_owned(), 404, "MANIFEST_UNKNOWN"),
        (format!("/v2/a/manifests/{missing}"), 404, "MANIFEST_UNKNOWN"),
        (format!("/v2/a/blobs/{missing}"), 404, "BLOB_UNKNOWN"),
        ("/v2/a/blobs/sha256:12".to_owned(), 400, "DIGEST_INVALID"),
        ("/v2/A/manifests/latest".to_owned(), 400, "NAME_INVALID"),
        ("/v2/none/tags/list".to_owned(), 404, "NAME_UNKNOWN"),
        ("/v2/a/blobs/uploads/none".to_owned(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("/v2/a".to_owned(), 404, "UNSUPPORTED"),
        ("/v2/a/b/c".to_owned(), 404, "UNSUPPORTED"),
    ] {
        let answer = server.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{path}");
    }
    let answer = server.ask("PUT /v2/_catalog", &[], "").await.expect(405);
    assert_eq!((answer.code().as_str(), answer.header("allow")), ("UNSUPPORTED", "GET"));
}

#[tokio::test]
async fn blobs_and_ranges() {
    let server = Server::start().await;
    for size in [100, 300_000, 3_000_000] {
        let blob = noise(size);
        let digest = server.push_blob("a", &blob).await;
        let path = format!("/v2/a/blobs/{digest}");
        let head = server.ask(&format!("HEAD {path}"), &[], "").await.expect(200);
        assert_eq!(head.header("content-length"), size.to_string());
        assert_eq!(head.header("accept-ranges"), "bytes");
        assert_eq!(head.header("docker-content-digest"), digest);
        assert_eq!(server.get(&path).await.expect(200).body, blob);
        let last = size - 1;
        for (range, from, to) in [
            ("bytes=0-0".to_owned(), 0, 1),
            ("bytes=10-".to_owned(), 10, size),
            ("bytes=-10".to_owned(), size - 10, size),
            (format!("bytes={last}-{size}"), last, size),
            ("bytes=50-59".to_owned(), 50, 60),
        ] {
            let answer = server.ask(&format!("GET {path}"), &[("range", &range)], "").await;
            let answer = answer.expect(206);
            assert_eq!(answer.header("content-range"), format!("bytes {from}-{}/{size}", to - 1));
            assert_eq!(answer.header("content-length"), (to - from).to_string());
            assert_eq!(answer.body, blob[from..to]);
        }
        for range in ["bytes=500-0".to_owned(), format!("bytes={size}-")] {
            let answer = server.ask(&format!("GET {path}"), &[("range", &range)], "").await;
            assert_eq!(answer.expect(416).header("content-range"), format!("bytes */{size}"));
        }
        let stale = [("range", "bytes=0-1"), ("if-range", "\"other\"")];
        assert_eq!(server.ask(&format!("GET {path}"), &stale, "").await.expect(200).body, blob);
    }
}

#[tokio::test]
async fn an_empty_blob() {
    let server = Server::start().await;
    let digest = server.push_blob("a", b"").await;
    let path = format!("/v2/a/blobs/{digest}");
    for headers in [&[][..], &[("range", "bytes=0-")][..]] {
        let answer = server.ask(&format!("GET {path}"), headers, "").await.expect(200);
        assert_eq!(answer.header("content-length"), "0");
        assert!(answer.body.is_empty());
    }
    let head = server.ask(&format!("HEAD {path}"), &[], "").await.expect(200);
    assert_eq!(head.header("content-length"), "0");
}

#[tokio::test]
async fn many_ranges() {
    let server = Server::start().await;
    let blob = noise(300_000);
    let path = format!("/v2/a/blobs/{}", server.push_blob("a", &blob).await);
    let ranges: Vec<_> = (0..1024).map(|i| i * 250..i * 250 + 100).collect();
    let list: Vec<_> = ranges.iter().map(|r| format!("{}-{}", r.start, r.end - 1)).collect();
    let header = format!("bytes={}", list.join(","));
    let answer = server.ask(&format!("GET {path}"), &[("range", &header)], "").await.expect(206);
    let boundary = answer.header("content-type").split_once("boundary=").unwrap().1.to_owned();
    assert!(answer.headers.get("content-range").is_none());
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    let mut expected = Vec::new();
    for (index, range) in ranges.iter().enumerate() {
        let before = if index == 0 { "" } else { "\r\n" };
        let (first, last) = (range.start, range.end - 1);
        expected.extend_from_slice(
            format!(
                "{before}--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                 Content-Range: bytes {first}-{last}/300000\r\n\r\n"
            )
            .as_bytes(),
        );
        expected.extend_from_slice(&blob[range.clone()]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(answer.body == expected);
    for excessive in [format!("{header},299999-299999"), "bytes=0-,0-".to_owned()] {
        server.ask(&format!("GET {path}"), &[("range", &excessive)], "").await.expect(400);
    }
}

#[tokio::test]
async fn lists_in_pages() {
    let server = Server::start().await;
    for tag in ["b", "a", "C", "10"] {
        server.push_image("x/y", tag, b"layer").await;
    }
    server.push_image("z", "latest", b"layer").await;
    let all = server.get("/v2/x/y/tags/list").await.expect(200);
    let expected = serde_json::json!({"name": "x/y", "tags": ["10", "C", "a", "b"]});
    assert_eq!(all.json(), expected);
    assert!(all.headers.get("link").is_none());
    let (mut path, mut seen) = ("/v2/x/y/tags/list?n=3".to_owned(), Vec::new());
    loop {
        let page = server.get(&path).await.expect(200);
        seen.extend(page.json()["tags"].as_array().unwrap().clone());
        let Some(link) = page.headers.get("link") else { break };
        let link = link.to_str().unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        path = link.strip_prefix('<').unwrap().to_owned();
    }
    assert_eq!(serde_json::json!(seen), expected["tags"]);
    let none = server.get("/v2/x/y/tags/list?n=0").await.expect(200);
    assert_eq!(none.json()["tags"], serde_json::json!([]));
    assert!(none.headers.get("link").is_none());
    let catalog = server.get("/v2/_catalog?n=1").await.expect(200);
    assert_eq!(catalog.json(), serde_json::json!({"repositories": ["x/y"]}));
    assert_eq!(catalog.header("link"), "</v2/_catalog?n=1&last=x%2Fy>; rel=\"next\"");
    server.get("/v2/_catalog?n=x").await.expect(400);
}

#[tokio::test]
async fn who_pulls_memory_is_warned() {
    let server = Server::start().await;
    let tar = pagevault_testkit::Tarball::new(pagevault_testkit::Flavour::CriO).build();
    server.ask("POST /api/v1/checkpoints?ref=a/b:c", &[], tar).await.expect(201);
    let pulled = server.get("/v2/a/b/manifests/c").await.expect(200);
    let warning = "299 - \"this image holds the memory of processes, and the secrets in it\"";
    assert_eq!(pulled.header("warning"), warning);
    let head = server.ask("HEAD /v2/a/b/manifests/c", &[], "").await.expect(200);
    assert_eq!(head.header("warning"), warning);
    server.push_image("a/image", "v1", b"no memory").await;
    let image = server.get("/v2/a/image/manifests/v1").await.expect(200);
    assert!(image.headers.get("warning").is_none());
}
