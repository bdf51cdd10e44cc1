//! `/v2/`, written.

use axum::body::Body;

use crate::support::{Answer, MANIFEST, Server, noise, sha256, sha512};

/// Opens an upload and returns where it goes on.
async fn start(server: &Server, name: &str) -> String {
    let answer = server.ask(&format!("POST /v2/{name}/blobs/uploads/"), &[], "").await.expect(202);
    assert_eq!(answer.header("range"), "0-0");
    let location = answer.header("location").to_owned();
    assert!(location.starts_with(&format!("/v2/{name}/blobs/uploads/")), "{location}");
    assert!(location.ends_with(answer.header("docker-upload-uuid")));
    location
}

async fn patch(server: &Server, to: &str, range: Option<&str>, bytes: &[u8]) -> Answer {
    let length = bytes.len().to_string();
    let mut headers = vec![("content-length", length.as_str())];
    headers.extend(range.map(|range| ("content-range", range)));
    server.ask(&format!("PATCH {to}"), &headers, bytes.to_vec()).await
}

#[tokio::test]
async fn one_put() {
    let server = Server::start().await;
    for blob in [noise(1000), noise(200_000)] {
        for digest in [sha256(&blob), sha512(&blob)] {
            let to = start(&server, "a/b").await;
            let answer = server.ask(&format!("PUT {to}?digest={digest}"), &[], blob.clone()).await;
            let answer = answer.expect(201);
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert_eq!(answer.header("location"), format!("/v2/a/b/blobs/{digest}"));
            assert_eq!(server.get(answer.header("location")).await.expect(200).body, blob);
            server.get(&to).await.expect(404);
        }
    }
}

#[tokio::test]
async fn chunks() {
    let server = Server::start().await;
    let blob = noise(250_000);
    let to = start(&server, "a").await;
    let answer = patch(&server, &to, Some("0-99999"), &blob[..100_000]).await.expect(202);
    assert_eq!(answer.header("range"), "0-99999");
    let early = patch(&server, &to, Some("200000-249999"), &blob[200_000..]).await.expect(416);
    assert_eq!(early.code(), "BLOB_UPLOAD_INVALID");
    assert_eq!(early.header("range"), "0-99999");
    assert_eq!(early.header("location"), to);
    let state = server.get(&to).await.expect(204);
    assert_eq!((state.header("range"), state.header("location")), ("0-99999", to.as_str()));
    patch(&server, &to, Some("100000-199998"), &blob[100_000..200_000]).await.expect(400);
    patch(&server, &to, Some("nonsense"), b"x").await.expect(400);
    patch(&server, &to, None, &blob[100_000..200_000]).await.expect(202);
    let line = format!("PUT {to}?digest={}", sha256(&blob));
    let range = [("content-range", "200000-249999")];
    server.ask(&line, &range, blob[200_000..].to_vec()).await.expect(201);
    let path = format!("/v2/a/blobs/{}", sha256(&blob));
    assert_eq!(server.get(&path).await.expect(200).body, blob);
}

#[tokio::test]
async fn a_stream_of_unknown_length() {
    let server = Server::start().await;
    let to = start(&server, "a").await;
    let parts = ["one ", "two ", "three"].map(Ok::<_, std::io::Error>);
    let body = Body::from_stream(futures_util::stream::iter(parts));
    let answer = server.ask(&format!("PATCH {to}"), &[], body).await.expect(202);
    assert_eq!(answer.header("range"), "0-12");
    let digest = sha256(b"one two three");
    server
        .ask(&format!("PUT {to}?digest={digest}"), &[("content-length", "0")], "")
        .await
        .expect(201);
}

