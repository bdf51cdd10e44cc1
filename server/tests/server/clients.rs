//! What clients rely on, each behaviour by the requests that the client sends. Ranges, lists and
//! uploads as the specification has them are in the other files.

use crate::support::{Answer, MANIFEST, Server, noise, sha256, sha512};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn is_absent(answer: &Answer, name: &str) -> bool {
    answer.headers.get(name).is_none()
}

/// containerd resolves by a HEAD, and trusts these two headers; it reads no more than 4 MiB.
#[tokio::test]
async fn containerd_resolves_by_head() {
    let server = Server::start().await;
    let manifest = server.push_image("a", "latest", b"layer").await;
    let accept = format!(
        "{DOCKER}, application/vnd.docker.distribution.manifest.list.v2+json, {MANIFEST}, {INDEX}, */*"
    );
    let line = "HEAD /v2/a/manifests/latest?ns=registry.test";
    let head = server.ask(line, &[("accept", &accept)], "").await.expect(200);
    assert_eq!(head.header("docker-content-digest"), sha256(&manifest));
    assert_eq!(head.header("content-length"), manifest.len().to_string());
    assert!(head.body.is_empty());
}

/// containerd looks for a digest among the manifests, then among the blobs: what one endpoint's
/// HEAD says, its GET must say too.
#[tokio::test]
async fn head_and_get_agree() {
    let server = Server::start().await;
    let manifest = sha256(&server.push_image("a", "latest", b"layer").await);
    let (layer, missing) = (sha256(b"layer"), sha256(b"missing"));
    for (path, status) in [
        (format!("/v2/a/manifests/{manifest}"), 200),
        (format!("/v2/a/manifests/{layer}"), 404),
        (format!("/v2/a/manifests/{missing}"), 404),
        (format!("/v2/a/blobs/{layer}"), 200),
        (format!("/v2/a/blobs/{manifest}"), 404),
        (format!("/v2/a/blobs/{missing}"), 404),
    ] {
        server.ask(&format!("HEAD {path}"), &[], "").await.expect(status);
        server.get(&path).await.expect(status);
    }
}

/// containerd pushes by HEAD, POST, and one PUT to the location with `digest=` put after its query.
#[tokio::test]
async fn containerd_pushes_in_one_put() {
    let server = Server::start().await;
    let blob = noise(70_000);
    let digest = sha256(&blob);
    server.ask(&format!("HEAD /v2/a/blobs/{digest}"), &[], "").await.expect(404);
    let opened = server.ask("POST /v2/a/blobs/uploads/", &[], "").await.expect(202);
    let line = format!("PUT {}?ns=registry.test&digest={digest}", opened.header("location"));
    let length = blob.len().to_string();
    server.ask(&line, &[("content-length", &length)], blob).await.expect(201);
    let head = server.ask(&format!("HEAD /v2/a/blobs/{digest}"), &[], "").await.expect(200);
    assert_eq!(head.header("content-length"), length);
}

/// containerd fetches a layer by open-ended ranges, several at once, and asks a manifest for
/// `bytes=0-` too: that is a plain 200 without Content-Range, a range an exact 206.
#[tokio::test]
async fn containerd_fetches_by_open_ended_ranges() {
    let server = Server::start().await;
    let blob = noise(3_000_000);
    let path = format!("/v2/a/blobs/{}", server.push_blob("a", &blob).await);
    for from in [0, 1_000_000, 2_999_999] {
        let range = format!("bytes={from}-");
        let part = server.ask(&format!("GET {path}"), &[("range", &range)], "").await.expect(206);
        assert_eq!(part.header("content-range"), format!("bytes {from}-2999999/3000000"));
        assert_eq!(part.body, blob[from..]);
    }
    server.push_image("a", "latest", b"layer").await;
    let whole = server.ask("GET /v2/a/manifests/latest", &[("range", "bytes=0-")], "").await;
    assert!(is_absent(&whole.expect(200), "content-range"));
}

