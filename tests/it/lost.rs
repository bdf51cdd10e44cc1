//! What was lost of a checkpoint or blob is not said to be there, and comes back when it is sent again.

use std::path::{Path, PathBuf};

use pagevault_api::gc::GcState;
use pagevault_api::reference::Selector;
use pagevault_registry::RegistryErrorKind as Kind;

use crate::fixtures::series;
use crate::gc::ended;
use crate::landed::{copy, put, put_blob};
use crate::support::{Vault, sha256};
use crate::verify::{flip, keyframe, records, verify};

/// Recipes and data objects, in order of their names.
fn objects(vault: &Vault) -> Vec<PathBuf> {
    let of = |path: &PathBuf| {
        let path = path.to_string_lossy();
        path.contains("/objects/recipes/") || path.contains("/objects/data/")
    };
    let mut all: Vec<_> = vault.leftovers().into_iter().filter(of).collect();
    all.sort();
    all
}

fn cut(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// Loses each object of a series in turn, then pushes the series again.
async fn lose_each(lose: impl Fn(&Path), scrub: bool) {
    let fixtures = series();
    let mut number = 0;
    loop {
        let vault = Vault::new().await;
        let mut pushed = Vec::new();
        for fixture in &fixtures {
            pushed.push(vault.push(&fixture.tar).await.unwrap());
        }
        let objects = objects(&vault);
        let Some(lost) = objects.get(number) else {
            assert!(number >= fixtures.len() * 2, "{number} objects");
            return;
        };
        lose(lost);
        let mut vault = vault.restart().await;
        if scrub {
            assert_ne!(verify(&vault).await.damage.len(), 0, "{}", lost.display());
            vault = vault.restart().await;
        }
        for (pushed, fixture) in pushed.iter().zip(&fixtures) {
            let again = vault.push(&fixture.tar).await.unwrap();
            assert_eq!((&again.digest, again.created), (&pushed.digest, false));
            assert_eq!(vault.pull(&pushed.reference).await, fixture.tar, "{}", lost.display());
        }
        let ended = ended(&vault.registry, false).await;
        assert_eq!((ended.state, ended.error), (GcState::Done, None), "{}", lost.display());
        assert_eq!(verify(&vault).await.damage, [], "{}", lost.display());
        for (pushed, fixture) in pushed.iter().zip(&fixtures) {
            assert_eq!(vault.pull(&pushed.reference).await, fixture.tar, "{}", lost.display());
        }
        number += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pushing_again_brings_back_what_is_missing() {
    lose_each(|path| std::fs::remove_file(path).unwrap(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushing_again_brings_back_what_was_cut_short() {
    lose_each(cut, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushing_again_brings_back_what_a_scrub_found_damaged() {
    lose_each(flip, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_is_told_that_a_lost_blob_is_there() {
    let blob = b"twelve bytes".repeat(20_000);
    let digest = sha256(&blob).parse().unwrap();
    let mut vault = Vault::new().await;
    put_blob(&vault, "a/b", &digest, &blob).await;
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/octet-stream", "digest": digest, "size": blob.len() },
        "layers": [],
    });
    let manifest = bytes::Bytes::from(manifest.to_string());
    put(&vault, "a/b", manifest.clone()).await;
    for lost in objects(&vault) {
        std::fs::remove_file(&lost).unwrap();
        // Small objects are remembered: read them from the disk.
        vault = vault.restart().await;
        assert!(vault.registry.blob_bytes("a/b", &digest).await.is_err(), "HEAD");
        assert!(!vault.registry.mount_blob("c/d", &digest, Some("a/b")).await.unwrap());
        assert!(!vault.registry.mount_blob("c/d", &digest, None).await.unwrap());
        let tag = Selector::Tag("x".into());
        let refused = vault.registry.put_manifest("a/b", &tag, &[], None, manifest.clone()).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::ReferenceUnknown);
        put_blob(&vault, "a/b", &digest, &blob).await;
        assert_eq!(vault.registry.blob_bytes("a/b", &digest).await.unwrap(), blob.len() as u64);
        let read = vault.registry.blob("a/b", &digest).await.unwrap();
        assert_eq!(read.bytes, blob.len() as u64);
        assert_eq!(ended(&vault.registry, false).await.state, GcState::Done);
        assert_eq!(verify(&vault).await.damage, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_whose_record_is_damaged_is_sent_again() {
    let mut vault = Vault::new().await;
    for blob in [b"small".to_vec(), b"twelve bytes".repeat(20_000)] {
        let digest = sha256(&blob).parse().unwrap();
        put_blob(&vault, "a/b", &digest, &blob).await;
        let name = digest.as_ref().split(':').next_back().unwrap().to_owned();
        let records = records(&vault);
        flip(records.iter().find(|path| path.to_string_lossy().contains(&name)).unwrap());
        vault = vault.restart().await;
        assert!(vault.registry.blob_bytes("a/b", &digest).await.is_err(), "HEAD");
        assert!(!vault.registry.mount_blob("c/d", &digest, Some("a/b")).await.unwrap());
        put_blob(&vault, "a/b", &digest, &blob).await;
        assert_eq!(vault.registry.blob_bytes("a/b", &digest).await.unwrap(), blob.len() as u64);
        assert_eq!(verify(&vault).await.damage, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_which_any_record_is_damaged_is_pushed_again() {
    let mut vault = Vault::new().await;
    let tar = &series()[0].tar;
    let pushed = vault.push(tar).await.unwrap();
    for record in records(&vault) {
        flip(&record);
        vault = vault.restart().await;
        let again = vault.push(tar).await.unwrap();
        assert_eq!(again.digest, pushed.digest, "{}", record.display());
        assert_eq!(vault.pull(&again.reference).await, *tar, "{}", record.display());
        let ended = ended(&vault.registry, false).await;
        assert_eq!((ended.state, ended.error), (GcState::Done, None), "{}", record.display());
        assert_eq!(verify(&vault).await.damage, [], "{}", record.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_comes_back_over_oci_takes_nothing_from_what_stands_on_it() {
    base_comes_back(false).await;
    base_comes_back(true).await;
}

async fn base_comes_back(with_manifest: bool) {
    let fixtures = series();
    let mut vault = Vault::new().await;
    let mut pushed = Vec::new();
    for fixture in &fixtures {
        pushed.push(vault.push(&fixture.tar).await.unwrap());
    }
    let (repository, layer) = (&pushed[0].reference.repository, &pushed[0].layer_digest);
    let manifest = vault.registry.manifest(repository, &pushed[0].reference.selector).await;
    let manifest = manifest.unwrap().bytes;
    flip(&keyframe(&vault));
    assert_eq!(verify(&vault).await.damage.len(), 1);
    assert!(vault.registry.blob_bytes(repository, layer).await.is_err(), "HEAD");
    put_blob(&vault, repository, layer, &fixtures[0].tar).await;
    if with_manifest {
        put(&vault, repository, manifest).await;
    }
    assert_eq!(vault.pull(&pushed[0].reference).await, fixtures[0].tar);
    assert_eq!(ended(&vault.registry, false).await.state, GcState::Done);
    let run = verify(&vault).await;
    assert!(run.damage.iter().all(|damage| damage.repaired), "{:?}", run.damage);
    for restarted in [false, true] {
        if restarted {
            vault = vault.restart().await;
        }
        for (pushed, fixture) in pushed.iter().zip(&fixtures) {
            let bytes = vault.registry.blob_bytes(repository, &pushed.layer_digest).await;
            assert_eq!(bytes.unwrap(), fixture.tar.len() as u64, "HEAD");
            assert_eq!(vault.pull(&pushed.reference).await, fixture.tar);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_that_goes_under_a_running_server_is_missed() {
    let vault = Vault::new().await;
    let tar = &series()[0].tar;
    let pushed = vault.push(tar).await.unwrap();
    for lose in [|path: &Path| std::fs::remove_file(path).unwrap(), flip] {
        let recipe =
            objects(&vault).into_iter().find(|p| p.to_string_lossy().contains("/recipes/"));
        lose(&recipe.unwrap());
        verify(&vault).await;
        assert_eq!(vault.push(tar).await.unwrap().digest, pushed.digest);
        let ended = ended(&vault.registry, false).await;
        assert_eq!((ended.state, ended.error), (GcState::Done, None));
        assert_eq!(verify(&vault).await.damage, []);
    }
    let vault = vault.restart().await;
    assert_eq!(vault.pull(&pushed.reference).await, *tar);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrub_misses_blobs_that_an_image_names() {
    let vault = Vault::new().await;
    let tar = &series()[0].tar;
    let pushed = vault.push(tar).await.unwrap();
    vault.registry.delete_blob(&pushed.reference.repository, &pushed.layer_digest).await.unwrap();
    let damage = verify(&vault).await.damage;
    assert_eq!(damage.len(), 1);
    assert!(damage[0].what.contains("is not in its repository"), "{damage:?}");
    vault.push(tar).await.unwrap();
    assert_eq!(verify(&vault).await.damage, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_landed_image_that_is_pushed_natively_gets_back_what_it_lost() {
    let (from, to) = (Vault::new().await, Vault::new().await);
    let tar = &series()[0].tar;
    let pushed = from.push(tar).await.unwrap();
    copy(&from, &pushed.reference, &to, &pushed.reference.repository).await;
    let to = to.restart().await;
    objects(&to).iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let to = to.restart().await;
    assert_eq!(to.push(tar).await.unwrap().digest, pushed.digest);
    assert_eq!(to.pull(&pushed.reference).await, *tar);
    assert_eq!(verify(&to).await.damage, []);
}