#[tokio::test]
async fn a_body_that_breaks_can_be_gone_on_with() {
    let server = Server::start().await;
    let to = start(&server, "a").await;
    let broken = [Ok("one "), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(futures_util::stream::iter(broken));
    server.ask(&format!("PATCH {to}"), &[], body).await.expect(408);
    assert_eq!(server.get(&to).await.expect(204).header("range"), "0-3");
    patch(&server, &to, Some("4-6"), b"two").await.expect(202);
    server.ask(&format!("PUT {to}?digest={}", sha256(b"one two")), &[], "").await.expect(201);
}

#[tokio::test]
async fn digests_that_are_wrong() {
    let server = Server::start().await;
    let other = sha256(b"other");
    for query in
        ["", "?digest=", "?digest=sha256:12", "?digest=md5:00", &format!("?digest={other}")]
    {
        let to = start(&server, "a").await;
        let answer = server.ask(&format!("PUT {to}{query}"), &[], "content").await.expect(400);
        assert_eq!(answer.code(), "DIGEST_INVALID", "{query}");
    }
    let line = format!("POST /v2/a/blobs/uploads/?digest={other}");
    assert_eq!(server.ask(&line, &[], "content").await.expect(400).code(), "DIGEST_INVALID");
    server.get(&format!("/v2/a/blobs/{other}")).await.expect(404);
}

#[tokio::test]
async fn cancel_mount_and_delete() {
    let server = Server::start().await;
    let to = start(&server, "a").await;
    server.ask(&format!("DELETE {to}"), &[], "").await.expect(204);
    server.get(&to).await.expect(404);
    server.ask(&format!("DELETE {to}"), &[], "").await.expect(404);

    let digest = server.push_blob("from/here", b"content").await;
    let line = format!("POST /v2/to/there/blobs/uploads/?mount={digest}&from=from/here");
    let mounted = server.ask(&line, &[], "").await.expect(201);
    assert_eq!(mounted.header("location"), format!("/v2/to/there/blobs/{digest}"));
    assert_eq!(server.get(mounted.header("location")).await.expect(200).body, "content");
    let missing = sha256(b"missing");
    for query in [
        format!("mount={missing}&from=from/here"),
        format!("mount={missing}"),
        format!("mount={missing}&from=NO"),
    ] {
        let line = format!("POST /v2/to/there/blobs/uploads/?{query}");
        let answer = server.ask(&line, &[], "").await.expect(202);
        server.get(answer.header("location")).await.expect(204);
    }
    let path = format!("/v2/to/there/blobs/{digest}");
    server.ask(&format!("DELETE {path}"), &[], "").await.expect(202);
    server.get(&path).await.expect(404);
    server.ask(&format!("DELETE {path}"), &[], "").await.expect(404);
    server.get(&format!("/v2/from/here/blobs/{digest}")).await.expect(200);
}

#[tokio::test]
async fn manifests_with_tags_and_deletes() {
    let server = Server::start().await;
    let manifest = server.push_image("a", "one", b"layer").await;
    let digest = sha256(&manifest);
    let line = format!("PUT /v2/a/manifests/{digest}?tag=two&tag=three");
    let answer =
        server.ask(&line, &[("content-type", MANIFEST)], manifest.clone()).await.expect(201);
    let tags: Vec<_> = answer.headers.get_all("oci-tag").iter().collect();
    assert_eq!(tags, ["two", "three"]);
    assert_eq!(answer.header("location"), format!("/v2/a/manifests/{digest}"));
    assert_eq!(server.get("/v2/a/manifests/three").await.expect(200).body, manifest);

    server.ask("DELETE /v2/a/manifests/two", &[], "").await.expect(202);
    server.get("/v2/a/manifests/two").await.expect(404);
    server.ask(&format!("DELETE /v2/a/manifests/{digest}"), &[], "").await.expect(202);
    for reference in ["one", "three", &digest] {
        server.get(&format!("/v2/a/manifests/{reference}")).await.expect(404);
    }
}

#[tokio::test]
async fn manifests_that_are_refused() {
    let server = Server::start().await;
    server.push_image("a", "one", b"layer").await;
    let kind = [("content-type", MANIFEST)];
    let put = |to: &str, body: String| {
        let line = format!("PUT /v2/a/manifests/{to}");
        let server = &server;
        async move { server.ask(&line, &kind, body).await }
    };
    assert_eq!(put("x", "{".to_owned()).await.expect(400).code(), "MANIFEST_INVALID");
    assert_eq!(put(".x", "{}".to_owned()).await.expect(400).code(), "MANIFEST_INVALID");
    let digest = sha256(b"other");
    assert_eq!(put(&digest, "{}".to_owned()).await.expect(400).code(), "DIGEST_INVALID");
    let naming = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {"mediaType": "x/y", "digest": digest, "size": 5},
    });
    for text in
        ["", "[]", "\"x\"", "{\"schemaVersion\": 1}", "{\"layers\": [{}]}", "{\"layers\": 1}"]
    {
        assert_eq!(
            put("x", text.to_owned()).await.expect(400).code(),
            "MANIFEST_INVALID",
            "{text}"
        );
    }
    // Never seen here: an image may be copied in part. Seen and removed: the client must send it.
    let answer = put("x", naming.to_string()).await.expect(201);
    assert!(answer.header("warning").starts_with("299 - \"1 blobs"), "{:?}", answer.headers);
    server.push_blob("a", b"other").await;
    assert!(put("x", naming.to_string()).await.expect(201).headers.get("warning").is_none());
    server.ask(&format!("DELETE /v2/a/blobs/{digest}"), &[], "").await.expect(202);
    let answer = put("x", naming.to_string()).await.expect(404);
    assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN");
    let tags = (0..101).map(|i| format!("tag=t{i}")).collect::<Vec<_>>().join("&");
    put(&format!("x?{tags}"), "{}".to_owned()).await.expect(414);
}

