//! `/api/v1/gc`, and what clients of `/v2/` are promised.

use std::time::Duration;

use axum::body::Body;

use crate::support::{Server, noise, sha256};

impl Server {
    /// Collects, and returns the run once it has ended.
    async fn collect(&self, body: &'static str) -> serde_json::Value {
        let started = self.ask("POST /api/v1/gc", &[], body).await.expect(202);
        let run = started.header("location").to_owned();
        loop {
            let run = self.get(&run).await.expect(200).json();
            if run["state"] != "running" {
                let runs = self.get("/api/v1/gc").await.expect(200).json();
                assert_eq!(runs["items"][0], run);
                return run;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_once_it_is_deleted_and_nobody_was_promised_its_blobs() {
    let server = Server::start().await;
    let layer = noise(100_000);
    let manifest = server.push_image("a/b", "v1", &layer).await;
    let (digest, layer) = (sha256(&manifest), sha256(&layer));
    let explain = format!("/api/v1/gc/explain?digest={layer}");
    let kept = server.get(&explain).await.expect(200).json();
    assert_eq!(kept["kept"], true);
    assert!(kept["items"][0]["because"].to_string().contains(&digest), "{kept}");
    assert_eq!(server.collect("").await["result"]["freed"]["recipes"], 0);
    server.ask(&format!("DELETE /v2/a/b/manifests/{digest}"), &[], Body::empty()).await.expect(202);
    // It was pushed a moment ago: another manifest may be about to name its blobs.
    let run = server.collect(r#"{"dryRun": false}"#).await;
    assert_eq!((&run["state"], &run["result"]["freed"]["blobs"]), (&"done".into(), &0.into()));
    server.ask(&format!("HEAD /v2/a/b/blobs/{layer}"), &[], Body::empty()).await.expect(200);
    // A DELETE ends what was promised of a blob.
    server.ask(&format!("DELETE /v2/a/b/blobs/{layer}"), &[], Body::empty()).await.expect(202);
    let dry = server.collect(r#"{"dryRun": true}"#).await;
    assert_eq!((&dry["dryRun"], &dry["trigger"]), (&true.into(), &"request".into()));
    assert!(dry["result"]["freedBytes"].as_u64().unwrap() > 100_000, "{dry}");
    let run = server.collect("{}").await;
    assert_eq!(run["result"]["freedBytes"], dry["result"]["freedBytes"]);
    assert_eq!(server.get(&explain).await.expect(200).json()["kept"], false);
    let stats = server.get("/api/v1/stats").await.expect(200).json();
    assert_eq!(stats["storedBytes"], 0);
    server.get(&format!("/v2/a/b/blobs/{layer}")).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused() {
    let server = Server::start().await;
    for body in ["[]", "[true]", "null", r#"{"dryrun": true}"#, "x"] {
        server.ask("POST /api/v1/gc", &[], body).await.expect(400);
    }
    server.get("/api/v1/gc?x=1").await.expect(400);
    server.get("/api/v1/gc/1").await.expect(404);
    server.get("/api/v1/gc/x").await.expect(400);
    server.ask("POST /api/v1/gc/1/cancel", &[], "").await.expect(404);
    server.get("/api/v1/gc/explain").await.expect(400);
    server.get("/api/v1/gc/explain?digest=x").await.expect(400);
    let nothing = server.get(&format!("/api/v1/gc/explain?digest={}", "0".repeat(32))).await;
    assert_eq!(nothing.expect(200).json()["items"], serde_json::json!([]));
}
