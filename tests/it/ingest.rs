//! Real checkpoints go in and come out as they were.

use std::collections::BTreeMap;

use pagevault_api::reference::Selector;
use pagevault_api::stats::StoreStats;
use pagevault_api::upload::PushOptions;
use pagevault_testkit::{Flavour, TarWriter, Tarball};

use crate::fixtures::{compressed, plain, series, singles};
use crate::support::{Vault, sha256};

/// Digests of layer and manifest of every fixture: one that changes is a decision.
const GOLDEN: &str = include_str!("golden-digests.txt");

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_comes_back_and_has_the_digests_it_always_had() {
    let vault = Vault::new().await;
    let mut digests = String::new();
    for fixture in singles().into_iter().chain(series()) {
        let pushed = vault.push(&fixture.tar).await.unwrap();
        assert!(pushed.created, "{}", fixture.name);
        assert_eq!(pushed.layer_digest.to_string(), sha256(&fixture.tar), "{}", fixture.name);
        assert_eq!(vault.pull(&pushed.reference).await, fixture.tar, "{}", fixture.name);
        let line = format!("{} {} {}\n", pushed.reference, pushed.layer_digest, pushed.digest);
        digests.push_str(&line);
    }
    assert_eq!(digests, GOLDEN, "digests have changed; now they are:\n{digests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_compressed_is_the_same_checkpoint() {
    let vault = Vault::new().await;
    let tar = plain("podman-counter");
    let first = vault.push(&compressed("podman-counter.tar.zst")).await.unwrap();
    assert_eq!(first.layer_digest.to_string(), sha256(&tar));
    assert_eq!(first.logical_bytes, tar.len() as u64);
    let again = vault.push(&tar).await.unwrap();
    assert!(!again.created);
    assert_eq!((again.digest, again.reference), (first.digest, first.reference));
    assert_eq!(again.stored_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn later_checkpoints_cost_little_and_latest_follows_time() {
    let vault = Vault::new().await;
    let mut fixtures = series();
    let mut pushed = Vec::new();
    for fixture in &fixtures {
        pushed.push(vault.push(&fixture.tar).await.unwrap());
    }
    for later in &pushed[1..] {
        assert!(later.base.is_some());
        let share = later.stored_bytes as f64 / later.logical_bytes as f64;
        assert!(share < 0.02, "a later checkpoint took {share} of its size: {:?}", later.stats);
        assert!(later.stats.pages.same > later.stats.pages.total() * 9 / 10);
    }
    let newest = fixtures.pop().unwrap().tar;
    let repository = &pushed[0].reference.repository;
    assert_eq!(repository, "shop/cart-7d9f-0/redis");
    assert_eq!(vault.pull_tag(repository, "latest").await, newest);
    // An older one pushed late does not move `latest` back.
    let options =
        PushOptions { reference: Some("other/place:x".parse().unwrap()), ..Default::default() };
    vault.push_as(&fixtures[0].tar, options).await.unwrap();
    vault.push(&fixtures[0].tar).await.unwrap();
    assert_eq!(vault.pull_tag(repository, "latest").await, newest);
    assert_eq!(vault.pull_tag("other/place", "x").await, fixtures[0].tar);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let vault = Vault::new().await;
    let fixtures = series();
    let mut references = Vec::new();
    for fixture in &fixtures {
        references.push(vault.push(&fixture.tar).await.unwrap().reference);
    }
    let before = vault.registry.stats().await.unwrap();
    let vault = vault.restart().await;
    assert_eq!(before.ingested.checkpoints, 4);
    assert_eq!(before.ingested.stats.pages.same, 10_419);
    let after = vault.registry.stats().await.unwrap();
    assert_eq!(after.ingested.checkpoints, 0, "counted since the start");
    // The index may still be on its way into memory.
    let (index, ingested) = (before.index, before.ingested.clone());
    assert_eq!(StoreStats { index, ingested, ..after }, before);
    assert_eq!(before.checkpoints, 4);
    for (fixture, reference) in fixtures.iter().zip(&references) {
        assert_eq!(vault.pull(reference).await, fixture.tar);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_base_is_no_reason_to_refuse_a_checkpoint() {
    let vault = Vault::new().await;
    let fixtures = series();
    let keyframe = vault.push(&fixtures[0].tar).await.unwrap();
    for object in vault.leftovers().iter().filter(|path| path.to_string_lossy().contains("/data/"))
    {
        let mut bytes = std::fs::read(object).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(object, bytes).unwrap();
    }
    let pushed = vault.push(&fixtures[1].tar).await.unwrap();
    assert_eq!(pushed.base, None);
    // What is whole of the damaged one may be shared, byte by byte compared; the rest is new.
    assert_eq!((pushed.stats.pages.same, pushed.stats.pages.changed), (0, 0));
    assert!(pushed.stats.pages.new > keyframe.stats.pages.new / 10, "{:?}", pushed.stats.pages);
    assert_eq!(vault.pull(&pushed.reference).await, fixtures[1].tar);
    let next = vault.push(&fixtures[2].tar).await.unwrap();
    assert_eq!(next.base, Some(pushed.digest));
    assert_eq!(vault.pull(&next.reference).await, fixtures[2].tar);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_node_and_workload_are_kept() {
    let vault = Vault::new().await;
    let options = PushOptions {
        workload: Some("cart".into()),
        node: Some("node-a".into()),
        labels: BTreeMap::from([("why".to_owned(), "drain".to_owned())]),
        ..Default::default()
    };
    let pushed = vault.push_as(&series()[0].tar, options).await.unwrap();
    let detail = vault.registry.checkpoint(&pushed.reference).await.unwrap();
    assert_eq!(detail.summary.node.as_deref(), Some("node-a"));
    assert_eq!(detail.summary.labels["why"], "drain");
    assert!(detail.members.iter().any(|m| m.path == "checkpoint/pages-1.img"));
    let processes = vault.registry.processes(&pushed.reference).await.unwrap().items;
    assert_eq!(processes[0].command.as_deref(), Some("redis-server"));
    assert_eq!(detail.process_count, processes.len() as u64);
    assert_eq!(detail.warnings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_architecture_that_no_image_tells_is_a_guess_and_said_to_be_one() {
    let vault = Vault::new().await;
    let tar = Tarball::new(Flavour::Containerd).without("checkpoint/core-1.img").build();
    let pushed = vault.push(&tar).await.unwrap();
    let detail = vault.registry.checkpoint(&pushed.reference).await.unwrap();
    assert_eq!(detail.summary.architecture, "amd64");
    let guess = "no image tells the architecture; taken for amd64";
    assert!(detail.warnings.iter().any(|warning| warning == guess), "{:?}", detail.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_names_can_be_asked_for() {
    let vault = Vault::new().await;
    let long = ["a".repeat(62) + "-0", "a".repeat(62) + "-1", "b".repeat(251) + "-0"];
    let mut repositories = std::collections::BTreeSet::new();
    for pod in &long {
        let tar = Tarball::new(Flavour::Containerd).named("shop", pod, "redis").build();
        let pushed = vault.push(&tar).await.unwrap();
        assert_eq!(vault.pull(&pushed.reference).await, tar);
        repositories.insert(pushed.reference.repository);
    }
    assert_eq!(repositories.len(), long.len());
}

/// Bytes of noise: they do not compress.
fn noise(seed: u32, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let byte = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    (0..bytes).map(byte).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_at_the_front_of_the_root_filesystem_costs_about_what_it_takes() {
    let vault = Vault::new().await;
    let (old, new) = (noise(1, 3_000_000), noise(2, 90_000));
    let rootfs = |new: Option<&[u8]>| {
        let tar = TarWriter::new().directory("app/");
        let tar = new.into_iter().fold(tar, |tar, new| tar.file("app/a", new));
        tar.file("app/data", &old).finish()
    };
    let checkpoint = |at, rootfs: Vec<u8>| {
        Tarball::new(Flavour::Containerd).at(at).member("rootfs-diff.tar", rootfs).build()
    };
    let tars = [
        checkpoint(1_790_000_000, rootfs(None)),
        checkpoint(1_790_000_100, rootfs(Some(&new))),
        checkpoint(1_790_000_200, rootfs(Some(&new))),
    ];
    let mut pushed = Vec::new();
    for tar in &tars {
        pushed.push(vault.push(tar).await.unwrap());
    }
    let members: Vec<_> = pushed.iter().map(|p| p.stats.members).collect();
    assert!(members[0].found == 0 && members[0].new > 3_000_000, "{members:?}");
    assert!(members[1].new < 600_000 && members[1].found > 2_500_000, "{members:?}");
    assert!(pushed[1].stats.stored_other_bytes < 620_000, "{:?}", pushed[1].stats);
    assert_eq!(members[2].new, 0);
    assert!(pushed[2].stored_bytes < 30_000, "{:?}", pushed[2].stats);
    // What the later ones were found in may go.
    let first = &pushed[0].reference.repository;
    let digest = Selector::Digest(pushed[0].digest.clone());
    vault.registry.delete_manifest(first, &digest).await.unwrap();
    for (pushed, tar) in pushed.iter().zip(&tars).skip(1) {
        assert!(vault.pull(&pushed.reference).await == *tar);
    }
}
