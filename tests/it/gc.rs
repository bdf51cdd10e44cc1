//! Collection through the registry, the server and the client; and on a disk that is full.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use pagevault_api::gc::{GcItemKind, GcResult, GcRun, GcState, GcTrigger};
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::upload::NewUpload;
use pagevault_registry::{DigestAlgorithm, Registry, RegistryConfig, RegistryErrorKind as Kind};

use crate::fixtures::{series, singles};
use crate::support::{Vault, body};

/// Collects to the end, whatever that is.
pub(crate) async fn ended(registry: &Arc<Registry>, dry_run: bool) -> GcRun {
    let run = registry.start_collection(dry_run, GcTrigger::Request).unwrap();
    loop {
        let now = registry.collection(run.id).unwrap();
        if now.state != GcState::Running {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Collects with success.
pub(crate) async fn collect(registry: &Arc<Registry>, dry_run: bool) -> GcResult {
    let run = ended(registry, dry_run).await;
    assert_eq!(run.state, GcState::Done, "{:?}", run.error);
    run.result.unwrap()
}

async fn delete(registry: &Registry, reference: &Reference) {
    let selector = &reference.selector;
    let digest = registry.manifest(&reference.repository, selector).await.unwrap().digest;
    let selector = Selector::Digest(digest);
    registry.delete_manifest(&reference.repository, &selector).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_checkpoints_go_and_what_later_ones_stand_on_stays() {
    let vault = Vault::new().await;
    let fixtures = series();
    let mut pushed = Vec::new();
    for fixture in &fixtures {
        pushed.push(vault.push(&fixture.tar).await.unwrap());
    }
    let all = vault.registry.stats().await.unwrap().stored_bytes;
    assert_eq!(collect(&vault.registry, false).await.freed_bytes, 0);
    assert_eq!(vault.registry.stats().await.unwrap().stored_bytes, all);
    // The keyframe under the others frees nothing, and it is said so.
    delete(&vault.registry, &pushed[0].reference).await;
    let result = collect(&vault.registry, false).await;
    assert_eq!((result.freed_bytes, result.kept.buried), (0, 1));
    assert!(result.kept.buried_bytes > all / 2);
    let explained = vault.registry.explain(pushed[1].layer_digest.as_ref()).await.unwrap();
    assert!(explained.kept);
    let buried = &result.kept.largest_buried[0].recipe;
    let explained = vault.registry.explain(buried).await.unwrap();
    assert!(explained.items[0].because[0].contains("stands on it"), "{explained:?}");
    assert!(explained.items.iter().any(|item| item.kind == GcItemKind::DataObject));
    for (fixture, pushed) in fixtures.iter().zip(&pushed).skip(1) {
        assert_eq!(vault.pull(&pushed.reference).await, fixture.tar);
    }
    for pushed in &pushed[1..] {
        delete(&vault.registry, &pushed.reference).await;
    }
    let dry = collect(&vault.registry, true).await;
    assert_eq!(vault.registry.stats().await.unwrap().stored_bytes, all);
    let result = collect(&vault.registry, false).await;
    assert_eq!((dry.freed_bytes, dry.freed), (result.freed_bytes, result.freed));
    assert_eq!(result.freed_bytes, all);
    assert_eq!(vault.registry.stats().await.unwrap().stored_bytes, 0);
    let explained = vault.registry.explain(pushed[1].layer_digest.as_ref()).await.unwrap();
    assert!(!explained.kept && explained.items.is_empty());
    // And all of it can come back.
    for fixture in &fixtures {
        let pushed = vault.push(&fixture.tar).await.unwrap();
        assert!(pushed.created);
        assert_eq!(vault.pull(&pushed.reference).await, fixture.tar);
    }
    assert_eq!(vault.registry.explain("x").await.unwrap_err().kind(), Kind::Invalid);
}

/// A deletion that is killed after the manifest is gone leaves the tags.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_of_nothing_goes() {
    let vault = Vault::new().await;
    let fixture = &series()[0];
    let pushed = vault.push(&fixture.tar).await.unwrap();
    let repository = &pushed.reference.repository;
    let tags = async || vault.registry.tags(repository, None, 10).await.unwrap();
    let all = tags().await;
    let folder = vault.folder.path().join("objects/repos").join(repository).join("_manifests");
    for manifest in std::fs::read_dir(&folder).unwrap() {
        std::fs::remove_file(manifest.unwrap().path()).unwrap();
    }
    let vault = vault.restart().await;
    let tags = async || vault.registry.tags(repository, None, 10).await.unwrap();
    assert_eq!(tags().await, all);
    collect(&vault.registry, true).await;
    assert_eq!(tags().await, all);
    collect(&vault.registry, false).await;
    assert_eq!(tags().await, Vec::<String>::new());
    let again = vault.push(&fixture.tar).await.unwrap();
    assert_eq!(vault.pull(&again.reference).await, fixture.tar);
    collect(&vault.registry, false).await;
    assert_eq!(tags().await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_goes_on_when_its_layer_is_stored_anew_under_way() {
    let vault = Vault::new().await;
    let fixtures = series();
    let mut pushed = Vec::new();
    for fixture in &fixtures[..3] {
        pushed.push(vault.push(&fixture.tar).await.unwrap());
    }
    let (first, last) = (&pushed[0], &pushed[2]);
    let begun = vault.registry.blob(&last.reference.repository, &last.layer_digest).await.unwrap();
    delete(&vault.registry, &pushed[1].reference).await;
    let result = collect(&vault.registry, false).await;
    assert_eq!((result.rebased.number, result.freed.data_objects), (1, 0), "{result:?}");
    assert!(result.rebased.frees_bytes * 4 >= result.rebased.written_bytes * 5);
    let stored = vault.registry.stats().await.unwrap().stored_bytes;
    // What it was read from until now goes: the deleted checkpoint's object, and its own.
    let next = collect(&vault.registry, false).await;
    assert_eq!((next.rebased.number, next.freed.recipes, next.freed.data_objects), (0, 1, 2));
    assert!(next.freed_bytes > 0);
    assert_eq!(vault.registry.stats().await.unwrap().stored_bytes, stored - next.freed_bytes);
    let parts: Vec<_> = begun.stream(0..begun.bytes).try_collect().await.unwrap();
    assert!(parts.concat() == fixtures[2].tar);
    let tail: Vec<_> = begun.stream(begun.bytes - 5000..begun.bytes).try_collect().await.unwrap();
    assert!(tail.concat() == fixtures[2].tar[fixtures[2].tar.len() - 5000..]);
    assert!(vault.pull(&last.reference).await == fixtures[2].tar);
    assert!(vault.pull(&first.reference).await == fixtures[0].tar);
    let totals = vault.registry.totals().collected;
    assert_eq!((totals.runs, totals.rebased.number), (2, 1));
    assert_eq!(totals.freed_bytes, next.freed_bytes);
}

/// A disk of its own, which is gone at the end of the test.
struct Disk(PathBuf);

impl Disk {
    /// Nothing where one may not be made.
    fn new(bytes: u64) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("pagevault-disk-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let size = format!("size={bytes}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&path).output();
        if mount.is_ok_and(|done| done.status.success()) {
            return Some(Self(path));
        }
        let _ = std::fs::remove_dir(path);
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
        let _ = std::fs::remove_dir(&self.0);
    }
}

async fn open(folder: &Path) -> Arc<Registry> {
    let data = folder.to_owned();
    let config =
        RegistryConfig { data, reserve_bytes: 2 << 20, window_bytes: 32 << 20, retention: None };
    Registry::open(config).await.unwrap()
}

fn free(folder: &Path) -> u64 {
    let out = Command::new("df").args(["-B1", "--output=avail"]).arg(folder).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().last().unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_pushes_are_refused_and_all_else_goes_on() {
    let Some(disk) = Disk::new(28 << 20) else {
        eprintln!("skipped: no disk can be made here, which takes root");
        return;
    };
    let registry = open(&disk.0).await;
    let vault = Vault { registry, folder: tempfile::tempdir().unwrap() };
    let mut pushed = Vec::new();
    let tars: Vec<Vec<u8>> = singles().into_iter().chain(series()).map(|f| f.tar).collect();
    let first = vault.push(&tars[0]).await.unwrap();
    pushed.push((first, &tars[0]));
    // Blobs that nothing names fill the disk, up to its reserve.
    let noise: Vec<u8> = (0..3_000_000u32)
        .flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes())
        .take(3 << 20)
        .collect();
    let mut number = 0u8;
    let refused = loop {
        number += 1;
        let id = match vault.registry.start_blob_upload("filler", DigestAlgorithm::Sha256).await {
            Ok(id) => id,
            Err(error) => break error,
        };
        let bytes = [noise.as_slice(), &[number]].concat();
        let digest = crate::support::sha256(&bytes).parse().unwrap();
        if let Err(error) =
            vault.registry.append_blob("filler", &id, None, None, body(&bytes)).await
        {
            let _ = vault.registry.cancel_blob_upload("filler", &id).await;
            break error;
        }
        if let Err(error) = vault.registry.finish_blob_upload("filler", &id, &digest).await {
            break error;
        }
        assert!(number < 50);
    };
    assert_eq!(refused.kind(), Kind::Full, "{refused}");
    assert!(refused.to_string().contains("room") || refused.to_string().contains("reserve"));
    // Records have used a little of the reserve, content nothing.
    assert!(free(&disk.0) >= 3 << 19, "the reserve was touched: {} are free", free(&disk.0));
    // What else is on that disk takes more: the reserve, but for what small records may use of it.
    let rest = free(&disk.0) - (1 << 20);
    std::fs::write(disk.0.join("other"), vec![1; usize::try_from(rest).unwrap()]).unwrap();
    let error = vault.push(&tars[1]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Full, "{error}");
    for (pushed, tar) in &pushed {
        assert_eq!(vault.pull(&pushed.reference).await, **tar);
    }
    // To the last byte: what cannot be noted is refused with its reason.
    let last = disk.0.join("last");
    let _ = std::fs::write(&last, vec![1; 8 << 20]);
    let refused = vault.registry.delete_checkpoint(&pushed[0].0.reference).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Full, "{refused}");
    assert_eq!(vault.pull(&pushed[0].0.reference).await, *pushed[0].1);
    std::fs::remove_file(last).unwrap();
    delete(&vault.registry, &pushed[0].0.reference).await;
    let result = collect(&vault.registry, false).await;
    assert!(result.freed_bytes > 0, "{result:?}");
    // The blobs go too, once the promises about them have ended.
    for at in 1..number {
        let bytes = [noise.as_slice(), &[at]].concat();
        let digest = crate::support::sha256(&bytes).parse().unwrap();
        vault.registry.delete_blob("filler", &digest).await.unwrap();
    }
    let result = collect(&vault.registry, false).await;
    assert_eq!(result.freed.data_objects, u64::from(number) - 1, "{result:?}");
    std::fs::remove_file(disk.0.join("other")).unwrap();
    let again = vault.push(&tars[0]).await.unwrap();
    assert_eq!(vault.pull(&again.reference).await, tars[0]);
    drop(vault);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_closes_leaves_the_folder_to_the_next_at_once() {
    let vault = Vault::new().await;
    for fixture in series() {
        vault.push(&fixture.tar).await.unwrap();
    }
    // What nobody waits for: a collection, a scrub, and an upload that is read along with.
    vault.registry.start_collection(false, GcTrigger::Request).unwrap();
    vault.registry.start_verify().unwrap();
    let id = vault.registry.open_upload(NewUpload::default()).await.unwrap().id;
    let tar = &series()[0].tar;
    vault.registry.append_upload(&id, 0, body(&tar[..tar.len() / 2])).await.unwrap();
    vault.registry.close(Duration::from_secs(60)).await;
    let next = crate::support::open(&vault.folder).await;
    assert_eq!(next.upload(&id).await.unwrap().offset, tar.len() as u64 / 2);
    let refused = vault.push(&series()[0].tar).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_runs_outlives_a_restart() {
    let vault = Vault::new().await;
    vault.push(&series()[0].tar).await.unwrap();
    let first = ended(&vault.registry, false).await;
    let second = ended(&vault.registry, true).await;
    let scrub = crate::verify::verify(&vault).await;
    let vault = vault.restart().await;
    assert_eq!(vault.registry.collections(), [second, first]);
    assert_eq!(vault.registry.last_verify(), Some(scrub));
    assert_eq!(ended(&vault.registry, false).await.id, 3);
    // One that is damaged keeps nobody from starting.
    let kept = vault.folder.path().join("objects/runs/collection/00000000000000000002");
    std::fs::write(kept, b"{").unwrap();
    let vault = vault.restart().await;
    let known: Vec<u64> = vault.registry.collections().iter().map(|run| run.id).collect();
    assert_eq!(known, [3, 1]);
}
