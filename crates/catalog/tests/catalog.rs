//! The catalog over a store in memory: truth, races, and a view that can always be made anew.

#![allow(clippy::unwrap_used, clippy::cast_possible_wrap, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use pagevault_api::Digest;
use pagevault_api::checkpoint::{Checkpoint, CheckpointFilter, CheckpointOrder, Origin};
use pagevault_api::reference::{Reference, Selector};
use pagevault_catalog::*;
use pagevault_objects::{Key, MemoryStore, ObjectStore, Precondition};

fn digest(n: u64) -> Digest {
    format!("sha256:{n:064x}").parse().unwrap()
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn manifest(n: u64, checkpoint: Option<CheckpointRecord>) -> NewManifest {
    NewManifest {
        digest: digest(n),
        media_type: "m".into(),
        bytes: vec![1, 2, 3],
        subject: None,
        artifact_type: None,
        annotations: BTreeMap::new(),
        references: vec![],
        blobs: BTreeMap::new(),
        checkpoint,
        detail: None,
    }
}

fn checkpoint(n: u64, namespace: &str, seconds: i64) -> CheckpointRecord {
    let summary = Checkpoint {
        reference: Reference::digest("r", digest(n)),
        digest: digest(n),
        layer_digest: digest(n + 1_000_000),
        namespace: namespace.into(),
        pod: format!("pod-{}", n % 3),
        container: "c".into(),
        pod_uid: None,
        workload: None,
        node: None,
        engine: "containerd".into(),
        runtime: "runc".into(),
        image: "i".into(),
        image_digest: None,
        architecture: "amd64".into(),
        created_at: time(seconds),
        pushed_at: time(0),
        logical_bytes: 10,
        stored_bytes: 1,
        base: None,
        pages: None,
        origin: Origin::Push,
        pinned: false,
        labels: BTreeMap::from([("n\"o".to_owned(), n.to_string())]),
    };
    let recipe = Some(format!("recipe-{n}"));
    CheckpointRecord {
        summary,
        pin: None,
        recipe,
        compressed: false,
        lineage: format!("{namespace}\nw"),
    }
}

async fn open(store: &MemoryStore, folder: &Path) -> Catalog {
    Catalog::open(Arc::new(store.clone()), folder).await.unwrap()
}

async fn all(catalog: &Catalog, filter: &CheckpointFilter) -> Vec<Checkpoint> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let page = catalog
            .list_checkpoints(filter, CheckpointOrder::default(), cursor.as_deref(), 3)
            .await
            .unwrap();
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return items;
        }
    }
}

#[tokio::test]
async fn manifests_tags_and_blobs_come_and_go() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let catalog = open(&store, folder.path()).await;
    catalog.put_manifest("a/b", manifest(1, None)).await.unwrap();
    catalog.put_tag("a/b", "v1", &digest(1)).await.unwrap();
    catalog.put_tag("a/b", "v2", &digest(1)).await.unwrap();
    let found = catalog.resolve("a/b", &Selector::Tag("v1".into())).await.unwrap().unwrap();
    assert_eq!((found.digest, found.bytes), (digest(1), vec![1, 2, 3]));
    assert!(catalog.resolve("a", &Selector::Tag("v1".into())).await.unwrap().is_none());
    assert_eq!(catalog.tags("a/b", None, 10).await.unwrap(), ["v1", "v2"]);
    assert_eq!(catalog.tags("a/b", Some("v1"), 10).await.unwrap(), ["v2"]);
    assert_eq!(catalog.repositories(None, 10).await.unwrap(), ["a/b"]);
    assert!(catalog.delete_tag("a/b", "v2").await.unwrap());
    assert!(!catalog.delete_tag("a/b", "v2").await.unwrap());
    assert!(catalog.delete_manifest("a/b", &digest(1)).await.unwrap());
    assert!(catalog.tags("a/b", None, 10).await.unwrap().is_empty());
    assert!(catalog.find_tag("a/b", "v1").await.unwrap().is_none());
    assert!(!catalog.has_repository("a/b").await.unwrap());
    catalog.put_manifest("a/b", manifest(1, None)).await.unwrap();
    assert!(catalog.has_repository("a/b").await.unwrap());
    let blob = BlobRecord { bytes: 2, location: BlobLocation::Inline(b"hi".to_vec()) };
    assert_eq!(catalog.put_blob("a/b", &digest(9), blob.clone()).await.unwrap(), blob);
    assert_eq!(catalog.find_blob("a/b", &digest(9)).await.unwrap(), Some(blob));
    assert!(catalog.delete_blob("a/b", &digest(9)).await.unwrap());
    assert_eq!(catalog.find_blob("a/b", &digest(9)).await.unwrap(), None);
}

