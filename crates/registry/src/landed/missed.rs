//! Images of which nothing is known yet though they say that they are checkpoints: looked for when
//! somebody asks for one, and among all that is there after a start or when some had to be left.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pagevault_api::reference::Reference;
use pagevault_catalog::{ListedKind, ManifestRecord};
use pagevault_objects::Key;
use tokio::sync::Notify;

use super::{Landed, REST, layer_of};
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::{Registry, Result, catalog_error};

/// Records of one list.
const PAGE: usize = 1000;
/// From one look at all records to the next, at least.
const AGAIN_AFTER: Duration = Duration::from_secs(600);
/// Longest rest after a list of records.
const REST_MAX: Duration = Duration::from_secs(1);

/// Looks for what was missed, each time that something was, for as long as there is a registry.
pub(crate) async fn look_again(registry: Weak<Registry>, missed: Arc<Notify>) {
    loop {
        missed.notified().await;
        let mut after = None;
        loop {
            let begun = Instant::now();
            let Some(registry) = registry.upgrade() else { return };
            match registry.take_in_missed(after.as_ref()).await {
                Ok(None) => break,
                Ok(last) => after = last,
                Err(error) => {
                    tracing::warn!(%error, "not all checkpoint images were looked for");
                    missed.notify_one();
                    break;
                }
            }
            drop(registry);
            tokio::time::sleep((begun.elapsed() * REST).min(REST_MAX)).await;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

impl Registry {
    /// Takes in the images of one list of records; returns where to go on.
    async fn take_in_missed(&self, after: Option<&Key>) -> Result<Option<Key>> {
        let (listed, more) = self.catalog.records(after, PAGE).await.map_err(catalog_error)?;
        for record in &listed {
            let ListedKind::Manifest(digest) = &record.kind else { continue };
            let found = self.catalog.find_manifest(&record.repository, digest).await;
            // What cannot be read is for a scrub and for whoever asks for it.
            let Ok(Some(manifest)) = found else { continue };
            if let Some(layer) = unknown_layer(&record.repository, &manifest) {
                self.landed.take_in_later(layer).await;
            }
        }
        Ok(listed.into_iter().next_back().map(|record| record.key).filter(|_| more))
    }

    /// Why nothing is known of an image: it is being read from now on, or cannot be.
    pub(crate) async fn why_unknown(
        &self,
        reference: &Reference,
        manifest: &ManifestRecord,
    ) -> RegistryError {
        match unknown_layer(&reference.repository, manifest) {
            Some(layer) => self.look_for(reference, layer).await,
            None => unknown(reference, "it is no image of a checkpoint"),
        }
    }

    /// Has a layer looked into, if it can be, and says so.
    pub(crate) async fn look_for(&self, reference: &Reference, layer: Landed) -> RegistryError {
        if let Some(reason) = self.landed.refusal(&layer.manifest) {
            return unknown(reference, &reason);
        }
        match self.catalog.find_blob(&layer.repository, &layer.layer).await {
            Ok(Some(_)) => {}
            Ok(None) => return unknown(reference, "its layer is not here"),
            Err(error) => return catalog_error(error),
        }
        self.landed.take_in(layer);
        let message = format!("what is in {reference} is being read from its layer; ask again");
        RegistryError::new(Kind::Unavailable, message)
    }
}

/// The layer of an image that says it is a checkpoint and has no record as one.
fn unknown_layer(repository: &str, manifest: &ManifestRecord) -> Option<Landed> {
    let ManifestRecord { digest, annotations, bytes, checkpoint, .. } = manifest;
    checkpoint.is_none().then(|| layer_of(repository, digest, annotations, bytes)).flatten()
}

fn unknown(reference: &Reference, why: &str) -> RegistryError {
    let message = format!("nothing is known of what is in {reference}: {why}");
    RegistryError::new(Kind::ManifestUnknown, message)
}
