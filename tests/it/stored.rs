//! What earlier versions stored is read, checked, added to and collected by this one.

use std::path::{Path, PathBuf};

use pagevault_api::checkpoint::{CheckpointFilter, CheckpointOrder};
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::verify::VerifyState;

use crate::fixtures::series;
use crate::gc::collect;
use crate::support::{Vault, sha256};
use crate::verify::verify;

/// What is in each store: checkpoints, recipes (those of other layers too), bytes of the plain layer.
const CONTENT: [(&str, usize, u64, usize); 3] =
    [("recipes-1", 4, 5, 300_000), ("records-2", 3, 4, 300_000), ("records-3", 3, 4, 300_000)];

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

/// Pulls all checkpoints that are there, each of which must be what its digests say; how many they are.
async fn pull_all(vault: &Vault, store: &Path) -> usize {
    let (filter, order) = (CheckpointFilter::default(), CheckpointOrder::default());
    let all = vault.registry.checkpoints(filter, order, None, 100).await.unwrap().items;
    for found in &all {
        let reference = Reference::digest(&found.reference.repository, found.digest.clone());
        let manifest = vault.registry.manifest(&reference.repository, &reference.selector).await;
        let manifest = sha256(&manifest.unwrap().bytes);
        assert_eq!(manifest, found.digest.to_string(), "{}: {reference}", store.display());
        let layer = sha256(&vault.pull(&reference).await);
        assert_eq!(layer, found.layer_digest.to_string(), "{}: {reference}", store.display());
    }
    all.len()
}

/// What is expected of a store.
fn content(store: &Path) -> (usize, u64, usize) {
    let name = store.file_name().unwrap().to_string_lossy();
    let found = CONTENT.iter().find(|(of, ..)| name == format!("{of}.tar.zst"));
    let (_, checkpoints, recipes, plain) = found.unwrap_or_else(|| panic!("{name} is new"));
    (*checkpoints, *recipes, *plain)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_that_was_ever_written_is_read() {
    assert_eq!(stores().len(), CONTENT.len());
    for store in stores() {
        let vault = open(&store).await;
        let (checkpoints, recipes, plain) = content(&store);
        assert_eq!(pull_all(&vault, &store).await, checkpoints, "{}", store.display());
        let tag = Selector::Tag("v1".into());
        assert!(vault.registry.manifest("plain/image", &tag).await.is_ok());
        assert_eq!(vault.pull_tag("plain/image", "v1").await.len(), plain);
        let run = verify(&vault).await;
        assert_eq!((run.state, run.damage), (VerifyState::Done, vec![]), "{}", store.display());
        assert_eq!(run.read.recipes, recipes, "{}", store.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_an_earlier_version_goes_on() {
    for store in stores() {
        let vault = open(&store).await;
        let later = vault.push(&series()[2].tar).await.unwrap();
        // The first of the series are in one of them.
        if later.base.is_some() {
            assert!(later.stored_bytes < later.logical_bytes / 50, "{}", later.stored_bytes);
        }
        let before = vault.leftovers().len();
        collect(&vault.registry, false).await;
        assert!(vault.leftovers().len() <= before);
        let vault = vault.restart().await;
        assert_eq!(pull_all(&vault, &store).await, content(&store).0 + 1);
    }
}
