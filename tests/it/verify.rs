//! Damage is found, said, and put right where there is another copy.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use pagevault_api::gc::GcState;
use pagevault_api::upload::PushOptions;
use pagevault_api::verify::{VerifyRun, VerifyState};

use crate::fixtures::series;
use crate::flipped::tar;
use crate::gc::ended;
use crate::support::{Vault, sha256};

pub(crate) async fn verify(vault: &Vault) -> VerifyRun {
    vault.registry.start_verify().unwrap();
    loop {
        let run = vault.registry.last_verify().unwrap();
        match run.state {
            VerifyState::Running => tokio::time::sleep(Duration::from_millis(5)).await,
            VerifyState::Done => return run,
            state => panic!("{state:?}: {:?}", run.error),
        }
    }
}

/// The largest data object.
pub(crate) fn keyframe(vault: &Vault) -> PathBuf {
    let objects = vault.leftovers().into_iter().filter(|p| p.to_string_lossy().contains("/data/"));
    objects.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap()
}

pub(crate) fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_with_all_that_it_touches() {
    let vault = Vault::new().await;
    let mut references = Vec::new();
    for fixture in series() {
        references.push(vault.push(&fixture.tar).await.unwrap());
    }
    let whole = verify(&vault).await;
    assert_eq!((whole.read.recipes, whole.damage.len()), (4, 0));
    assert!(whole.read.bytes > 1_000_000);
    flip(&keyframe(&vault));
    let run = verify(&vault).await;
    assert!(run.is_damaged());
    assert_eq!(run.damage.len(), 1);
    let damage = &run.damage[0];
    assert_eq!(damage.layer, references[0].layer_digest.to_string());
    assert!(damage.what.contains("is damaged at byte"), "{}", damage.what);
    assert_eq!(damage.touches.len(), 4, "{:?}", damage.touches);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_put_right_from_another_copy() {
    let vault = Vault::new().await;
    let fixtures = series();
    let first = vault.push(&fixtures[0].tar).await.unwrap();
    // Another lineage in another domain: nothing is shared.
    flip(&keyframe(&vault));
    let options =
        PushOptions { reference: Some("other/place:x".parse().unwrap()), ..Default::default() };
    vault.push_as(&fixtures[0].tar, options).await.unwrap();
    let run = verify(&vault).await;
    assert_eq!(run.damage.len(), 1);
    assert!(run.damage[0].repaired && !run.is_damaged());
    assert_eq!(vault.pull(&first.reference).await, fixtures[0].tar);
    assert_eq!(verify(&vault).await.damage.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_of_either_form_go_on_when_a_layer_is_put_right_under_way() {
    let vault = Vault::new().await;
    // Larger than what is read at once.
    let tar = &tar("a", 0, 0..9000);
    let pushed = vault.push(tar).await.unwrap();
    let blob = vault.registry.blob(&pushed.reference.repository, &pushed.layer_digest);
    let blob = blob.await.unwrap();
    let (mut plain, mut zstd) = (blob.stream(0..blob.bytes), blob.zstd().unwrap());
    let mut got =
        [vec![plain.next().await.unwrap().unwrap()], vec![zstd.next().await.unwrap().unwrap()]];
    // Further on than was read ahead.
    let damaged = keyframe(&vault);
    let bytes = std::fs::read(&damaged).unwrap();
    assert!(bytes.len() > 6 << 20, "{}", bytes.len());
    let late = bytes.len() * 9 / 10;
    let file = std::fs::File::options().write(true).open(damaged).unwrap();
    file.write_all_at(&[bytes[late] ^ 1], late as u64).unwrap();
    let options =
        PushOptions { reference: Some("other/place:x".parse().unwrap()), ..Default::default() };
    vault.push_as(tar, options).await.unwrap();
    assert!(verify(&vault).await.damage[0].repaired);
    ended(&vault.registry, false).await;
    for (stream, got) in [plain, zstd].iter_mut().zip(&mut got) {
        while let Some(part) = stream.next().await {
            got.push(part.unwrap());
        }
    }
    let [plain, zstd] = got;
    assert!(plain.concat() == *tar);
    assert!(zstd::decode_all(zstd.concat().as_slice()).unwrap() == *tar);
}

pub(crate) fn records(vault: &Vault) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![vault.folder.path().join("objects/repos")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_with_a_flipped_bit_is_served_and_each_is_found() {
    let mut vault = Vault::new().await;
    let tar = &series()[0].tar;
    let pushed = vault.push(tar).await.unwrap();
    let records = records(&vault);
    assert!(records.len() >= 6, "{records:?}");
    for record in records {
        let whole = std::fs::read(&record).unwrap();
        flip(&record);
        // Small records are remembered: read them from the disk.
        vault = vault.restart().await;
        let run = verify(&vault).await;
        assert_eq!(run.damage.len(), 1, "{}", record.display());
        assert!(record.ends_with(&run.damage[0].recipe), "{:?}", run.damage);
        let found =
            vault.registry.manifest(&pushed.reference.repository, &pushed.reference.selector);
        if let Ok(manifest) = found.await {
            assert_eq!(sha256(&manifest.bytes), pushed.digest.to_string());
        }
        let ended = ended(&vault.registry, false).await;
        assert_eq!(ended.result.unwrap_or_default().freed_bytes, 0, "{}", record.display());
        std::fs::write(&record, whole).unwrap();
    }
    vault = vault.restart().await;
    assert_eq!(verify(&vault).await.damage.len(), 0);
    assert_eq!(vault.pull(&pushed.reference).await, *tar);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_collected_while_a_recipe_is_missing() {
    let vault = Vault::new().await;
    let pushed = vault.push(&series()[0].tar).await.unwrap();
    let data = keyframe(&vault);
    let recipe = vault.leftovers().into_iter().find(|p| p.to_string_lossy().contains("/recipes/"));
    let (recipe, moved) = (recipe.unwrap(), vault.folder.path().join("moved"));
    std::fs::rename(&recipe, &moved).unwrap();
    let vault = vault.restart().await;
    let failed = ended(&vault.registry, false).await;
    assert_eq!(failed.state, GcState::Failed);
    assert!(failed.error.unwrap().contains("which a manifest names, is missing"));
    assert!(data.exists());
    std::fs::rename(moved, recipe).unwrap();
    let vault = vault.restart().await;
    assert_eq!(vault.pull(&pushed.reference).await, series()[0].tar);
    assert_eq!(ended(&vault.registry, false).await.state, GcState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_collected_while_a_base_is_missing() {
    let vault = Vault::new().await;
    let fixtures = series();
    let mut pushed = Vec::new();
    for fixture in &fixtures[..2] {
        pushed.push(vault.push(&fixture.tar).await.unwrap());
    }
    // The recipe of the first, on which the second stands.
    let recipes: Vec<PathBuf> = vault
        .leftovers()
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("/recipes/"))
        .collect();
    let first = recipes.iter().min_by_key(|path| path.metadata().unwrap().modified().unwrap());
    let (first, moved) = (first.unwrap(), vault.folder.path().join("moved"));
    std::fs::rename(first, &moved).unwrap();
    let vault = vault.restart().await;
    let run = verify(&vault).await;
    assert_eq!(run.damage.len(), 2, "{:?}", run.damage);
    assert!(
        run.damage
            .iter()
            .all(|damage| damage.what.contains("missing") && !damage.touches.is_empty())
    );
    let failed = ended(&vault.registry, false).await;
    assert_eq!(failed.state, GcState::Failed);
    assert!(failed.error.unwrap().contains("which is missing"));
    std::fs::rename(moved, first).unwrap();
    let vault = vault.restart().await;
    for (pushed, fixture) in pushed.iter().zip(&fixtures) {
        assert_eq!(vault.pull(&pushed.reference).await, fixture.tar);
    }
}
