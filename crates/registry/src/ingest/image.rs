//! The image of a checkpoint, published.

use std::collections::BTreeMap;

use pagevault_api::Digest;
use pagevault_api::media_types::OCI_MANIFEST;
use pagevault_builder::Image;
use pagevault_catalog::{BlobLocation, BlobRecord, CheckpointRecord, NewManifest};

use crate::Result;
use crate::publish::{Blobs, Publisher};

impl Publisher {
    /// Lets a checkpoint exist whose layer is committed. If it exists already, its blobs get their
    /// records back, should they have been deleted by themselves.
    pub(crate) async fn checkpoint(
        &self,
        repository: &str,
        image: &Image,
        layer: &Digest,
        record: CheckpointRecord,
    ) -> Result<()> {
        let blobs = blobs(image, layer, &record);
        let manifest = NewManifest {
            digest: image.manifest_digest.clone(),
            media_type: OCI_MANIFEST.to_owned(),
            bytes: image.manifest.clone(),
            subject: None,
            artifact_type: None,
            references: vec![image.config_digest.clone(), layer.clone()],
            annotations: BTreeMap::new(),
            blobs: BTreeMap::new(),
            checkpoint: Some(record),
        };
        Box::pin(self.manifest(repository, manifest, blobs)).await?;
        Ok(())
    }
}

fn blobs(image: &Image, layer: &Digest, record: &CheckpointRecord) -> Blobs {
    let config = BlobRecord {
        bytes: image.config.len() as u64,
        location: BlobLocation::Inline(image.config.clone()),
    };
    let layer_record = BlobRecord {
        bytes: record.detail.summary.logical_bytes,
        location: BlobLocation::Recipe(record.recipe.clone()),
    };
    vec![(image.config_digest.clone(), config), (layer.clone(), layer_record)]
}
