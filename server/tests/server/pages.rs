//! Pages: the same shell at each address, and its files.

use axum::body::Body;

use crate::support::Server;

const GZIP: [(&str, &str); 1] = [("accept-encoding", "gzip, deflate, br, zstd")];

#[tokio::test]
async fn every_page_answers_at_its_address() {
    let server = Server::start().await;
    let first = server.get("/").await.expect(200);
    for address in [
        "/workloads",
        "/workloads/timeline?namespace=shop&name=cart&container=redis",
        "/checkpoints/shop/cart-0/redis:20261123T092033Z",
        "/compare?from=a/b:c&to=a/b:d",
        "/retention",
        "/collections",
    ] {
        let page = server.get(address).await.expect(200);
        assert_eq!(page.body, first.body, "{address}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
    for address in ["/checkpoints", "/nothing", "/workloads/other"] {
        server.get(address).await.expect(404);
    }
    server.ask("POST /", &[], Body::empty()).await.expect(405);
}

#[tokio::test]
async fn files_of_this_version_are_kept_and_those_of_others_are_not_here() {
    let server = Server::start().await;
    let shell = server.get("/").await.expect(200);
    let html = std::str::from_utf8(&shell.body).unwrap();
    let script = html.split('"').find(|part| part.ends_with("/app.js")).unwrap();
    let file = server.get(script).await.expect(200);
    assert_eq!(file.header("content-type"), "text/javascript; charset=utf-8");
    assert!(file.header("cache-control").ends_with("immutable"));
    assert_eq!(file.header("vary"), "accept-encoding");
    let packed = server.ask(&format!("GET {script}"), &GZIP, Body::empty()).await.expect(200);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < file.body.len());
    let other = format!("/pages/{:016x}/app.js", 0);
    for path in [other, script.replace("app.js", "shell.html"), script.replace("app.js", "x.js")] {
        server.get(&path).await.expect(404);
    }
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let server = Server::start().await;
    let first = server.get("/").await.expect(200);
    let etag = first.header("etag").to_owned();
    let again = server.ask("GET /", &[("if-none-match", &etag)], Body::empty()).await.expect(304);
    assert!(again.body.is_empty());
    for name in ["etag", "content-security-policy", "cache-control", "referrer-policy"] {
        assert_eq!(again.header(name), first.header(name));
    }
    server.ask("GET /", &[("if-none-match", "\"other\"")], Body::empty()).await.expect(200);
}
