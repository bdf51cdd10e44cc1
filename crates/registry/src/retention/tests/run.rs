//! What changes between the plan and the deletion: whoever was to go and should not, stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pagevault_api::Digest;
use pagevault_api::checkpoint::Pin;
use pagevault_api::retention::{RetentionAction, RetentionResult, RetentionRule};
use pagevault_catalog::{CheckpointRecord, NewManifest};
use pagevault_pagestore::Watch;
use serde_json::json;

use super::super::plan::Plan;
use crate::{Registry, RegistryConfig};

const REPOSITORY: &str = "shop/cart-0/redis";

struct World {
    registry: Arc<Registry>,
    _folder: tempfile::TempDir,
}

fn digest(number: u8) -> Digest {
    format!("sha256:{number:064x}").parse().unwrap()
}

/// A checkpoint, taken so many hours ago.
fn record(hours_ago: u8, pinned: bool) -> CheckpointRecord {
    let created_at = Timestamp::now() - SignedDuration::from_hours(hours_ago.into());
    let summary = json!({
        "reference": REPOSITORY, "digest": digest(hours_ago), "layerDigest": digest(200),
        "namespace": "shop", "pod": "cart-0", "container": "redis", "engine": "cri-o",
        "runtime": "runc", "image": "redis", "architecture": "amd64", "createdAt": created_at,
        "pushedAt": created_at, "logicalBytes": 10, "storedBytes": 1, "pinned": false
    });
    CheckpointRecord {
        summary: serde_json::from_value(summary).unwrap(),
        pin: pinned.then(|| Pin { reason: "evidence".to_owned(), pinned_at: created_at }),
        recipe: None,
        lineage: "l".to_owned(),
        compressed: false,
    }
}

impl World {
    /// Checkpoints of the last five hours, of which two may stay.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_path_buf();
        let config =
            RegistryConfig { data, reserve_bytes: 0, window_bytes: 1 << 20, retention: None };
        let world = Self { registry: Registry::open(config).await.unwrap(), _folder: folder };
        for hours in 1..=5 {
            world.put(hours, false).await;
        }
        world.allow(2).await;
        world
    }

    async fn put(&self, hours_ago: u8, pinned: bool) {
        let new = NewManifest {
            digest: digest(hours_ago),
            media_type: "m".to_owned(),
            bytes: b"{}".to_vec(),
            subject: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
            references: Vec::new(),
            blobs: BTreeMap::new(),
            checkpoint: Some(record(hours_ago, pinned)),
            detail: None,
        };
        self.registry.catalog.put_manifest(REPOSITORY, new).await.unwrap();
    }

    async fn remove(&self, hours_ago: u8) {
        self.registry.catalog.delete_manifest(REPOSITORY, &digest(hours_ago)).await.unwrap();
    }

    async fn allow(&self, number: u32) {
        let config = serde_json::from_value(json!({"policies": [{"maxCount": number}]})).unwrap();
        self.registry.put_policies(config, None).await.unwrap();
    }

    /// Carries out a plan after something else has happened.
    async fn run(&self, meanwhile: impl Future<Output = ()>) -> (RetentionResult, Plan) {
        let watch = Watch::default();
        let (mut plan, weighed) = self.registry.plan(&watch).await.unwrap();
        assert_eq!(plan.result().deleted, 3);
        meanwhile.await;
        let result = self.registry.carry_out(1, &mut plan, &weighed, &watch).await.unwrap();
        (result, plan)
    }

    /// How many hours ago those that there are were taken.
    async fn left(&self) -> Vec<u8> {
        let mut left = Vec::new();
        for hours in 1..=5 {
            let found = self.registry.catalog.find_manifest(REPOSITORY, &digest(hours)).await;
            left.extend(found.unwrap().map(|_| hours));
        }
        left
    }
}

#[tokio::test]
async fn nothing_happened() {
    let world = World::new().await;
    let (result, plan) = world.run(async {}).await;
    assert_eq!((result.deleted, result.kept, result.spared), (3, 2, 0));
    assert_eq!(world.left().await, [1, 2]);
    assert_eq!(plan.page(Some(RetentionAction::Delete), 0, 9).0.len(), 3);
}

#[tokio::test]
async fn one_was_pinned() {
    let world = World::new().await;
    let pinned = async {
        world.remove(4).await;
        world.put(4, true).await;
    };
    let (result, plan) = world.run(pinned).await;
    // It counts, so that one less of the others may stay; but that one was not to go.
    assert_eq!((result.deleted, result.kept, result.spared), (2, 3, 1));
    assert_eq!(world.left().await, [1, 2, 4]);
    let spared = &plan.page(None, 3, 1).0[0];
    assert_eq!(
        (spared.action, spared.reasons[0].rule),
        (RetentionAction::Keep, RetentionRule::Spared)
    );
}

#[tokio::test]
async fn newer_policies_let_more_stay() {
    let world = World::new().await;
    let (result, _) = world.run(world.allow(4)).await;
    assert_eq!((result.deleted, result.spared), (1, 2));
    assert_eq!(world.left().await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn those_that_were_to_stay_were_deleted() {
    let world = World::new().await;
    let deleted = async {
        world.remove(1).await;
        world.remove(2).await;
    };
    let (result, _) = world.run(deleted).await;
    assert_eq!((result.deleted, result.spared), (1, 2));
    assert_eq!(world.left().await, [3, 4]);
}

#[tokio::test]
async fn one_that_was_to_go_is_gone() {
    let world = World::new().await;
    let (result, _) = world.run(world.remove(5)).await;
    assert_eq!((result.deleted, result.spared), (2, 1));
    assert_eq!(world.left().await, [1, 2]);
}
