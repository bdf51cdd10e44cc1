//! What earlier versions stored is read, checked, added to and collected by this one.

use std::path::{Path, PathBuf};

use pagevault_api::reference::Selector;
use pagevault_api::verify::VerifyState;

use crate::fixtures::series;
use crate::gc::collect;
use crate::support::{Vault, sha256};
use crate::verify::verify;

/// References, layer and manifest digests of the checkpoints that are pushed by all tests.
const GOLDEN: &str = include_str!("golden-digests.txt");

/// The folders of servers under `tests/fixtures/stores`, each packed.
pub(crate) fn stores() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut stores: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    stores.sort();
    stores
}

pub(crate) async fn open(store: &Path) -> Vault {
    let packed = std::fs::File::open(store).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tar::Archive::new(zstd::Decoder::new(packed).unwrap()).unpack(folder.path()).unwrap();
    Vault::of(folder).await
}

/// Pulls those of the golden checkpoints that are there, and says how many they are.
async fn pull_all(vault: &Vault, store: &Path) -> usize {
    let mut pulled = 0;
    for line in GOLDEN.lines() {
        let [reference, layer, manifest] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let (repository, tag) = reference.split_once(':').unwrap();
        let found = vault.registry.manifest(repository, &Selector::Tag(tag.into())).await;
        let Ok(found) = found else { continue };
        assert_eq!(sha256(&found.bytes), manifest, "{}: {reference}", store.display());
        let content = vault.pull_tag(repository, tag).await;
        assert_eq!(sha256(&content), layer, "{}: {reference}", store.display());
        pulled += 1;
    }
    pulled
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_that_was_ever_written_is_read() {
    assert!(!stores().is_empty());
    for store in stores() {
        let vault = open(&store).await;
        assert_eq!(pull_all(&vault, &store).await, 4);
        let tag = Selector::Tag("v1".into());
        assert!(vault.registry.manifest("plain/image", &tag).await.is_ok());
        assert_eq!(vault.pull_tag("plain/image", "v1").await.len(), 300_000);
        let run = verify(&vault).await;
        assert_eq!((run.state, run.damage.len()), (VerifyState::Done, 0));
        // Three redis recipes, the counter's, and the plain layer's.
        assert_eq!(run.read.recipes, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_an_earlier_version_goes_on() {
    for store in stores() {
        let vault = open(&store).await;
        let third = vault.push(&series()[2].tar).await.unwrap();
        assert!(third.base.is_some(), "{third:?}");
        assert!(third.stored_bytes < third.logical_bytes / 50, "{}", third.stored_bytes);
        let before = vault.leftovers().len();
        collect(&vault.registry, false).await;
        assert!(vault.leftovers().len() <= before);
        let vault = vault.restart().await;
        assert_eq!(pull_all(&vault, &store).await, 5);
    }
}
