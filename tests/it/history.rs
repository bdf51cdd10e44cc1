//! Records of checkpoints: what changed since the one before, and those that came over OCI.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use pagevault_api::checkpoint::{Checkpoint, CheckpointFilter, CheckpointOrder, Origin};
use pagevault_api::contents::{PageChanges, ProcessMemory};
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::restore::ObstacleKind;
use pagevault_api::upload::PushOptions;
use pagevault_registry::DigestAlgorithm;

use crate::fixtures::{plain, series};
use crate::landed::copy;
use crate::support::{Vault, body, sha256};

/// Waits until a checkpoint is known that came over OCI.
async fn described(vault: &Vault, repository: &str) -> Checkpoint {
    let filter = CheckpointFilter { repository: Some(repository.into()), ..Default::default() };
    let begun = Instant::now();
    loop {
        let order = CheckpointOrder::default();
        let page = vault.registry.checkpoints(filter.clone(), order, None, 10).await.unwrap();
        if let [one] = page.items.as_slice() {
            return one.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is known of {repository}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn sum(processes: &[ProcessMemory]) -> PageChanges {
    let areas = processes.iter().flat_map(|process| &process.areas);
    areas.filter_map(|area| area.changes).fold(PageChanges::default(), PageChanges::plus)
}

#[tokio::test(flavor = "multi_thread")]
async fn areas_say_what_changed_since_the_checkpoint_before() {
    let vault = Vault::new().await;
    let tars = series();
    let first = vault.push(&tars[0].tar).await.unwrap();
    let second = vault.push(&tars[1].tar).await.unwrap();
    let map = vault.registry.memory_map(&first.reference, None, None).await.unwrap();
    assert_eq!((map.against, map.pages), (None, None));

    let map = vault.registry.memory_map(&second.reference, None, None).await.unwrap();
    assert_eq!(map.against, Some(first.digest.clone()));
    let pages = map.pages.unwrap();
    // What the store found out when it compared the same two; of what has changed it takes some pages
    // whole.
    let stored = second.stats.pages;
    assert!((stored.changed..=stored.changed + stored.new).contains(&pages.changed));
    assert_eq!(pages.same + pages.changed + pages.added, stored.total());
    assert!(pages.changed > 0 && pages.same > 10 * pages.changed, "{pages:?}");
    // Every page that is there is in an area; one that is not any more may be in none.
    let areas = sum(&map.processes);
    assert_eq!((areas.same, areas.changed, areas.added), (pages.same, pages.changed, pages.added));

    // The other way round what was added is removed.
    let back = vault.registry.memory_map(&first.reference, None, Some(&second.reference));
    let back = back.await.unwrap().pages.unwrap();
    assert_eq!((back.same, back.changed), (pages.same, pages.changed));
    assert_eq!((back.added, back.removed), (pages.removed, pages.added));

    let diff = vault.registry.diff(&first.reference, &second.reference).await.unwrap();
    assert_eq!(diff.memory.pages, Some(pages));
    let differ: u64 = diff.memory.areas.iter().filter_map(|a| a.pages).map(|p| p.changed).sum();
    assert_eq!(differ, pages.changed);
    assert!(diff.environment.is_empty() && diff.rootfs.files.len() < 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_memory_is_what_the_pages_file_holds() {
    let vault = Vault::new().await;
    let tar = plain("kubelet-containerd-redis");
    let pushed = vault.push(&tar).await.unwrap();
    let map = vault.registry.memory_map(&pushed.reference, Some(1), None).await.unwrap();
    let areas = map.processes[0].areas.iter().filter(|area| area.pages > 0);
    let mut found = 0;
    for area in areas {
        let Ok(page) = vault.registry.memory(&pushed.reference, 1, area.start, 4096).await else {
            continue;
        };
        found += 1;
        assert!(tar.chunks(512).enumerate().any(|(at, _)| tar[at * 512..].starts_with(&page)));
    }
    assert!(found > 10, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_checkpoint_is_described_and_a_push_adds_what_it_says() {
    let (from, to) = (Vault::new().await, Vault::new().await);
    let tar = &series()[0].tar;
    let pushed = from.push(tar).await.unwrap();
    let repository = pushed.reference.repository.clone();
    copy(&from, &pushed.reference, &to, &repository).await;
    let landed = described(&to, &repository).await;
    assert_eq!((landed.origin, landed.digest.clone()), (Origin::Oci, pushed.digest.clone()));
    assert_eq!((landed.pod.as_str(), &landed.workload), ("cart-7d9f-0", &None));
    assert!(landed.pages.is_some());
    let processes = to.registry.processes(&landed.reference).await.unwrap().items;
    assert_eq!(processes[0].command.as_deref(), Some("redis-server"));

    let options = PushOptions {
        workload: Some("cart".into()),
        labels: BTreeMap::from([("a".into(), "b".into())]),
        ..Default::default()
    };
    to.push_as(tar, options).await.unwrap();
    let known = described(&to, &repository).await;
    assert_eq!((known.origin, known.workload.as_deref()), (Origin::Push, Some("cart")));
    assert_eq!(known.labels["a"], "b");
    // And the next one is stored against it.
    let options = PushOptions { workload: Some("cart".into()), ..Default::default() };
    let next = to.push_as(&series()[1].tar, options).await.unwrap();
    assert_eq!(next.base, Some(pushed.digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_compressed_layer_is_described_and_stays_as_it_came() {
    let vault = Vault::new().await;
    let tar = plain("cri-o-counter");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let layer = gzip.finish().unwrap();
    let cri_o = "io.kubernetes.cri-o.annotations.checkpoint.name";
    let manifest = put_image(&vault, "elsewhere/counter", &layer, cri_o).await;
    let known = described(&vault, "elsewhere/counter").await;
    assert_eq!((known.origin, known.pages, known.base), (Origin::Oci, None, None));
    assert_eq!(known.logical_bytes, tar.len() as u64);
    assert_eq!(known.engine, "cri-o");
    let processes = vault.registry.processes(&known.reference).await.unwrap().items;
    assert_eq!(processes.len(), 2);
    let map = vault.registry.memory_map(&known.reference, None, None).await.unwrap();
    assert!(map.pages.is_none() && map.processes.len() == 2);
    assert_eq!(vault.pull_tag("elsewhere/counter", "1").await, layer);
    // Nothing is stored against what is compressed.
    let native = vault.push(&tar).await.unwrap();
    assert_eq!(native.base, None);
    vault.registry.delete_checkpoint(&known.reference).await.unwrap();
    let selector = Selector::Digest(manifest);
    assert!(vault.registry.manifest("elsewhere/counter", &selector).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_the_annotation_of_its_engine_is_said_to_be_none_for_it() {
    let vault = Vault::new().await;
    // As checkpointctl builds it.
    let key = "org.criu.checkpoint.container.name";
    put_image(&vault, "built/counter", &plain("cri-o-counter"), key).await;
    let known = described(&vault, "built/counter").await;
    let restore = vault.registry.restore_manifests(&known.reference, "reg:1").await.unwrap();
    let kinds: Vec<_> = restore.needs.obstacles.iter().map(|it| it.kind).collect();
    assert!(kinds.contains(&ObstacleKind::Image), "{kinds:?}");
    let pushed = vault.push(&plain("cri-o-counter")).await.unwrap();
    let restore = vault.registry.restore_manifests(&pushed.reference, "reg:1").await.unwrap();
    assert!(restore.needs.obstacles.iter().all(|it| it.kind != ObstacleKind::Image));
}

/// Pushes an image as buildah makes it.
async fn put_image(
    vault: &Vault,
    repository: &str,
    layer: &[u8],
    annotation: &str,
) -> pagevault_api::Digest {
    for blob in [b"{}".as_slice(), layer] {
        let id =
            vault.registry.start_blob_upload(repository, DigestAlgorithm::Sha256).await.unwrap();
        vault.registry.append_blob(repository, &id, None, None, body(blob)).await.unwrap();
        let digest = sha256(blob).parse().unwrap();
        vault.registry.finish_blob_upload(repository, &id, &digest).await.unwrap();
    }
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}"), "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": sha256(layer), "size": layer.len()}],
        "annotations": {annotation: "counter"},
    });
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let tag = Selector::Tag("1".into());
    let put = vault.registry.put_manifest(repository, &tag, &[], None, bytes.into()).await.unwrap();
    put.digest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_an_earlier_version_is_described_when_it_is_asked_for() {
    for store in crate::stored::stores() {
        let vault = crate::stored::open(&store).await;
        let order = CheckpointOrder::default();
        let all = vault.registry.checkpoints(CheckpointFilter::default(), order, None, 10).await;
        let reference: Reference = all.unwrap().items[0].reference.clone();
        let begun = Instant::now();
        while vault.registry.checkpoint(&reference).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is known of {reference}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(vault.registry.checkpoint(&reference).await.unwrap().process_count > 0);
    }
}
