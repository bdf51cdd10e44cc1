//! `/api/v1/retention`: policies, runs, and why each checkpoint stays or goes.

use std::time::Duration;

use pagevault_testkit::{Flavour, Process, Tarball};
use serde_json::{Value, json};

use crate::support::{Server, noise};

const POLICIES: &str = "/api/v1/retention/policies";
/// The time of the first checkpoint of these tests.
const BEGIN: u64 = 1_700_000_000;

/// A checkpoint of `shop/<pod>/redis`, so many hours after the first.
fn checkpoint(pod: &str, hours: u64) -> Vec<u8> {
    let mut pages = noise(64 * 4096);
    pages[..8].copy_from_slice(&hours.to_le_bytes());
    let process = Process { pid: 1, runs: vec![(0x7000_0000_0000, pages)] };
    let tar = Tarball::new(Flavour::CriO).named("shop", pod, "redis").processes(vec![process]);
    tar.at(BEGIN + hours * 3600).build()
}

impl Server {
    async fn push(&self, pod: &str, hours: u64) -> Value {
        let tar = checkpoint(pod, hours);
        self.ask("POST /api/v1/checkpoints", &[], tar).await.expect(201).json()
    }

    /// Replaces the policies, whatever they are.
    pub(crate) async fn put_policies(&self, config: &Value) {
        let line = format!("PUT {POLICIES}");
        let headers = [("if-match", "*"), ("content-type", "application/json")];
        self.ask(&line, &headers, config.to_string()).await.expect(200);
    }