/// containerd decodes zstd and gzip, and still resumes by ranges of the blob itself: what is not
/// stored in that form is sent as it is, with its length.
#[tokio::test]
async fn encodings_are_never_put_on_top() {
    let server = Server::start().await;
    let blob = vec![7; 200_000];
    let path = format!("/v2/a/blobs/{}", server.push_blob("a", &blob).await);
    let accept = ("accept-encoding", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5");
    for (line, headers, status, length) in [
        (format!("GET {path}"), vec![accept], 200, 200_000),
        (format!("HEAD {path}"), vec![accept], 200, 200_000),
        (format!("GET {path}"), vec![accept, ("range", "bytes=5-9")], 206, 5),
    ] {
        let answer = server.ask(&line, &headers, "").await.expect(status);
        assert!(is_absent(&answer, "content-encoding"), "{line}");
        assert_eq!(answer.header("content-length"), length.to_string());
    }
}

/// containers/image looks at `/v2/` first and takes nothing but 200 and 401.
#[tokio::test]
async fn podman_looks_for_its_challenge() {
    Server::start().await.get("/v2/").await.expect(200);
}

/// containers/image goes on after a cut with a range, and needs exactly one 206 of what is left.
#[tokio::test]
async fn podman_goes_on_where_it_was_cut() {
    let server = Server::start().await;
    let blob = noise(100_000);
    let path = format!("/v2/a/blobs/{}", server.push_blob("a", &blob).await);
    let range = ("range", "bytes=60000-");
    let rest = server.ask(&format!("GET {path}"), &[range], "").await.expect(206);
    assert_eq!(rest.headers.get_all("content-range").iter().count(), 1);
    assert_eq!(rest.header("content-range"), "bytes 60000-99999/100000");
    assert_eq!(rest.body, blob[60_000..]);
}

/// containers/image pushes by POST (202), one PATCH of unknown length, and PUT (201); of a mount
/// that did not come about it deletes the session, and expects 204.
#[tokio::test]
async fn podman_pushes_and_gives_up_mounts() {
    let server = Server::start().await;
    let opened = server.ask("POST /v2/a/blobs/uploads/", &[], "").await.expect(202);
    let parts = ["some ", "layer"].map(Ok::<_, std::io::Error>);
    let body = axum::body::Body::from_stream(futures_util::stream::iter(parts));
    let patched = server.ask(&format!("PATCH {}", opened.header("location")), &[], body).await;
    let patched = patched.expect(202);
    let line = format!("PUT {}?digest={}", patched.header("location"), sha256(b"some layer"));
    server.ask(&line, &[], "").await.expect(201);

    let missing = sha256(b"missing");
    let line = format!("POST /v2/a/blobs/uploads/?mount={missing}&from=other");
    let session = server.ask(&line, &[], "").await.expect(202);
    server.ask(&format!("DELETE {}", session.header("location")), &[], "").await.expect(204);
}

/// containers/storage takes a 400 to too many ranges as "ask for fewer", and any 416 for the end.
#[tokio::test]
async fn partial_pulls_are_never_told_416_for_too_much() {
    let server = Server::start().await;
    let path = format!("/v2/a/blobs/{}", server.push_blob("a", &noise(10_000)).await);
    let many = |n: usize| (0..n).map(|i| format!("{i}-{i}")).collect::<Vec<_>>().join(",");
    for (range, status) in [
        (many(1024), 206),
        (many(1025), 400),
        ("0-9999,0-0".to_owned(), 400),
        ("0-9,5-14,30-39".to_owned(), 206),
    ] {
        let range = format!("bytes={range}");
        server.ask(&format!("GET {path}"), &[("range", &range)], "").await.expect(status);
    }
}

/// cosign's older signatures and containers/image's are tags made of a digest; such a tag is one
/// like any other.
#[tokio::test]
async fn signatures_are_tags_or_referrers() {
    let server = Server::start().await;
    let image = server.push_image("a", "latest", b"layer").await;
    let tag = format!("{}.sig", sha256(&image).replace(':', "-"));
    server.push_image("a", &tag, b"signature").await;
    server.get(&format!("/v2/a/manifests/{tag}")).await.expect(200);
    let tags = server.get("/v2/a/tags/list").await.expect(200).json();
    assert_eq!(tags["tags"], serde_json::json!(["latest", tag]));
}

/// oras concludes from a 404, and from any other type than exactly this, that the API is missing:
/// then it keeps an index of its own, in a race with everybody else.
#[tokio::test]
async fn referrers_are_never_missing() {
    let server = Server::start().await;
    let digest = sha256(b"never pushed");
    for digest in [digest, sha512(b"never pushed")] {
        let answer = server.get(&format!("/v2/no/such/repository/referrers/{digest}")).await;
        let answer = answer.expect(200);
        assert_eq!(answer.header("content-type"), INDEX);
        assert_eq!(answer.json()["manifests"], serde_json::json!([]));
    }
    let answer = server.get("/v2/no/such/repository/tags/list").await.expect(404);
    assert_eq!(answer.code(), "NAME_UNKNOWN");
}

/// Referrers come in pages that clients can read, linked, and filtered before they are counted.
#[tokio::test]
async fn many_referrers_come_in_pages() {
    let server = Server::start().await;
    let subject = sha256(b"subject");
    let config = server.push_blob("a", b"{}").await;
    for n in 0..6 {
        let kind = if n % 2 == 0 { "application/x-even" } else { "application/x-odd" };
        let referrer = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "layers": [],
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
            "subject": {"mediaType": MANIFEST, "digest": subject, "size": 1},
            "annotations": {"n": n.to_string(), "padding": "x".repeat(1 << 20)},
        });
        let line = format!("PUT /v2/a/manifests/r{n}");
        let put = server.ask(&line, &[("content-type", MANIFEST)], referrer.to_string()).await;
        assert_eq!(put.expect(201).header("oci-subject"), subject);
    }
    let base = format!("/v2/a/referrers/{subject}");
    for (query, expected) in [("", 6), ("?artifactType=application/x-odd", 3)] {
        let (mut path, mut seen, mut pages) = (format!("{base}{query}"), 0, 0);
        loop {
            let page = server.get(&path).await.expect(200);
            assert!(page.body.len() < 4 << 20);
            assert_eq!(is_absent(&page, "oci-filters-applied"), query.is_empty());
            seen += page.json()["manifests"].as_array().unwrap().len();
            pages += 1;
            let Some(link) = page.headers.get("link") else { break };
            let link = link.to_str().unwrap().strip_suffix(">; rel=\"next\"").unwrap();
            path = link.strip_prefix('<').unwrap().to_owned();
        }
        assert_eq!((seen, pages > 1), (expected, true), "{query}");
    }
}

