//! Layers of checkpoints that landed as files, stored anew by their pages.
//!
//! An image that a client pushes over OCI is kept as it came. If it is a checkpoint, what is in it is
//! noted in the background, as that of a native push. Its layer, if it is uncompressed, is
//! read again in the background like one that was pushed natively, and takes the place of the file
//! once its sha256 is the digest that it is called by. What is no checkpoint that could be let in
//! stays as it is, and is served just the same.

mod describe;
mod missed;
mod queue;

pub(crate) use describe::undescribed;
pub(crate) use missed::look_again;
pub(crate) use queue::Queue;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pagevault_api::Digest;
use pagevault_api::annotations;
use pagevault_archive::{Checkpoint, Outer, decode};
use pagevault_catalog::BlobLocation;
use pagevault_criu::Report;
use pagevault_pagestore::{LayerReader, RecipeId, WriteStats};
use tokio::sync::mpsc;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::folder::{random_id, spool_error};
use crate::growing::Growing;
use crate::hashing::StreamHash;
use crate::ingest::{Basis, Ingest, Ingested};
use crate::unpack::nameless;
use crate::{Registry, Result, blocking, catalog_error, store_error};

/// Rest after each layer, as many times as long as the work on it took: uploads and pulls come first.
const REST: u32 = 1;

/// The layer of a checkpoint image that landed, or of one of which nothing is known in detail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Landed {
    pub(crate) repository: String,
    pub(crate) manifest: Digest,
    pub(crate) layer: Digest,
}

/// What storing a layer anew came to, and what was read on the way.
#[derive(Debug)]
pub(crate) struct Reencoded {
    pub(crate) read: Read,
    /// What it took, if it was stored.
    pub(crate) stats: WriteStats,
    /// Manifest digest of the checkpoint that it is stored against.
    pub(crate) base: Option<Digest>,
}

/// An archive that was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) archive: Checkpoint,
    pub(crate) report: Report,
    pub(crate) warnings: Vec<String>,
    pub(crate) lineage: String,
}

/// Whether an image says by its annotations that it is a checkpoint.
pub(crate) fn is_checkpoint(annotations: &BTreeMap<String, String>) -> bool {
    let names =
        [annotations::CRIO_NAME, annotations::criu::CONTAINER_NAME, annotations::podman::NAME];
    names.iter().any(|name| annotations.contains_key(*name))
}

/// The layer of an image that says it is a checkpoint, from its manifest. One of several layers is
/// none that can be looked into: no engine writes those.
pub(crate) fn layer_of(
    repository: &str,
    digest: &Digest,
    annotations: &BTreeMap<String, String>,
    manifest: &[u8],
) -> Option<Landed> {
    if !is_checkpoint(annotations) {
        return None;
    }
    let json: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    let [layer] = json["layers"].as_array()?.as_slice() else { return None };
    let layer: Digest = layer["digest"].as_str()?.parse().ok()?;
    Some(Landed { repository: repository.to_owned(), manifest: digest.clone(), layer })
}

/// Stores what waits, one after the other, for as long as there is a registry.
pub(crate) async fn work(registry: Weak<Registry>, mut queue: mpsc::Receiver<Landed>) {
    while let Some(layer) = queue.recv().await {
        let Some(registry) = registry.upgrade() else { return };
        let begun = std::time::Instant::now();
        let failed = registry.look_into(&layer).await.err();
        if let Some(error) = &failed {
            let (repository, manifest) = (&layer.repository, &layer.manifest);
            tracing::warn!(%repository, manifest.digest = %manifest, %error, "an image stays as it landed");
        }
        registry.landed.done(&layer, failed.as_ref());
        drop(registry);
        tokio::time::sleep((begun.elapsed() * REST).max(Duration::from_millis(10))).await;
    }
}