#[tokio::test]
async fn layers_that_others_distribute() {
    let server = Server::start().await;
    let config = server.push_blob("a", b"{}").await;
    let here = noise(100_000);
    let naming = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar", "size": 5, "digest": sha256(b"other")},
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": 100_000, "digest": sha256(&here),
             "urls": ["https://elsewhere.example/layer"]},
        ],
    })
    .to_string();
    let put = async || {
        let kind = [("content-type", MANIFEST)];
        server.ask("PUT /v2/a/manifests/x", &kind, naming.clone()).await
    };
    let absent = put().await.expect(201);
    assert!(absent.headers.get("warning").is_none(), "nothing is missing");
    // Some clients send them all the same: then they stay as any other.
    let layer = server.push_blob("a", &here).await;
    let explained = server.get(&format!("/api/v1/gc/explain?digest={layer}")).await.expect(200);
    let because = explained.json()["items"][0]["because"].to_string();
    assert!(because.contains(&sha256(naming.as_bytes())), "{because}");
    server.get("/v2/a/manifests/x").await.expect(200);
}

#[tokio::test]
async fn large_manifests() {
    let server = Server::start().await;
    let config = server.push_blob("a", b"{}").await;
    let manifest = |padding: usize| {
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": {"mediaType": "x/y", "digest": config, "size": 2},
            "annotations": {"padding": "x".repeat(padding)},
        });
        manifest.to_string()
    };
    let kind = [("content-type", MANIFEST)];
    let large = manifest(5 << 20);
    server.ask("PUT /v2/a/manifests/large", &kind, large.clone()).await.expect(201);
    assert_eq!(server.get("/v2/a/manifests/large").await.expect(200).body, large);
    server.ask("PUT /v2/a/manifests/larger", &kind, manifest(8 << 20)).await.expect(413);
}

#[tokio::test]
async fn referrers() {
    let server = Server::start().await;
    let subject = sha256(&server.push_image("a", "one", b"layer").await);
    let config = server.push_blob("a", b"{}").await;
    let referrer = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x-test",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [], "subject": {"mediaType": MANIFEST, "digest": subject, "size": 1},
        "annotations": {"k": "v"},
    });
    let referrer = referrer.to_string();
    let line = format!("PUT /v2/a/manifests/{}", sha256(referrer.as_bytes()));
    let answer = server.ask(&line, &[("content-type", MANIFEST)], referrer).await.expect(201);
    assert_eq!(answer.header("oci-subject"), subject);
    let count = |answer: &Answer| answer.json()["manifests"].as_array().unwrap().len();
    let all = server.get(&format!("/v2/a/referrers/{subject}")).await.expect(200);
    assert_eq!(all.header("content-type"), "application/vnd.oci.image.index.v1+json");
    assert!(all.headers.get("oci-filters-applied").is_none());
    assert_eq!(all.json()["manifests"][0]["artifactType"], "application/x-test");
    assert_eq!(all.json()["manifests"][0]["annotations"]["k"], "v");
    for (kind, found) in [("application/x-test", 1), ("application/x-other", 0)] {
        let path = format!("/v2/a/referrers/{subject}?artifactType={kind}");
        let filtered = server.get(&path).await.expect(200);
        assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
        assert_eq!(count(&filtered), found);
    }
    let none = server.get(&format!("/v2/empty/referrers/{subject}")).await.expect(200);
    assert_eq!(count(&none), 0);
    server.get("/v2/a/referrers/latest").await.expect(400);
}
