//! Finding checkpoints again, looking into them, keeping them and letting them go.

use futures_util::StreamExt as _;
use pagevault_testkit::{Flavour, Tarball};
use serde_json::{Value, json};

use crate::contract::Contract;
use crate::support::{MANIFEST, Server, sha256};

/// A real checkpoint.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../tests/fixtures/{name}.tar.zst", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// Pushes a checkpoint; returns its reference as a segment of a path.
async fn push(server: &Server, tar: Vec<u8>, query: &str) -> String {
    let pushed = server.ask(&format!("POST /api/v1/checkpoints?{query}"), &[], tar).await;
    let pushed = pushed.expect(201).json();
    pushed["reference"].as_str().unwrap().replace('/', "%2F")
}

fn texts(items: &Value, field: &str) -> Vec<String> {
    let items = items["items"].as_array().unwrap().iter();
    items.map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_a_real_checkpoint() {
    let server = Server::start().await;
    let contract = Contract::of(&server).await;
    let at = push(&server, fixture("kubelet-containerd-redis"), "").await;
    let path = format!("/api/v1/checkpoints/{at}");
    let shown = contract.get(&server, &path).await;
    assert_eq!((&shown["criu"], &shown["kernel"]), (&json!("4.2.1"), &json!("6.18.44-fc-v782")));
    assert_eq!((&shown["node"], &shown["origin"]), (&json!("vm"), &json!("push")));
    assert_eq!((&shown["processCount"], &shown["threadCount"]), (&json!(1), &json!(6)));
    assert_eq!(shown["memoryBytes"], 3_043_328);
    assert_eq!(shown["tags"].as_array().unwrap().len(), 2);
    let port = json!({"protocol": "tcp", "port": 16379, "address": "0.0.0.0"});
    assert!(shown["restore"]["ports"].as_array().unwrap().contains(&port), "{}", shown["restore"]);
    assert_eq!(shown["restore"]["mounts"], json!([]));

    let processes = contract.get(&server, &format!("{path}/processes")).await;
    assert_eq!(texts(&processes, "command"), ["redis-server"]);
    let files = contract.get(&server, &format!("{path}/files?pid=1")).await;
    let sockets = files["items"].as_array().unwrap().iter().filter(|f| f.get("socket").is_some());
    assert!(sockets.count() > 0);
    let environment = contract.get(&server, &format!("{path}/environment")).await;
    assert!(texts(&environment, "name").contains(&"KUBERNETES_SERVICE_HOST".to_owned()));
    // There is no secret in it.
    let masked = environment["items"].as_array().unwrap().iter().find(|it| it["masked"] == true);
    assert_eq!(masked, None);
    contract.get(&server, &format!("{path}/rootfs")).await;
    let memory = contract.get(&server, &format!("{path}/memory-areas?pid=1")).await;
    let areas = memory["processes"][0]["areas"].as_array().unwrap();
    assert!(memory.get("against").is_none());
    let whole = |area: &&Value| {
        let at = |end: &str| u64::from_str_radix(&area[end].as_str().unwrap()[2..], 16).unwrap();
        area["pages"].as_u64().unwrap() * 4096 == at("end") - at("start")
    };
    let start = areas.iter().find(whole).unwrap()["start"].as_str().unwrap();
    let raw = format!("{path}/memory?pid=1&start={start}&length=4096");
    let raw = server.get(&raw).await.expect(200);
    assert_eq!((raw.header("cache-control"), raw.body.len()), ("no-store", 4096));
    for (query, status) in [
        (format!("pid=1&start={start}&length=0"), 400),
        (format!("pid=1&start={start}&length=1048577"), 400),
        (format!("pid=2&start={start}&length=1"), 404),
        ("pid=1&start=0x10&length=1".to_owned(), 404),
        ("pid=1&start=0xffffffffffffffff&length=2".to_owned(), 404),
        ("pid=1&start=x&length=1".to_owned(), 400),
        ("start=1&length=1".to_owned(), 400),
    ] {
        let line = format!("GET {path}/memory?{query}");
        contract.ask(&server, &line, Value::Null).await.expect(status);
    }
    let diff = contract.get(&server, &format!("/api/v1/diff?from={at}&to={at}")).await;
    for same in ["processes", "files", "sockets", "environment"] {
        assert_eq!(diff[same], json!([]), "{same}");
    }
    assert_eq!(
        diff["memory"]["pages"],
        json!({"same": 743, "changed": 0, "added": 0, "removed": 0})
    );
    let restore = contract.get(&server, &format!("{path}/restore?registry=reg.test:5000")).await;
    let pod = restore["containerd"].as_str().unwrap();
    assert!(pod.contains("image: \"reg.test:5000/default/redis-a/redis@sha256:"), "{pod}");
    assert!(restore.get("crio").is_none() && restore.get("podman").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_manifests_of_each_engine() {
    let server = Server::start().await;
    let contract = Contract::of(&server).await;
    for (name, engine, says) in [
        ("cri-o-counter", "crio", "kind: Pod"),
        ("podman-counter", "podman", "podman container restore"),
    ] {
        let at = push(&server, fixture(name), "").await;
        let restore = contract.get(&server, &format!("/api/v1/checkpoints/{at}/restore")).await;
        assert!(restore[engine].as_str().unwrap().contains(says), "{restore}");
        let bad = format!("GET /api/v1/checkpoints/{at}/restore?registry=$(id)");
        contract.ask(&server, &bad, Value::Null).await.expect(400);
    }
}

#[tokio::test]
async fn a_pinned_checkpoint_stays() {
    let server = Server::start().await;
    let contract = Contract::of(&server).await;
    let at = push(&server, Tarball::new(Flavour::Containerd).build(), "ref=x/y:z").await;
    let path = format!("/api/v1/checkpoints/{at}");
    let pin = |reason: &str| json!({"reason": reason});
    let put = format!("PUT {path}/pin");
    let pinned = contract.ask(&server, &put, pin("evidence")).await.expect(200).json();
    assert_eq!(pinned["pinned"], true);
    let shown = contract.get(&server, &path).await;
    assert_eq!(shown["pin"]["reason"], "evidence");
    let refused = contract.ask(&server, &format!("DELETE {path}"), Value::Null).await.expect(409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("evidence"));
    let manifest = format!("DELETE /v2/x/y/manifests/{}", shown["digest"].as_str().unwrap());
    server.ask(&manifest, &[], "").await.expect(409);
    let image = server.ask("GET /v2/x/y/manifests/z", &[], "").await.expect(200).json();
    for (what, name) in [
        ("manifests", "z"),
        ("blobs", image["layers"][0]["digest"].as_str().unwrap()),
        ("blobs", image["config"]["digest"].as_str().unwrap()),
    ] {
        server.ask(&format!("DELETE /v2/x/y/{what}/{name}"), &[], "").await.expect(409);
    }
    let listed = contract.get(&server, "/api/v1/checkpoints?pinned=true").await;
    assert_eq!(texts(&listed, "reference"), ["x/y:z"]);
    for bad in [json!({}), pin(""), pin(" "), pin("a\nb"), pin(&"a".repeat(300))] {
        contract.ask(&server, &put, bad).await.expect(400);
    }
    contract.ask(&server, &format!("DELETE {path}/pin"), Value::Null).await.expect(200);
    contract.ask(&server, &format!("DELETE {path}"), Value::Null).await.expect(204);
    contract.ask(&server, &format!("GET {path}"), Value::Null).await.expect(404);
    contract.ask(&server, &put, pin("late")).await.expect(404);
}

#[tokio::test]
async fn labels_are_set_and_taken_away() {
    let server = Server::start().await;
    let contract = Contract::of(&server).await;
    let at = push(&server, Tarball::new(Flavour::Containerd).build(), "label=a=1&label=b=2").await;
    let patch = format!("PATCH /api/v1/checkpoints/{at}/labels");
    let changed = contract.ask(&server, &patch, json!({"a": null, "c": "3"})).await;
    assert_eq!(changed.expect(200).json()["labels"], json!({"b": "2", "c": "3"}));
    for (query, number) in [("label=c=3", 1), ("label=c=3&label=b=2", 1), ("label=a=1", 0)] {
        let listed = contract.get(&server, &format!("/api/v1/checkpoints?{query}")).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), number, "{query}");
    }
    let many: serde_json::Map<_, _> = (0..64).map(|n| (n.to_string(), json!("x"))).collect();
    for bad in [
        json!({"": "x"}),
        json!({"a=b": "x"}),
        json!({"a": "b\u{7}"}),
        json!({"a": 1}),
        many.into(),
        json!([]),
    ] {
        contract.ask(&server, &patch, bad).await.expect(400);
    }
}

#[tokio::test]
async fn lists_are_narrowed_and_sorted() {
    let server = Server::start().await;
    let contract = Contract::of(&server).await;
    for (pod, at, workload) in
        [("cart-0", 100, "cart"), ("cart-1", 300, "cart"), ("db-0", 200, "db")]
    {
        let tar = Tarball::new(Flavour::CriO).named("shop", pod, "main").at(1_700_000_000 + at);
        push(&server, tar.build(), &format!("workload={workload}&node=node-{pod}")).await;
    }
    for (query, pods) in [
        ("", vec!["cart-1", "db-0", "cart-0"]),
        ("order=asc", vec!["cart-0", "db-0", "cart-1"]),
        ("workload=cart", vec!["cart-1", "cart-0"]),
        ("node=node-db-0", vec!["db-0"]),
        ("since=2023-11-14T22:16:40Z&until=2023-11-14T22:18:20Z", vec!["db-0"]),
        ("pinned=true", vec![]),
    ] {
        let listed = contract.get(&server, &format!("/api/v1/checkpoints?{query}")).await;
        assert_eq!(texts(&listed, "pod"), pods, "{query}");
    }
    for bad in ["sort=x", "order=x", "pinned=x", "since=x", "limit=0", "cursor=x", "nope=1"] {
        let line = format!("GET /api/v1/checkpoints?{bad}");
        contract.ask(&server, &line, Value::Null).await.expect(400);
    }
    let workloads = contract.get(&server, "/api/v1/workloads?limit=1").await;
    assert_eq!(
        (texts(&workloads, "name"), &workloads["items"][0]["checkpoints"]),
        (vec!["cart".into()], &json!(2))
    );
    let cursor = workloads["next"].as_str().unwrap();
    let second = contract.get(&server, &format!("/api/v1/workloads?cursor={cursor}")).await;
    assert_eq!(texts(&second, "name"), ["db"]);
    for (query, names) in [("search=AR", vec!["cart"]), ("container=main&search=d", vec!["db"])] {
        let found = contract.get(&server, &format!("/api/v1/workloads?{query}")).await;
        assert_eq!(texts(&found, "name"), names, "{query}");
    }
    let spaces = contract.get(&server, "/api/v1/stats/namespaces").await;
    assert_eq!(
        (texts(&spaces, "namespace"), &spaces["items"][0]["workloads"]),
        (vec!["shop".into()], &json!(2))
    );
    contract.get(&server, "/api/v1/stats").await;
    let growth = contract.get(&server, "/api/v1/stats/growth").await;
    assert_eq!(
        growth["items"].as_array().unwrap().iter().map(|it| &it["checkpoints"]).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(growth["items"][2]["at"], "2023-11-14T22:18:20Z");
    contract.ask(&server, "POST /api/v1/gc", json!({"dryRun": true})).await.expect(202);
    while contract.get(&server, "/api/v1/gc").await["items"][0]["state"] == "running" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    contract.get(&server, "/api/v1/gc/1").await;
}

#[tokio::test]
async fn events_are_told_as_they_happen() {
    let server = Server::start().await;
    let request = axum::http::Request::get("/api/v1/events").body(axum::body::Body::empty());
    let response = server.respond(request.unwrap()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut parts = response.into_body().into_data_stream();
    assert_eq!(parts.next().await.unwrap().unwrap(), ": events\n\n");
    let at = push(&server, Tarball::new(Flavour::Containerd).build(), "ref=x/y:z").await;
    let path = format!("/api/v1/checkpoints/{at}");
    server.ask(&format!("PUT {path}/pin"), &[], r#"{"reason":"r"}"#).await.expect(200);
    server.ask(&format!("DELETE {path}/pin"), &[], "").await.expect(200);
    server.ask(&format!("DELETE {path}"), &[], "").await.expect(204);
    server.ask("POST /api/v1/retention/run", &[], r#"{"dryRun":true}"#).await.expect(202);
    let mut told = Vec::new();
    for _ in 0..6 {
        let part = parts.next().await.unwrap().unwrap();
        let text = String::from_utf8(part.to_vec()).unwrap();
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let event: pagevault_api::event::Event = serde_json::from_str(data).unwrap();
        assert!(text.starts_with(&format!("id: {}\nevent: {}\n", event.id, event.what.name())));
        told.push(event.what.name());
    }
    let changed = "checkpoint-changed";
    let ran = ["retention-started", "retention-finished"];
    assert_eq!(told[..4], ["checkpoint-pushed", changed, changed, "checkpoint-deleted"]);
    assert_eq!(told[4..], ran);
}

#[tokio::test]
async fn what_is_said_about_a_checkpoint_goes_with_it() {
    let server = Server::start().await;
    let tar = Tarball::new(Flavour::CriO).build();
    let pushed =
        server.ask("POST /api/v1/checkpoints?ref=a/b:c", &[], tar).await.expect(201).json();
    let digest = pushed["digest"].as_str().unwrap();
    let config = server.push_blob("a/b", b"{}").await;
    let put = async |tag: &str, subject: Option<&str>, note: &str| {
        let mut manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "annotations": {"note": note},
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        });
        if let Some(digest) = subject {
            manifest["subject"] =
                serde_json::json!({"mediaType": MANIFEST, "digest": digest, "size": 2});
        }
        let line = format!("PUT /v2/a/b/manifests/{tag}");
        let body = manifest.to_string();
        let digest = sha256(body.as_bytes());
        let line = if tag.is_empty() { line + &digest } else { line };
        server.ask(&line, &[("content-type", MANIFEST)], body).await.expect(201);
        digest
    };
    let of = |digest: &str, kind: &str| digest.replacen(':', "-", 1) + kind;
    let signature = put(&of(digest, ".sig"), None, "signature").await;
    let about_it = put(&of(&signature, ".att"), None, "about the signature").await;
    let report = put("", Some(digest), "report").await;
    let shared = put(&of(digest, ".sbom"), None, "has another name").await;
    put("other", None, "has another name").await;
    let another = put(&of(&sha256(b"another image"), ".sig"), None, "of another").await;
    server.ask("DELETE /api/v1/checkpoints/a%2Fb%3Ac", &[], "").await.expect(204);
    for gone in [digest, &signature, &about_it, &report] {
        server.get(&format!("/v2/a/b/manifests/{gone}")).await.expect(404);
    }
    for kept in [&shared, &another, "other"] {
        server.get(&format!("/v2/a/b/manifests/{kept}")).await.expect(200);
    }
    let tags = server.get("/v2/a/b/tags/list").await.expect(200).json();
    assert_eq!(tags["tags"], serde_json::json!(["other", of(&sha256(b"another image"), ".sig")]));
}