impl Registry {
    /// Stores a layer that landed by its pages, if it is not yet, and notes what is in it.
    async fn look_into(&self, landed: &Landed) -> Result<()> {
        let Landed { repository, layer, .. } = landed;
        let record = self.catalog.find_blob(repository, layer).await.map_err(catalog_error)?;
        let recipe = match record.map(|record| record.location) {
            Some(BlobLocation::Recipe(id)) => Some(RecipeId(id)),
            Some(BlobLocation::Inline(_)) => None,
            // It was deleted since, or has not come yet.
            None => return Ok(()),
        };
        let stored = match &recipe {
            Some(recipe) => self.reencode(layer, recipe).await?,
            None => None,
        };
        describe::describe(self, landed, stored).await
    }

    /// Stores a layer that landed by its pages; nothing if it is stored so already, or is compressed.
    async fn reencode(&self, layer: &Digest, recipe: &RecipeId) -> Result<Option<Reencoded>> {
        let reader = self.pages.open(recipe).await.map_err(store_error)?;
        let head = reader.read(0..decode::MAGIC_BYTES as u64).await.map_err(store_error)?;
        let uncompressed = decode::detect(&head) == Outer::Plain;
        if !reader.is_plain() || !uncompressed || layer.algorithm().as_ref() != "sha256" {
            return Ok(None);
        }
        let done = self.restore(layer, &reader, recipe, Basis::Newest).await?;
        tracing::info!(
            layer.digest = %layer, layer.bytes = done.read.archive.total_bytes,
            layer.stored_bytes = done.stats.stored_bytes(), "a layer that landed is stored by its pages"
        );
        Ok(Some(done))
    }

    /// Reads a layer from where it is whole, and stores it in the place of `over`.
    pub(crate) async fn restore(
        &self,
        digest: &Digest,
        from: &LayerReader,
        over: &RecipeId,
        basis: Basis,
    ) -> Result<Reencoded> {
        let turn = self.turns.whole().await;
        let parts = from.stream(0..from.bytes()).map(|part| part.map_err(store_error)).boxed();
        let (file, bytes) = self.copy_out(digest, from.bytes(), parts).await?;
        let ingest = Ingest { basis, ..self.ingest() };
        let ingested = ingest.whole(Growing::whole(file, bytes), None, turn).outcome().await?;
        let Ingested { checkpoint, report, warnings, writer, base, lineage, .. } = ingested;
        let bytes = checkpoint.total_bytes;
        let writer = match writer.replacing(over).await {
            Ok(writer) => writer,
            Err(error) => return Err(store_error(error)),
        };
        let committed = writer.commit(digest.as_ref(), bytes).await.map_err(store_error)?;
        let base = base.filter(|_| committed.delta);
        let read = Read { archive: checkpoint, report, warnings, lineage };
        Ok(Reencoded { read, stats: committed.stats, base })
    }

    /// Copies a layer into a file of the spool that has no name. What does not hash to its digest
    /// is not used.
    async fn copy_out(
        &self,
        digest: &Digest,
        bytes: u64,
        mut parts: BoxStream<'static, Result<Bytes>>,
    ) -> Result<(Arc<File>, u64)> {
        self.room.check(bytes)?;
        let path = self.spool.root().join(random_id()?);
        let open = move || nameless(&path).map_err(|e| spool_error("copying a layer", e));
        let file = Arc::new(blocking(open).await?);
        let (mut hash, mut at) = (StreamHash::default(), 0u64);
        let mut gauge = self.room.gauge();
        while let Some(part) = parts.next().await {
            let part = part?;
            let (file, offset, len) = (Arc::clone(&file), at, part.len() as u64);
            gauge.take(len)?;
            hash = blocking(move || {
                write_all(&file, &part, offset)?;
                hash.update(&part);
                Ok(hash)
            })
            .await?;
            at += len;
        }
        let found = crate::sha256_digest(&hash.sha256())?;
        if found != *digest {
            let what = format!("what is stored as {digest} has digest {found}");
            return Err(RegistryError::new(Kind::Damaged, what));
        }
        Ok((file, at))
    }
}

fn write_all(file: &File, bytes: &[u8], at: u64) -> Result<()> {
    file.write_all_at(bytes, at).map_err(|e| spool_error("copying a layer", e))
}
