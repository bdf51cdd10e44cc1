//! The image of a checkpoint, published.

use std::collections::BTreeMap;

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_api::checkpoint::Origin;
use pagevault_api::media_types::OCI_MANIFEST;
use pagevault_builder::Image;
use pagevault_catalog::{BlobLocation, BlobRecord, CheckpointRecord, ManifestRecord, NewManifest};

use crate::collect::recipe;
use crate::publish::{Blobs, Publisher};
use crate::{Result, catalog_error};

impl Publisher {
    /// Lets a checkpoint exist whose layer is committed. If it exists already, its blobs get their
    /// records back, should they have been deleted by themselves; one that came over OCI is from now
    /// on what this push says of it.
    pub(crate) async fn checkpoint(
        &self,
        repository: &str,
        image: &Image,
        record: CheckpointRecord,
        detail: Option<Bytes>,
    ) -> Result<()> {
        let (digest, layer) = (&image.manifest_digest, record.summary.layer_digest.clone());
        let manifest = NewManifest {
            digest: digest.clone(),
            media_type: OCI_MANIFEST.to_owned(),
            bytes: image.manifest.clone(),
            subject: None,
            artifact_type: None,
            references: vec![image.config_digest.clone(), layer],
            annotations: BTreeMap::new(),
            blobs: BTreeMap::new(),
            checkpoint: Some(record.clone()),
            detail: detail.clone(),
        };
        let there = Box::pin(self.manifest(repository, manifest, blobs(image, &record))).await?;
        if there.checkpoint.as_ref().is_some_and(|there| there.summary.origin == Origin::Push) {
            return Ok(());
        }
        self.describe(repository, digest, detail, |there| upgrade(there, &record)).await
    }

    /// Changes what is known of a checkpoint that exists, and of which nobody may know yet. Its detail
    /// is there when its record says so, and is looked at again after that: a collector may have been
    /// at it while the record did not name it.
    pub(crate) async fn describe(
        &self,
        repository: &str,
        digest: &Digest,
        detail: Option<Bytes>,
        change: impl FnMut(&mut ManifestRecord),
    ) -> Result<()> {
        self.detail(repository, digest, detail.as_ref(), false).await?;
        let changed = self.catalog.change_checkpoint(repository, digest, change).await;
        changed.map_err(catalog_error)?;
        self.detail(repository, digest, detail.as_ref(), false).await
    }
}

/// Adds to the record of a checkpoint that came over OCI what a push says of it.
fn upgrade(manifest: &mut ManifestRecord, pushed: &CheckpointRecord) {
    let layer = manifest.blobs.get(pushed.summary.layer_digest.as_ref() as &str);
    let recipe = layer.and_then(recipe);
    let record = match manifest.checkpoint.take() {
        None => CheckpointRecord { recipe, ..pushed.clone() },
        Some(mut there) if there.summary.origin == Origin::Oci => {
            there.lineage.clone_from(&pushed.lineage);
            let (of, says) = (&mut there.summary, &pushed.summary);
            of.origin = Origin::Push;
            of.workload.clone_from(&says.workload);
            of.node.clone_from(&says.node);
            of.labels.extend(says.labels.clone());
            there
        }
        Some(there) => there,
    };
    manifest.checkpoint = Some(record);
}

fn blobs(image: &Image, record: &CheckpointRecord) -> Blobs {
    let config = BlobRecord {
        bytes: image.config.len() as u64,
        location: BlobLocation::Inline(image.config.clone()),
    };
    let layer = record.recipe.clone().map(|recipe| {
        let bytes = record.summary.logical_bytes;
        let location = BlobLocation::Recipe(recipe);
        (record.summary.layer_digest.clone(), BlobRecord { bytes, location })
    });
    std::iter::once((image.config_digest.clone(), config)).chain(layer).collect()
}