#[tokio::test]
async fn a_blob_is_remembered_for_a_day_since_it_went() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let catalog = open(&store, folder.path()).await;
    let blob = BlobRecord { bytes: 2, location: BlobLocation::Inline(b"hi".to_vec()) };
    catalog.put_blob("a/b", &digest(9), blob).await.unwrap();
    let day = 24 * 3600;
    store.advance_clock(2 * day);
    catalog.delete_blob("a/b", &digest(9)).await.unwrap();
    for (pass, stays) in [(0, true), (day - 1, true), (1, false)] {
        store.advance_clock(pass);
        let absent = catalog.blob_entry("a/b", &digest(9)).await.unwrap();
        assert!(absent.record.is_none());
        let now = catalog.now().await.unwrap();
        assert_eq!(catalog.drop_trace(&absent, now).await.unwrap(), !stays);
        assert_eq!(catalog.has_held_blob("a/b", &digest(9)).await.unwrap(), stays);
    }
}

#[tokio::test]
async fn a_tag_that_was_set_again_outlives_the_deletion_of_what_it_pointed_to() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let catalog = open(&store, folder.path()).await;
    catalog.put_manifest("a/b", manifest(1, None)).await.unwrap();
    for tag in ["v1", "claimed", "old"] {
        catalog.put_tag("a/b", tag, &digest(1)).await.unwrap();
    }
    catalog.advance_latest("a/b", &digest(1), time(5)).await.unwrap();
    let mut seen = Vec::new();
    for tag in ["v1", "claimed", "latest", "old"] {
        seen.push(catalog.tag_entry("a/b", tag).await.unwrap());
    }
    // A push of the same, while a deletion is under way.
    catalog.put_tag("a/b", "v1", &digest(1)).await.unwrap();
    assert!(catalog.claim_tag("a/b", "claimed", &digest(1)).await.unwrap());
    catalog.advance_latest("a/b", &digest(1), time(5)).await.unwrap();
    for (entry, dropped) in seen.iter().zip([false, false, false, true]) {
        assert_eq!(catalog.drop_tag(entry).await.unwrap(), dropped);
    }
    assert_eq!(catalog.tags("a/b", None, 10).await.unwrap(), ["claimed", "latest", "v1"]);
}

#[tokio::test]
async fn lists_are_filtered_paged_and_newest_first() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let catalog = open(&store, folder.path()).await;
    for n in 0..10 {
        let record = checkpoint(n, if n % 2 == 0 { "even" } else { "odd" }, n as i64 / 2);
        catalog.put_manifest("r", manifest(n, Some(record))).await.unwrap();
    }
    catalog.put_tag("r", "t", &digest(4)).await.unwrap();
    let listed = all(&catalog, &CheckpointFilter::default()).await;
    assert!(listed.is_sorted_by(|a, b| a.created_at >= b.created_at));
    let digests: BTreeSet<_> = listed.iter().map(|c| c.digest.to_string()).collect();
    assert_eq!(digests, (0..10).map(|n| digest(n).to_string()).collect());
    let tagged = listed.iter().find(|c| c.digest == digest(4)).unwrap();
    assert_eq!(tagged.reference.to_string(), "r:t");
    let even = CheckpointFilter { namespace: Some("even".into()), ..Default::default() };
    assert_eq!(all(&catalog, &even).await.len(), 5);
    let pod = CheckpointFilter { pod: Some("pod-0".into()), ..even };
    assert_eq!(all(&catalog, &pod).await.len(), 2);
    let labels = BTreeMap::from([("n\"o".to_owned(), "7".to_owned())]);
    let label = CheckpointFilter { labels, ..Default::default() };
    assert_eq!(all(&catalog, &label).await[0].digest, digest(7));
    let newest = catalog.newest_of_lineage("odd\nw").await.unwrap().unwrap();
    assert_eq!((newest.digest, newest.recipe.as_str()), (digest(9), "recipe-9"));
    let counts = catalog.stats().await.unwrap();
    assert_eq!((counts.checkpoints, counts.repositories, counts.logical_bytes), (10, 1, 100));
    let bad = catalog
        .list_checkpoints(&CheckpointFilter::default(), CheckpointOrder::default(), Some("x"), 3)
        .await;
    assert!(matches!(bad, Err(CatalogError::Cursor)));
}