/// regclient mounts every blob without saying from where.
#[tokio::test]
async fn regclient_mounts_from_anywhere() {
    let server = Server::start().await;
    for content in [noise(100), noise(100_000)] {
        let digest = server.push_blob("from/here", &content).await;
        let line = format!("POST /v2/to/there/blobs/uploads/?mount={digest}");
        let mounted = server.ask(&line, &[], "").await.expect(201);
        assert_eq!(server.get(mounted.header("location")).await.expect(200).body, content);
        // A hint that has become wrong is none.
        for name in ["from/here", "to/there"] {
            let line = format!("DELETE /v2/{name}/blobs/{digest}");
            server.ask(&line, &[], "").await.expect(202);
        }
        server.ask(&line, &[], "").await.expect(202);
    }
}

/// regclient goes on with an upload only by a Location and a Range in the refusal.
#[tokio::test]
async fn regclient_finds_where_to_go_on() {
    let server = Server::start().await;
    let opened = server.ask("POST /v2/a/blobs/uploads/", &[], "").await.expect(202);
    let to = opened.header("location");
    server.ask(&format!("PATCH {to}"), &[("content-range", "0-2")], "one").await.expect(202);
    for line in [format!("PATCH {to}"), format!("PUT {to}?digest={}", sha256(b"x"))] {
        let refused = server.ask(&line, &[("content-range", "9-11")], "two").await.expect(416);
        assert_eq!((refused.header("range"), refused.header("location")), ("0-2", to));
    }
    assert_eq!(server.get(to).await.expect(204).header("range"), "0-2");
}

