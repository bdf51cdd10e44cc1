//! A checkpoint that is pushed over OCI lands as a file, and is stored by its pages after a while.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use pagevault_api::checkpoint::{CheckpointDetail, CheckpointFilter, CheckpointOrder};
use pagevault_api::media_types::OCI_MANIFEST;
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::{Digest, annotations};
use pagevault_registry::{DigestAlgorithm, RegistryError, RegistryErrorKind as Kind};
use pagevault_testkit::hostile::gzip;
use pagevault_testkit::{Flavour, TarWriter, Tarball};
use serde_json::json;

use crate::fixtures::series;
use crate::support::{Vault, body, sha256};

/// Copies an image to another registry as an OCI client does.
pub(crate) async fn copy(from: &Vault, reference: &Reference, to: &Vault, repository: &str) {
    let manifest = manifest(from, reference).await;
    for digest in [&manifest.config, &manifest.layer] {
        copy_blob(from, reference, digest, to, repository).await;
    }
    put(to, repository, manifest.bytes).await;
}

struct Image {
    bytes: Bytes,
    config: Digest,
    layer: Digest,
}

async fn manifest(from: &Vault, reference: &Reference) -> Image {
    let bytes =
        from.registry.manifest(&reference.repository, &reference.selector).await.unwrap().bytes;
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let digest = |named: &serde_json::Value| named["digest"].as_str().unwrap().parse().unwrap();
    Image { config: digest(&json["config"]), layer: digest(&json["layers"][0]), bytes }
}

async fn copy_blob(
    from: &Vault,
    reference: &Reference,
    digest: &Digest,
    to: &Vault,
    repository: &str,
) {
    let blob = from.registry.blob(&reference.repository, digest).await.unwrap();
    let bytes: Vec<Bytes> = blob.stream(0..blob.bytes).try_collect().await.unwrap();
    put_blob(to, repository, digest, &bytes.concat()).await;
}

pub(crate) async fn put_blob(to: &Vault, repository: &str, digest: &Digest, bytes: &[u8]) {
    let id = to.registry.start_blob_upload(repository, DigestAlgorithm::Sha256).await.unwrap();
    to.registry.append_blob(repository, &id, None, None, body(bytes)).await.unwrap();
    to.registry.finish_blob_upload(repository, &id, digest).await.unwrap();
}

pub(crate) async fn put(to: &Vault, repository: &str, manifest: Bytes) {
    let tag = Selector::Tag("1".into());
    to.registry.put_manifest(repository, &tag, &[], Some(OCI_MANIFEST), manifest).await.unwrap();
}

/// A checkpoint's image of which only the layer is missing, so that nothing is known of it.
async fn without_its_layer(to: &Vault, repository: &str) -> (Vault, Reference, Digest) {
    let from = Vault::new().await;
    let pushed = from.push(&Tarball::new(Flavour::CriO).build()).await.unwrap();
    let image = manifest(&from, &pushed.reference).await;
    copy_blob(&from, &pushed.reference, &image.config, to, repository).await;
    put(to, repository, image.bytes).await;
    // It is looked at, in vain.
    tokio::time::sleep(Duration::from_millis(300)).await;
    (from, pushed.reference, image.layer)
}

fn named(repository: &str) -> Reference {
    Reference { repository: repository.into(), selector: Selector::Tag("1".into()) }
}

/// What is said of an image once it is not being read any more.
async fn known(vault: &Vault, repository: &str) -> Result<CheckpointDetail, RegistryError> {
    let begun = Instant::now();
    loop {
        match vault.registry.checkpoint(&named(repository)).await {
            Err(error) if error.kind() == Kind::Unavailable => {}
            outcome => return outcome,
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it is being read for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_landed_checkpoint_is_stored_by_its_pages_and_comes_back_as_it_was() {
    let (from, to) = (Vault::new().await, Vault::new().await);
    let tar = &series()[0].tar;
    let pushed = from.push(tar).await.unwrap();
    copy(&from, &pushed.reference, &to, "moved/cart").await;
    let landed = to.registry.stats().await.unwrap().stored_bytes;
    let begun = Instant::now();
    // What the file took is still there until it is collected; what it takes now is beside it.
    while to.registry.stats().await.unwrap().stored_bytes <= landed {
        assert!(begun.elapsed() < Duration::from_secs(60), "it stays as it landed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(to.pull_tag("moved/cart", "1").await, *tar);
    let to = to.restart().await;
    assert_eq!(to.pull_tag("moved/cart", "1").await, *tar);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_was_missed_is_read_when_it_is_asked_for() {
    let to = Vault::new().await;
    let (from, reference, layer) = without_its_layer(&to, "moved/cart").await;
    let missing = known(&to, "moved/cart").await.unwrap_err();
    assert_eq!(missing.kind(), Kind::ManifestUnknown, "{missing}");
    assert!(missing.to_string().contains("its layer is not here"), "{missing}");
    copy_blob(&from, &reference, &layer, &to, "moved/cart").await;
    let first = to.registry.checkpoint(&named("moved/cart")).await.unwrap_err();
    assert_eq!(first.kind(), Kind::Unavailable, "{first}");
    known(&to, "moved/cart").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_was_missed_is_read_after_a_restart() {
    let to = Vault::new().await;
    let (from, reference, layer) = without_its_layer(&to, "moved/cart").await;
    copy_blob(&from, &reference, &layer, &to, "moved/cart").await;
    let to = to.restart().await;
    let begun = Instant::now();
    let (filter, order) = (CheckpointFilter::default(), CheckpointOrder::default());
    while to.registry.checkpoints(filter.clone(), order, None, 9).await.unwrap().items.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody looks for it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_says_why_and_is_not_read_again() {
    let vault = Vault::new().await;
    let plain = TarWriter::new().file("a", b"no checkpoint").finish();
    for (repository, layer) in [
        ("a/plain", plain.clone()),
        ("a/noise", b"noise".repeat(1000)),
        ("a/cut", gzip(&plain)[..60].to_vec()),
    ] {
        let config: Digest = sha256(b"{}").parse().unwrap();
        put_blob(&vault, repository, &config, b"{}").await;
        let digest: Digest = sha256(&layer).parse().unwrap();
        put_blob(&vault, repository, &digest, &layer).await;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": layer.len()}],
            "annotations": {annotations::CRIO_NAME: "x"},
        });
        put(&vault, repository, serde_json::to_vec(&manifest).unwrap().into()).await;
        let refused = known(&vault, repository).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::ManifestUnknown, "{repository}: {refused}");
        let why = refused.to_string();
        assert!(!why.contains("not here") && !why.contains("no image"), "{repository}: {why}");
    }
}