#[tokio::test]
async fn latest_follows_the_time_of_the_checkpoint() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let catalog = Arc::new(open(&store, folder.path()).await);
    let racers = (0..20u64).map(|n| {
        let (catalog, seconds) = (Arc::clone(&catalog), (n as i64 * 7) % 20);
        tokio::spawn(async move { catalog.advance_latest("r", &digest(n), time(seconds)).await })
    });
    for racer in racers.collect::<Vec<_>>() {
        racer.await.unwrap().unwrap();
    }
    let latest = catalog.find_tag("r", "latest").await.unwrap().unwrap();
    assert_eq!(latest.checkpoint_time, Some(time(19)));
    catalog.advance_latest("r", &digest(77), time(3)).await.unwrap();
    assert_eq!(catalog.find_tag("r", "latest").await.unwrap().unwrap(), latest);
    assert!(catalog.claim_tag("r", "x", &digest(1)).await.unwrap());
    assert!(catalog.claim_tag("r", "x", &digest(1)).await.unwrap());
    assert!(!catalog.claim_tag("r", "x", &digest(2)).await.unwrap());
}

#[tokio::test]
async fn a_view_that_is_lost_or_damaged_is_made_anew() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let catalog = open(&store, folder.path()).await;
    for n in 0..5 {
        catalog.put_manifest("r", manifest(n, Some(checkpoint(n, "ns", n as i64)))).await.unwrap();
        catalog.put_tag("r", &format!("t{n}"), &digest(n)).await.unwrap();
    }
    catalog.delete_manifest("r", &digest(2)).await.unwrap();
    let before = all(&catalog, &CheckpointFilter::default()).await;
    assert_eq!(before.len(), 4);
    drop(catalog);
    for damage in [None, Some(&b"not a database at all"[..])] {
        let path = folder.path().join("view.sqlite");
        std::fs::remove_file(&path).unwrap();
        if let Some(bytes) = damage {
            std::fs::write(&path, bytes).unwrap();
        }
        let catalog = open(&store, folder.path()).await;
        assert_eq!(all(&catalog, &CheckpointFilter::default()).await, before);
        assert_eq!(catalog.tags("r", None, 10).await.unwrap(), ["t0", "t1", "t3", "t4"]);
    }
}

#[tokio::test]
async fn what_a_crash_left_out_of_the_view_is_caught_up() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    // A catalog whose process dies between the record and the view: its view is of before.
    let catalog = open(&store, folder.path()).await;
    catalog.put_manifest("r", manifest(1, None)).await.unwrap();
    drop(catalog);
    let old = tempfile::tempdir().unwrap();
    let other = open(&MemoryStore::default(), old.path()).await;
    drop(other);
    let key = store.list("repos/", None, 1).await.unwrap().objects[0].key.clone();
    let database = rusqlite_intent(old.path(), key.as_str());
    assert_eq!(database, 1);
    let catalog = open(&store, old.path()).await;
    assert_eq!(catalog.repositories(None, 10).await.unwrap(), ["r"]);
}

