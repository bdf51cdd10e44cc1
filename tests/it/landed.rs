//! A checkpoint that is pushed over OCI lands as a file, and is stored by its pages after a while.

use std::time::{Duration, Instant};

use pagevault_api::reference::{Reference, Selector};
use pagevault_registry::DigestAlgorithm;

use crate::fixtures::series;
use crate::support::{Vault, body};

/// Copies an image to another registry as an OCI client does.
pub(crate) async fn copy(from: &Vault, reference: &Reference, to: &Vault, repository: &str) {
    let manifest =
        from.registry.manifest(&reference.repository, &reference.selector).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
    for named in [&json["config"], &json["layers"][0]] {
        let digest = named["digest"].as_str().unwrap().parse().unwrap();
        let blob = from.registry.blob(&reference.repository, &digest).await.unwrap();
        let bytes: Vec<bytes::Bytes> =
            futures_util::TryStreamExt::try_collect(blob.stream(0..blob.bytes)).await.unwrap();
        let id = to.registry.start_blob_upload(repository, DigestAlgorithm::Sha256).await.unwrap();
        to.registry.append_blob(repository, &id, None, None, body(&bytes.concat())).await.unwrap();
        to.registry.finish_blob_upload(repository, &id, &digest).await.unwrap();
    }
    let tag = Selector::Tag("1".into());
    let media_type = Some(manifest.media_type.as_str());
    to.registry.put_manifest(repository, &tag, &[], media_type, manifest.bytes).await.unwrap();
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
