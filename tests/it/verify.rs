//! Damage is found, said, and put right where there is another copy.

use std::path::PathBuf;
use std::time::Duration;

use pagevault_api::upload::PushOptions;
use pagevault_api::verify::{VerifyRun, VerifyState};

use crate::fixtures::series;
use crate::support::Vault;

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
fn keyframe(vault: &Vault) -> PathBuf {
    let objects = vault.leftovers().into_iter().filter(|p| p.to_string_lossy().contains("/data/"));
    objects.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap()
}

fn flip(path: &PathBuf) {
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