/// Writes an intent as the catalog does before it writes a record.
fn rusqlite_intent(folder: &Path, key: &str) -> usize {
    let database = rusqlite::Connection::open(folder.join("view.sqlite")).unwrap();
    database.execute("INSERT INTO intents (key) VALUES (?)", [key]).unwrap()
}

#[tokio::test]
async fn a_damaged_record_is_named() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let catalog = open(&store, folder.path()).await;
    let key = Key::new("repos/r/_tags/bad").unwrap();
    store.put(&key, "{}".into(), Precondition::None).await.unwrap();
    let error = catalog.find_tag("r", "bad").await.unwrap_err();
    assert!(error.to_string().contains("repos/r/_tags/bad"), "{error}");
    catalog.put_manifest("r", manifest(1, None)).await.unwrap();
    // It does not keep a view from being made.
    let elsewhere = tempfile::tempdir().unwrap();
    let again = open(&store, elsewhere.path()).await;
    assert_eq!(again.repositories(None, 10).await.unwrap(), ["r"]);
}

#[tokio::test]
async fn policies_change_by_comparison() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::default());
    let catalog = Catalog::open_in_memory(Arc::clone(&store)).await.unwrap();
    let unwritten = catalog.policies().await.unwrap();
    assert_eq!(unwritten.etag, Policies::UNWRITTEN);
    let config = |namespace: &str| {
        let json = format!(r#"{{"quotas": [{{"namespace": "{namespace}", "maxCount": 1}}]}}"#);
        serde_json::from_str(&json).unwrap()
    };
    let first = catalog.put_policies(config("a"), Some(&unwritten.etag)).await.unwrap();
    assert_eq!(catalog.policies().await.unwrap(), first);
    // Two have read the same: the second is told, and what the first wrote stays.
    let second = catalog.put_policies(config("b"), Some(&first.etag)).await.unwrap();
    let late = catalog.put_policies(config("c"), Some(&first.etag)).await.unwrap_err();
    assert!(matches!(late, CatalogError::Changed(now) if now == second.etag));
    let race = |n: u64| {
        let (catalog, etag) = (&catalog, second.etag.clone());
        async move { catalog.put_policies(config(&n.to_string()), Some(&etag)).await }
    };
    let (one, other) = tokio::join!(race(1), race(2));
    assert!(one.is_ok() != other.is_ok());
    // The same again is another writing.
    let now = catalog.policies().await.unwrap();
    let again = catalog.put_policies(now.config.clone(), None).await.unwrap();
    assert_eq!(again.config, now.config);
    assert_ne!(again.etag, now.etag);
}

#[tokio::test]
async fn all_checkpoints_at_once() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::default());
    let catalog = Catalog::open_in_memory(Arc::clone(&store)).await.unwrap();
    for n in 0..2500 {
        let namespace = if n % 5 == 0 { "bank" } else { "shop" };
        let new = manifest(n, Some(checkpoint(n, namespace, 0)));
        catalog.put_manifest(&format!("r{}", n % 7), new).await.unwrap();
    }
    catalog.put_manifest("r1", manifest(9999, None)).await.unwrap();
    let mut all = catalog.retained(None).await.unwrap();
    all.sort_by_key(|row| row.summary.digest.to_string());
    let digests: Vec<_> = all.iter().map(|row| row.summary.digest.clone()).collect();
    assert_eq!(digests, (0..2500).map(digest).collect::<Vec<_>>());
    assert_eq!((all[8].repository.as_str(), all[8].recipe.as_str()), ("r1", "recipe-8"));
    let bank = catalog.retained(Some("bank")).await.unwrap();
    assert_eq!(bank.len(), 500);
    assert!(bank.iter().all(|row| row.summary.namespace == "bank"));
    let expected = NamespaceUse { checkpoints: 500, logical_bytes: 5000 };
    assert_eq!(catalog.namespace_use("bank").await.unwrap(), expected);
    assert_eq!(catalog.namespace_use("none").await.unwrap(), NamespaceUse::default());
}
