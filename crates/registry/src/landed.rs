//! Layers of checkpoints that landed as files, stored anew by their pages.
//!
//! An image that a client pushes over OCI is kept as it came. If it is a checkpoint, its layer is
//! read again in the background like one that was pushed natively, and takes the place of the file
//! once its sha256 is the digest that it is called by. What is no checkpoint that could be let in
//! stays as it is, and is served just the same.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use pagevault_api::Digest;
use pagevault_api::annotations;
use pagevault_api::media_types::OCI_LAYER;
use pagevault_catalog::{BlobLocation, NewManifest};
use pagevault_pagestore::{LayerReader, RecipeId};
use tokio::sync::mpsc;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::folder::{random_id, spool_error};
use crate::growing::Growing;
use crate::hashing::StreamHash;
use crate::ingest::{Basis, Ingest};
use crate::unpack::nameless;
use crate::{Registry, Result, blocking, store_error};

/// Layers that wait at most; those beyond are found when the registry is opened again.
const QUEUE: usize = 1024;
/// Rest after each layer, as many times as long as the work on it took: uploads and pulls come first.
const REST: u32 = 1;

/// A layer that landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Landed {
    pub(crate) digest: Digest,
    pub(crate) recipe: RecipeId,
}

/// What storing a layer anew came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reencoded {
    /// Bytes of the layer.
    pub logical_bytes: u64,
    /// Bytes that it takes now.
    pub stored_bytes: u64,
}

/// Where layers wait.
#[derive(Debug)]
pub(crate) struct Queue(mpsc::Sender<Landed>);

impl Queue {
    /// A queue, and its work, which is done by the task that gets it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Landed>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Takes in the layers of a checkpoint image that are tars as runtimes write them.
    pub(crate) fn take_in(&self, layers: impl IntoIterator<Item = Landed>) {
        for layer in layers {
            if let Err(error) = self.0.try_send(layer) {
                tracing::debug!(%error, "a layer stays as it landed for now");
            }
        }
    }
}

/// Whether an image says that it is a checkpoint.
pub(crate) fn is_checkpoint(manifest: &NewManifest) -> bool {
    let names =
        [annotations::CRIO_NAME, annotations::criu::CONTAINER_NAME, annotations::podman::NAME];
    names.iter().any(|name| manifest.annotations.contains_key(*name))
}

/// The uncompressed layers of an image that says it is a checkpoint.
pub(crate) fn layers_of(manifest: &NewManifest) -> Vec<Landed> {
    if !is_checkpoint(manifest) {
        return Vec::new();
    }
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(&manifest.bytes) else {
        return Vec::new();
    };
    let layers = json["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let plain = layers.iter().filter(|layer| layer["mediaType"] == OCI_LAYER);
    plain
        .filter_map(|layer| {
            let digest: Digest = layer["digest"].as_str()?.parse().ok()?;
            match manifest.blobs.get(digest.as_ref())? {
                BlobLocation::Recipe(id) => Some(Landed { digest, recipe: RecipeId(id.clone()) }),
                BlobLocation::Inline(_) => None,
            }
        })
        .collect()
}

/// Stores what waits, one after the other, for as long as there is a registry.
pub(crate) async fn work(registry: Weak<Registry>, mut queue: mpsc::Receiver<Landed>) {
    while let Some(layer) = queue.recv().await {
        let Some(registry) = registry.upgrade() else { return };
        let begun = std::time::Instant::now();
        match registry.reencode(&layer).await {
            Ok(Some(done)) => tracing::info!(
                layer.digest = %layer.digest, layer.bytes = done.logical_bytes,
                layer.stored_bytes = done.stored_bytes, "a layer that landed is stored by its pages"
            ),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(layer.digest = %layer.digest, %error, "a layer stays as it landed");
            }
        }
        drop(registry);
        tokio::time::sleep((begun.elapsed() * REST).max(Duration::from_millis(10))).await;
    }
}

impl Registry {
    /// Stores a layer that landed by its pages; nothing if it is stored so already.
    pub(crate) async fn reencode(&self, layer: &Landed) -> Result<Option<Reencoded>> {
        let reader = self.pages.open(&layer.recipe).await.map_err(store_error)?;
        if !reader.is_plain() || layer.digest.algorithm().as_ref() != "sha256" {
            return Ok(None);
        }
        self.restore(&layer.digest, &reader, &layer.recipe, Basis::Newest).await.map(Some)
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
        let file = self.copy_out(digest, from).await?;
        let ingest = Ingest { basis, ..self.ingest() };
        let ingested = ingest.whole(file, None, turn).outcome().await?;
        let bytes = ingested.checkpoint.total_bytes;
        let writer = match ingested.writer.replacing(over).await {
            Ok(writer) => writer,
            Err(error) => return Err(store_error(error)),
        };
        let committed = writer.commit(digest.as_ref(), bytes).await.map_err(store_error)?;
        Ok(Reencoded { logical_bytes: bytes, stored_bytes: committed.stats.stored_bytes() })
    }

    /// Copies a layer into a file of the spool that has no name. What does not hash to its digest
    /// is not used.
    async fn copy_out(&self, digest: &Digest, from: &LayerReader) -> Result<Growing> {
        self.room.check(from.bytes())?;
        let path = self.spool.root().join(random_id()?);
        let open = move || nameless(&path).map_err(|e| spool_error("copying a layer", e));
        let file = Arc::new(blocking(open).await?);
        let (mut hash, mut at) = (StreamHash::default(), 0u64);
        let mut gauge = self.room.gauge();
        let mut parts = from.stream(0..from.bytes());
        while let Some(part) = parts.next().await {
            let part = part.map_err(store_error)?;
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
        Ok(Growing::whole(file, at))
    }
}

fn write_all(file: &File, bytes: &[u8], at: u64) -> Result<()> {
    file.write_all_at(bytes, at).map_err(|e| spool_error("copying a layer", e))
}
