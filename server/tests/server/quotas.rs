//! Quotas: a push that a namespace has no room for is refused, and leaves nothing.

use pagevault_testkit::{Flavour, Process, Tarball};
use serde_json::{Value, json};

use crate::support::{Answer, MANIFEST, Server, noise, sha256};

/// A checkpoint of a namespace, with 256 KiB of memory of its own.
fn checkpoint(namespace: &str, number: u64) -> Vec<u8> {
    let mut pages = noise(64 * 4096);
    pages.chunks_mut(8).for_each(|part| part[..8].copy_from_slice(&(number * 977).to_le_bytes()));
    pages.iter_mut().zip(noise(64 * 4096)).for_each(|(byte, noise)| *byte ^= noise);
    let process = Process { pid: 1, runs: vec![(0x7000_0000_0000, pages)] };
    let tar = Tarball::new(Flavour::CriO).named(namespace, "cart-0", "redis");
    tar.processes(vec![process]).at(1_700_000_000 + number * 60).build()
}

impl Server {
    async fn try_push(&self, namespace: &str, number: u64) -> Answer {
        self.ask("POST /api/v1/checkpoints", &[], checkpoint(namespace, number)).await
    }

    async fn limit(&self, quota: Value) {
        self.put_policies(&json!({"quotas": [quota]})).await;
    }

    async fn delete(&self, pushed: &Value) {
        let digest = pushed["digest"].as_str().unwrap();
        let line = format!("DELETE /v2/shop/cart-0/redis/manifests/{digest}");
        self.ask(&line, &[], "").await.expect(202);
    }
}

#[track_caller]
fn refused(answer: Answer, what: &[&str]) {
    let problem = answer.expect(403).json();
    assert_eq!(problem["type"], "quota-exceeded");
    let detail = problem["detail"].as_str().unwrap();
    assert!(what.iter().all(|what| detail.contains(what)), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_number() {
    let server = Server::start().await;
    server.limit(json!({"namespace": "shop", "maxCount": 2})).await;
    let first = server.try_push("shop", 0).await.expect(201).json();
    server.try_push("shop", 1).await.expect(201);
    let full = ["namespace shop", "it has 2 checkpoints, and may have 2", "raise maxCount"];
    refused(server.try_push("shop", 2).await, &full);
    // What is there already changes nothing, and others have room of their own.
    server.try_push("shop", 1).await.expect(200);
    server.try_push("bank", 2).await.expect(201);
    server.delete(&first).await;
    server.try_push("shop", 2).await.expect(201);
    refused(server.try_push("shop", 3).await, &full);
    let metrics = server.get("/metrics").await.expect(200);
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(metrics.contains("\npagevault_quota_refused_total 2\n"), "{metrics}");
    // Nothing is left of those that were refused.
    let list = server.get("/api/v1/checkpoints?namespace=shop").await.expect(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_no_more_than_there_is_room_for() {
    let server = Server::start().await;
    server.limit(json!({"namespace": "shop", "maxCount": 3})).await;
    let pushes = (0..8).map(|number| server.try_push("shop", number));
    let answers = futures_util::future::join_all(pushes).await;
    let number = answers.iter().filter(|answer| answer.status == 201).count();
    assert!((1..=3).contains(&number), "{number}");
    // Those that were refused because of one that came to nothing find room now.
    for number in 100..103 {
        server.try_push("shop", number).await;
    }
    let list = server.get("/api/v1/checkpoints").await.expect(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_bytes_of_tars() {
    let server = Server::start().await;
    let bytes = checkpoint("shop", 0).len() as u64;
    server.limit(json!({"namespace": "shop", "maxLogicalSize": 2 * bytes})).await;
    server.try_push("shop", 0).await.expect(201);
    let second = server.try_push("shop", 1).await.expect(201).json();
    refused(server.try_push("shop", 2).await, &["of tars", "would add", "raise maxLogicalSize"]);
    server.delete(&second).await;
    server.try_push("shop", 2).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_what_is_stored() {
    let server = Server::start().await;
    let first = server.try_push("shop", 0).await.expect(201).json();
    let one = first["storedBytes"].as_u64().unwrap();
    server.limit(json!({"namespace": "shop", "maxStoredSize": one * 2 + one / 2})).await;
    // What does not share a page with the first takes as much again.
    let second = server.try_push("shop", 1).await.expect(201).json();
    refused(server.try_push("shop", 2).await, &["of stored data", "raise maxStoredSize"]);
    // A DELETE makes room at once, before anything is collected.
    server.delete(&second).await;
    server.try_push("shop", 2).await.expect(201);
    refused(server.try_push("shop", 3).await, &["namespace shop"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_refused_goes_on_once_there_is_room() {
    let server = Server::start().await;
    server.limit(json!({"namespace": "shop", "maxCount": 1})).await;
    let first = server.try_push("shop", 0).await.expect(201).json();
    let tar = checkpoint("shop", 1);
    let opened = server.ask("POST /api/v1/uploads", &[], "{}").await.expect(201);
    let to = opened.header("location").to_owned();
    let bytes = tar.len();
    server.ask(&format!("PATCH {to}"), &[("upload-offset", "0")], tar).await.expect(204);
    let commit = format!("POST {to}/commit");
    let body = json!({"bytes": bytes}).to_string();
    refused(server.ask(&commit, &[], body.clone()).await, &["namespace shop"]);
    server.delete(&first).await;
    server.ask(&commit, &[], body).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_oci() {
    let server = Server::start().await;
    server.limit(json!({"namespace": "shop", "maxLogicalSize": 1000})).await;
    let layer = noise(5000);
    let config = server.push_blob("x/y", b"{}").await;
    let digest = server.push_blob("x/y", &layer).await;
    assert_eq!(digest, sha256(&layer));
    let image = |annotations: Value| {
        json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "annotations": annotations,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config, "size": 2},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": digest, "size": layer.len()}],
        })
        .to_string()
    };
    let put = |tag: &'static str, manifest: String| {
        let line = format!("PUT /v2/x/y/manifests/{tag}");
        let server = &server;
        async move { server.ask(&line, &[("content-type", MANIFEST)], manifest).await }
    };
    let name = "org.criu.checkpoint.container.name";
    let namespace = "org.criu.checkpoint.pod.namespace";
    let checkpoint = image(json!({name: "redis", namespace: "shop"}));
    let answer = put("a", checkpoint).await.expect(403);
    assert_eq!(answer.code(), "DENIED");
    let told = answer.json()["errors"][0]["message"].to_string();
    assert!(told.contains("maxLogicalSize"), "{told}");
    // What is no checkpoint does not count, nor does one of another namespace.
    put("b", image(json!({}))).await.expect(201);
    put("c", image(json!({name: "redis", namespace: "bank"}))).await.expect(201);
}
