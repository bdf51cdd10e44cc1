//! What is in an image that landed, noted as that of a native push is.

use std::sync::Arc;

use bytes::Bytes;
use pagevault_api::checkpoint::Origin;
use pagevault_api::reference::Reference;
use pagevault_api::stats::IngestStats;
use pagevault_api::upload::PushOptions;
use pagevault_archive::{Outer, decode};
use pagevault_catalog::{CheckpointRecord, ManifestRecord};

use super::{Landed, Read, Reencoded};
use crate::describe::Description;
use crate::folder::random_id;
use crate::growing::Growing;
use crate::ingest::{ingest_stats, read_again};
use crate::unpack::unpack;
use crate::{Registry, Result, blocking, catalog_error};

/// What is known of the layer of an image.
struct Layer {
    read: Read,
    /// True if it came compressed.
    compressed: bool,
    stored: Option<(IngestStats, Option<pagevault_api::Digest>)>,
    bytes: u64,
}

/// Notes what is in an image, unless that is known.
pub(super) async fn describe(
    registry: &Registry,
    landed: &Landed,
    stored: Option<Reencoded>,
) -> Result<()> {
    let Landed { repository, manifest: digest, .. } = landed;
    let found = registry.catalog.find_manifest(repository, digest).await.map_err(catalog_error)?;
    let Some(manifest) = found else { return Ok(()) };
    let detail = registry.catalog.find_detail(repository, digest).await.map_err(catalog_error)?;
    if manifest.checkpoint.is_some() && detail.is_some() {
        return Ok(());
    }
    let layer = match stored {
        Some(Reencoded { read, stats, base }) => {
            let stats = ingest_stats(read.archive.total_bytes, &stats);
            let bytes = read.archive.total_bytes;
            Layer { read, compressed: false, stored: Some((stats, base)), bytes }
        }
        None => read_layer(registry, landed).await?,
    };
    let (compressed, lineage) = (layer.compressed, layer.read.lineage.clone());
    let of = landed.clone();
    let described = blocking(move || {
        let nothing = PushOptions::default();
        let description = description(&of, &layer, &nothing);
        Ok((description.summary(), Bytes::from(description.detail().to_bytes()?)))
    });
    let (summary, detail) = described.await?;
    let record = CheckpointRecord { summary, pin: None, recipe: None, compressed, lineage };
    let layer = landed.layer.to_string();
    let note = |manifest: &mut ManifestRecord| {
        // What the manifest itself names is kept for it; the blob that was read may be gone by now.
        let recipe = manifest.blobs.get(&layer).and_then(crate::collect::recipe);
        manifest.checkpoint.get_or_insert_with(|| CheckpointRecord { recipe, ..record.clone() });
    };
    registry.publisher().describe(repository, digest, Some(detail), note).await?;
    registry.tell_pushed(&Reference::digest(repository, digest.clone())).await;
    Ok(())
}

fn description<'a>(
    landed: &'a Landed,
    layer: &'a Layer,
    options: &'a PushOptions,
) -> Description<'a> {
    let (stats, base) = layer.stored.clone().unzip();
    Description {
        archive: &layer.read.archive,
        report: &layer.read.report,
        warnings: layer.read.warnings.clone(),
        options,
        repository: &landed.repository,
        manifest: &landed.manifest,
        layer: &landed.layer,
        origin: Origin::Oci,
        base: base.flatten(),
        stored_bytes: stats.as_ref().map_or(layer.bytes, |stats| stats.stored_bytes),
        stats,
    }
}

/// Reads a layer that stays as it is: copied into the spool, unpacked, looked through.
async fn read_layer(registry: &Registry, landed: &Landed) -> Result<Layer> {
    let _turn = registry.turns.whole().await;
    let blob = registry.blob(&landed.repository, &landed.layer).await?;
    let parts = blob.stream(0..blob.bytes);
    let (file, bytes) = registry.copy_out(&landed.layer, blob.bytes, parts).await?;
    let head = blob.read(decode::MAGIC_BYTES as u64).await?;
    let compressed = decode::detect(&head) != Outer::Plain;
    let growing = match compressed {
        false => Growing::whole(file, bytes),
        true => {
            let path = registry.spool.root().join(random_id()?);
            let room = registry.room.clone();
            let unpacked = blocking(move || unpack(&file, &path, &room)).await?;
            Growing::whole(Arc::new(unpacked.file), unpacked.bytes)
        }
    };
    let read = blocking(move || read_again(growing)).await?;
    Ok(Layer { read, compressed, stored: None, bytes })
}

/// The layer of a checkpoint whose record says nothing in detail, as those of an earlier version.
pub(crate) fn undescribed(repository: &str, checkpoint: &CheckpointRecord) -> Landed {
    Landed {
        repository: repository.to_owned(),
        manifest: checkpoint.summary.digest.clone(),
        layer: checkpoint.summary.layer_digest.clone(),
    }
}
