//! Keeping checkpoints and letting them go: pins, labels, deletion.

use jiff::Timestamp;
use pagevault_api::Digest;
use pagevault_api::checkpoint::{Checkpoint, LabelChanges, Pin, PinRequest};
use pagevault_api::event::EventKind;
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::upload::{LABELS_MAX, PushOptions, TEXT_BYTES_MAX};
use pagevault_catalog::{CatalogError, CheckpointRecord, ManifestRecord};

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::history::Found;
use crate::{Registry, Result, catalog_error};

impl Registry {
    /// Keeps a checkpoint from being deleted. Pinned again, it has the new reason.
    pub async fn pin(&self, reference: &Reference, request: PinRequest) -> Result<Checkpoint> {
        let PinRequest { reason } = request;
        let sound = !reason.trim().is_empty() && reason.len() <= TEXT_BYTES_MAX;
        if !sound || reason.chars().any(char::is_control) {
            let message = format!(
                "a reason has 1 to {TEXT_BYTES_MAX} bytes, is not blank, and has no control characters"
            );
            return Err(RegistryError::new(Kind::Invalid, message));
        }
        let pin = Pin { reason, pinned_at: Timestamp::now() };
        self.change(reference, |record| {
            if record.pin.as_ref().is_none_or(|old| old.reason != pin.reason) {
                record.pin = Some(pin.clone());
            }
            Ok(())
        })
        .await
    }

    /// Lets a checkpoint be deleted again.
    pub async fn unpin(&self, reference: &Reference) -> Result<Checkpoint> {
        self.change(reference, |record| {
            record.pin = None;
            Ok(())
        })
        .await
    }

    /// Sets labels, and takes them away.
    pub async fn label(&self, reference: &Reference, changes: LabelChanges) -> Result<Checkpoint> {
        check_labels(&changes)?;
        self.change(reference, |record| {
            let labels = &mut record.summary.labels;
            for (key, value) in &changes.0 {
                match value {
                    Some(value) => labels.insert(key.clone(), value.clone()),
                    None => labels.remove(key),
                };
            }
            match labels.len() <= LABELS_MAX {
                true => Ok(()),
                false => Err(RegistryError::new(
                    Kind::Invalid,
                    format!("{} labels; {LABELS_MAX} are the most", labels.len()),
                )),
            }
        })
        .await
    }

    /// Removes a checkpoint with its tags and what is said about it, unless it is pinned. By a tag too
    /// the checkpoint goes, not only its name.
    pub async fn delete_checkpoint(&self, reference: &Reference) -> Result<()> {
        let Found { manifest, .. } = self.find(reference).await?;
        self.delete_image(&reference.repository, &manifest.digest).await
    }

    /// Refuses to take a blob from a pinned checkpoint of the repository.
    pub(crate) async fn check_unpinned(&self, repository: &str, blob: &Digest) -> Result<()> {
        for digest in self.catalog.pinned(repository).await.map_err(catalog_error)? {
            let manifest = self.catalog.find_manifest(repository, &digest).await;
            let manifest = manifest.map_err(catalog_error)?;
            let needs = |m: &ManifestRecord| m.blobs.contains_key(blob.as_ref() as &str);
            manifest.filter(needs).map_or(Ok(()), |manifest| refuse_pinned(&manifest))?;
        }
        Ok(())
    }

    /// Refuses to take its name from a pinned checkpoint: it is looked for by that.
    pub(crate) async fn check_tag_unpinned(&self, repository: &str, tag: &str) -> Result<()> {
        let named = self.catalog.resolve(repository, &Selector::Tag(tag.to_owned())).await;
        named.map_err(catalog_error)?.map_or(Ok(()), |manifest| refuse_pinned(&manifest))
    }

    /// Changes the record of a checkpoint; what `change` refuses stays as it is.
    async fn change(
        &self,
        reference: &Reference,
        change: impl Fn(&mut CheckpointRecord) -> Result<()>,
    ) -> Result<Checkpoint> {
        let digest = self.find(reference).await?.manifest.digest;
        let mut outcome = Ok(());
        let changed = self.catalog.change_checkpoint(&reference.repository, &digest, |manifest| {
            let Some(old) = manifest.checkpoint.as_ref() else { return };
            let mut new = old.clone();
            outcome = change(&mut new);
            if outcome.is_ok() {
                manifest.checkpoint = Some(new);
            }
        });
        let changed = changed.await.map_err(catalog_error)?;
        outcome?;
        let found = changed.and_then(|manifest| Found::of(manifest).ok()).ok_or_else(|| {
            RegistryError::new(Kind::ManifestUnknown, format!("no checkpoint {reference}"))
        })?;
        let checkpoint = found.summary(reference);
        self.events.tell(EventKind::CheckpointChanged { checkpoint: Box::new(checkpoint.clone()) });
        Ok(checkpoint)
    }
}

fn refuse_pinned(manifest: &ManifestRecord) -> Result<()> {
    let pin = manifest.checkpoint.as_ref().and_then(|checkpoint| checkpoint.pin.as_ref());
    pin.map_or(Ok(()), |pin| Err(catalog_error(CatalogError::Pinned(pin.reason.clone()))))
}

fn check_labels(changes: &LabelChanges) -> Result<()> {
    // What is taken away may have come before there were rules.
    let labels = changes.0.iter();
    let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    let options = PushOptions { labels: labels.collect(), ..PushOptions::default() };
    options.check().map_err(|e| RegistryError::new(Kind::Invalid, e.to_string()))?;
    match changes.0.contains_key("") {
        true => Err(RegistryError::new(Kind::Invalid, "a label has a key")),
        false => Ok(()),
    }
}