    /// Runs retention, and returns the run once it has ended.
    async fn retain(&self, dry_run: bool) -> Value {
        let body = json!({"dryRun": dry_run}).to_string();
        let started = self.ask("POST /api/v1/retention/run", &[], body).await.expect(202);
        let location = started.header("location").to_owned();
        loop {
            let run = self.get(&location).await.expect(200).json();
            if run["state"] != "running" {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn plan(&self, run: &Value, query: &str) -> Vec<Value> {
        let path = format!("/api/v1/retention/runs/{}/plan{query}", run["id"]);
        self.get(&path).await.expect(200).json()["items"].as_array().unwrap().clone()
    }

    /// Digests of the checkpoints that there are, newest first.
    async fn digests(&self) -> Vec<Value> {
        let list = self.get("/api/v1/checkpoints").await.expect(200).json();
        list["items"].as_array().unwrap().iter().map(|item| item["digest"].clone()).collect()
    }
}

#[tokio::test]
async fn policies_in_json_and_yaml_change_by_comparison() {
    let server = Server::start().await;
    let put = format!("PUT {POLICIES}");
    let unwritten = server.get(POLICIES).await.expect(200);
    assert_eq!(unwritten.json(), json!({"policies": [], "quotas": []}));
    let etag = unwritten.header("etag").to_owned();
    let yaml = "policies:\n- scope: {namespace: shop}\n  keepDaily: 7\n  maxLogicalSize: 1GiB\n";
    server.ask(&put, &[("content-type", "application/yaml")], yaml).await.expect(428);
    let headers = [("content-type", "application/yaml"), ("if-match", etag.as_str())];
    let first = server.ask(&put, &headers, yaml).await.expect(200);
    let policy = json!({"scope": {"namespace": "shop"}, "keepDaily": 7, "retainOrphan": true,
        "maxLogicalSize": 1 << 30});
    assert_eq!(first.json()["policies"], json!([policy]));
    // Who has read what was before is told, and nothing changes.
    let late = server.ask(&put, &headers, "policies: []").await.expect(412).json();
    assert_eq!(late["type"], "precondition-failed");
    let read = server.ask(&format!("GET {POLICIES}"), &[("accept", "application/yaml")], "").await;
    assert_eq!(read.header("content-type"), "application/yaml");
    assert_eq!(read.header("etag"), first.header("etag"));
    let again = [("content-type", "text/yaml"), ("if-match", read.header("etag"))];
    let written = server.ask(&put, &again, read.body.clone()).await.expect(200);
    assert_eq!(written.json(), first.json());
    for (kind, body, what) in [
        ("application/yaml", "policies:\n- keepLast: x\n", "line 2"),
        ("application/yaml", "policies: [{keepLast: 0}]", "policies[0]: keepLast is 0"),
        ("application/json", r#"{"policy": []}"#, "unknown field `policy`"),
    ] {
        let headers = [("content-type", kind), ("if-match", "*")];
        let refused = server.ask(&put, &headers, body).await.expect(400).json();
        assert!(refused["detail"].as_str().unwrap().contains(what), "{refused}");
    }
    server.ask(&put, &[("if-match", "W/x")], "{}").await.expect(400);
    let server = server.restart().await;
    assert_eq!(server.get(POLICIES).await.expect(200).json(), first.json());
}

#[tokio::test]
async fn policies_of_a_file_are_the_truth() {
    let server = Server::start().await;
    server.put_policies(&json!({"policies": [{"keepLast": 1}]})).await;
    let Server { registry, settings, folder } = server;
    registry.close(Duration::ZERO).await;
    drop(registry);
    let file = folder.path().join("retention.yaml");
    std::fs::write(&file, "policies: [{keepLast: 9}]").unwrap();
    let mut config = settings.registry();
    config.data = folder.path().join("other");
    config.retention = Some(pagevault_server::read_policies(&file).unwrap());
    let registry = pagevault_registry::Registry::open(config).await.unwrap();
    let server = Server { registry, settings, folder };
    let read = server.get(POLICIES).await.expect(200);
    assert_eq!(
        (read.header("etag"), &read.json()["policies"][0]["keepLast"]),
        ("\"file\"", &9.into())
    );
    let put = server.ask(&format!("PUT {POLICIES}"), &[("if-match", "*")], "{}").await.expect(409);
    assert!(put.json()["detail"].as_str().unwrap().contains("--retention"), "{:?}", put.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_and_a_run_does_it() {
    let server = Server::start().await;
    let mut pushed = Vec::new();
    for hours in [0, 1, 24, 25, 48] {
        pushed.push(server.push("cart-0", hours).await);
    }
    let rules = json!({"scope": {"namespace": "shop"}, "keepDaily": 2, "minKeep": 2});
    server.put_policies(&json!({"policies": [rules]})).await;
    let dry = server.retain(true).await;
    assert_eq!((&dry["state"], &dry["dryRun"]), (&"done".into(), &true.into()));
    let result = &dry["result"];
    assert_eq!(
        (&result["examined"], &result["kept"], &result["deleted"]),
        (&5.into(), &2.into(), &3.into())
    );
    let plan = server.plan(&dry, "").await;
    let told: Vec<_> =
        plan.iter().map(|d| (&d["digest"], &d["action"], &d["reasons"][0])).collect();
    let keep = json!({"rule": "keepDaily", "text": "one of 2 daily ones"});
    let go = json!({"rule": "notChosen", "text": "no keep rule chooses it"});
    for ((digest, action, reason), (n, kept)) in
        told.into_iter().zip([(4, true), (3, true), (2, false), (1, false), (0, false)])
    {
        assert_eq!(digest, &pushed[n]["digest"]);
        assert_eq!(action, if kept { "keep" } else { "delete" });
        assert_eq!(reason, if kept { &keep } else { &go });
    }
    assert_eq!(plan[0]["scope"], json!({"namespace": "shop"}));
    let going = server.plan(&dry, "?action=delete&limit=2").await;
    assert_eq!(
        going.iter().map(|d| &d["digest"]).collect::<Vec<_>>(),
        [&pushed[2]["digest"], &pushed[1]["digest"]]
    );
    assert_eq!(server.digests().await.len(), 5);

    let run = server.retain(false).await;
    assert_eq!(run["result"]["deleted"], 3);
    assert_eq!(run["result"]["freeableBytes"], result["freeableBytes"]);
    assert_eq!(server.digests().await, [pushed[4]["digest"].clone(), pushed[3]["digest"].clone()]);
    let gone = format!("/v2/shop/cart-0/redis/manifests/{}", pushed[0]["digest"].as_str().unwrap());
    server.get(&gone).await.expect(404);
    let stays =
        format!("/v2/shop/cart-0/redis/manifests/{}", pushed[4]["digest"].as_str().unwrap());
    server.get(&stays).await.expect(200);
    let metrics = server.get("/metrics").await.expect(200);
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(metrics.contains("\npagevault_retention_deleted_total 3\n"), "{metrics}");
    // A second time there is nothing to do; and the plan of the run before is no more.
    assert_eq!(server.retain(false).await["result"]["deleted"], 0);
    server.get(&format!("/api/v1/retention/runs/{}/plan", run["id"])).await.expect(404);
    let runs = server.get("/api/v1/retention/runs").await.expect(200).json();
    assert_eq!(runs["items"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_alone_would_be_freed() {
    let server = Server::start().await;
    for hours in 0..3 {
        server.push("cart-0", hours).await;
    }
    let all = server.plan(&server.retain(true).await, "").await;
    let freeable: Vec<_> = all.iter().map(|d| d["freeableBytes"].as_u64().unwrap()).collect();
    // The newest stands on those before it: only it can go alone.
    assert!(freeable[0] > 0, "{freeable:?}");
    assert_eq!(freeable[1..], [0, 0]);
    assert_eq!(all[0]["reasons"][0]["rule"], "noPolicy");
    // All of them together free all that is stored.
    server.put_policies(&json!({"policies": [{"maxAge": "1h"}]})).await;
    let dry = server.retain(true).await;
    assert!(dry["result"]["freeableBytes"].as_u64().unwrap() > freeable[0], "{dry}");
    assert_eq!(dry["result"]["deleted"], 3);
    let stored = server.get("/api/v1/stats").await.expect(200).json()["storedBytes"].clone();
    assert_eq!(dry["result"]["freeableBytes"], stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_keeps_and_an_orphan_goes() {
    let server = Server::start().await;
    let mut pushed = Vec::new();
    for hours in 0..4 {
        pushed.push(server.push("cart-0", hours).await);
    }
    let path = |n: usize, what: &str| {
        let reference = pushed[n]["reference"].as_str().unwrap().replace('/', "%2F");
        format!("/api/v1/checkpoints/{reference}/{what}")
    };
    let digest = |n: usize| pushed[n]["digest"].clone();
    server
        .ask(&format!("PUT {}", path(0, "pin")), &[], r#"{"reason": "evidence"}"#)
        .await
        .expect(200);
    server.put_policies(&json!({"policies": [{"maxCount": 3}]})).await;
    let run = server.retain(false).await;
    assert_eq!(run["result"]["deleted"], 1);
    assert_eq!(server.digests().await, [digest(3), digest(2), digest(0)]);
    let plan = server.plan(&run, "?action=keep").await;
    assert_eq!(plan[2]["reasons"][0]["rule"], "pinned");

    let label = r#"{"pagevault.io/orphan": "true"}"#;
    server.ask(&format!("PATCH {}", path(2, "labels")), &[], label).await.expect(200);
    server.ask(&format!("PATCH {}", path(0, "labels")), &[], label).await.expect(200);
    server.put_policies(&json!({"policies": [{"retainOrphan": false}]})).await;
    assert_eq!(server.retain(false).await["result"]["deleted"], 1);
    assert_eq!(server.digests().await, [digest(3), digest(0)]);
    server.ask(&format!("DELETE {}", path(0, "pin")), &[], "").await.expect(200);
    assert_eq!(server.retain(false).await["result"]["deleted"], 1);
    assert_eq!(server.digests().await, [digest(3)]);
}

#[tokio::test]
async fn what_is_refused() {
    let server = Server::start().await;
    for body in ["[1]", r#"{"dryrun": true}"#, "x"] {
        server.ask("POST /api/v1/retention/run", &[], body).await.expect(400);
    }
    let run = server.retain(true).await;
    let plan = format!("/api/v1/retention/runs/{}/plan", run["id"]);
    for query in ["?action=x", "?limit=0", "?cursor=x", "?x=1"] {
        server.get(&format!("{plan}{query}")).await.expect(400);
    }
    server.get("/api/v1/retention/runs/9").await.expect(404);
    server.get("/api/v1/retention/runs/9/plan").await.expect(404);
    server.get("/api/v1/retention/runs/x").await.expect(400);
    server.ask("POST /api/v1/retention/runs/9/cancel", &[], "").await.expect(404);
}