/// What is stored is served in the type that it has, whatever Accept says, or if it says nothing.
#[tokio::test]
async fn accept_is_not_looked_at() {
    let server = Server::start().await;
    server.push_image("a", "latest", b"layer").await;
    for accept in [None, Some(DOCKER), Some("application/json"), Some("text/html")] {
        let headers: Vec<_> = accept.map(|accept| ("accept", accept)).into_iter().collect();
        let answer = server.ask("GET /v2/a/manifests/latest", &headers, "").await.expect(200);
        assert_eq!(answer.header("content-type"), MANIFEST);
    }
}

/// Behind a proxy only a relative location leads back.
#[tokio::test]
async fn locations_are_relative() {
    let server = Server::start().await;
    let proxied = [("x-forwarded-proto", "https"), ("x-forwarded-host", "registry.test")];
    let opened = server.ask("POST /v2/a/blobs/uploads/", &proxied, "").await.expect(202);
    assert!(opened.header("location").starts_with("/v2/a/blobs/uploads/"));
}

/// The specification's next version: the algorithm is said when an upload begins, and several tags
/// are set by one PUT, also of a manifest that is named by sha512.
#[tokio::test]
async fn sha512_throughout() {
    let server = Server::start().await;
    let blob = noise(100_000);
    let digest = sha512(&blob);
    let opened = server.ask("POST /v2/a/blobs/uploads/?digest-algorithm=sha512", &[], "").await;
    let to = opened.expect(202).header("location").to_owned();
    server.ask(&format!("PATCH {to}"), &[], blob.clone()).await.expect(202);
    server.ask(&format!("PUT {to}?digest={digest}"), &[], "").await.expect(201);
    let line = "POST /v2/a/blobs/uploads/?digest-algorithm=md5";
    assert_eq!(server.ask(line, &[], "").await.expect(400).code(), "DIGEST_INVALID");

    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [{"mediaType": INDEX, "digest": sha512(b"nested"), "size": 6}],
    });
    let index = index.to_string();
    let digest = sha512(index.as_bytes());
    let line = format!("PUT /v2/a/manifests/{digest}?tag=one&tag=two");
    let put = server.ask(&line, &[("content-type", INDEX)], index.clone()).await.expect(201);
    assert_eq!(put.headers.get_all("oci-tag").iter().count(), 2);
    for reference in ["one", "two", &digest] {
        let answer = server.get(&format!("/v2/a/manifests/{reference}")).await.expect(200);
        assert_eq!(
            (answer.header("docker-content-digest"), &*answer.body),
            (&*digest, index.as_bytes())
        );
    }
}

/// The client chose one algorithm, and names the content by another in the end.
#[tokio::test]
async fn another_algorithm_in_the_end() {
    let server = Server::start().await;
    let blob = noise(100_000);
    for (begun, digest) in [("sha512", sha256(&blob)), ("sha256", sha512(&blob))] {
        let line = format!("POST /v2/a/blobs/uploads/?digest-algorithm={begun}");
        let to = server.ask(&line, &[], "").await.expect(202).header("location").to_owned();
        server.ask(&format!("PATCH {to}"), &[], blob[..40_000].to_vec()).await.expect(202);
        let line = format!("PUT {to}?digest={digest}");
        server.ask(&line, &[], blob[40_000..].to_vec()).await.expect(201);
        assert_eq!(server.get(&format!("/v2/a/blobs/{digest}")).await.expect(200).body, blob);
    }
}
