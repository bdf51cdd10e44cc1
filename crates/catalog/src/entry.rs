//! Records one write at a time: read with their mark, and changed only if they are still what was
//! read. For those who have to know what happened in between: publishers and collectors.

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_objects::{ErrorKind, Key, Object, Precondition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::CatalogError;
use crate::keys::Name;
use crate::record::{BlobRecord, Envelope, ManifestRecord, Mark, NewManifest, is_newer};
use crate::truth::{blob, manifest};
use crate::{Catalog, Result};

/// Seconds for which a blob is remembered that a repository holds no more. No push takes as long.
const TRACE_SECONDS: u64 = 24 * 3600;

/// A record as it was read or written.
#[derive(Debug, Clone)]
pub struct Entry<T> {
    /// What it says; nothing where it is absent.
    pub record: Option<T>,
    /// Its mark.
    pub mark: Option<Mark>,
    /// What is about to take its place; see [`Catalog::offer_blob`].
    pub next: Option<T>,
    pub(crate) key: Key,
    pub(crate) when: Precondition,
}

impl<T> Entry<T> {
    /// Nothing, in place of what is stored there.
    pub(crate) fn absent(key: &Key, stored: Option<&Object>) -> Self {
        let when = stored
            .map_or(Precondition::Absent, |object| Precondition::Matches(object.version.clone()));
        Self { record: None, mark: None, next: None, key: key.clone(), when }
    }

    /// For whoever has been sent what a record is about: one that is damaged counts as absent, unless
    /// a later version of this program has written it.
    pub(crate) fn or_absent(
        read: Result<Self>,
        key: &Key,
        stored: Option<&Object>,
    ) -> Result<Self> {
        match (read, stored) {
            (Err(error @ CatalogError::Corrupt { .. }), Some(object))
                if !is_newer(&object.bytes) =>
            {
                tracing::warn!(%error, "it counts as absent until what it is about is sent again");
                Ok(Self::absent(key, stored))
            }
            (read, _) => read,
        }
    }

    /// As if nothing were about to take its place.
    #[must_use]
    pub fn without_next(self) -> Self {
        Self { next: None, ..self }
    }

    /// Whether everybody sees it.
    pub fn is_visible(&self) -> bool {
        self.record.is_some() && self.mark != Some(Mark::Tentative)
    }

    /// What everybody sees.
    pub fn visible(self) -> Option<T> {
        self.record.filter(|_| self.mark != Some(Mark::Tentative))
    }
}

impl<T: Serialize + DeserializeOwned> Entry<T> {
    /// The record that is stored there.
    pub(crate) fn read(key: &Key, stored: Option<&Object>) -> Result<Self> {
        let empty = Self::absent(key, stored);
        let Some(object) = stored else { return Ok(empty) };
        let Envelope { record, mark, next, .. } =
            Envelope::from_bytes(key.as_str(), &object.bytes)?;
        Ok(Self { record, mark, next, ..empty })
    }
}

impl Catalog {
    /// The record of a blob, with its mark.
    pub async fn blob_entry(&self, repository: &str, digest: &Digest) -> Result<Entry<BlobRecord>> {
        self.entry(&blob(repository, digest)).await
    }

    /// The record of a blob, to be written anew: one that is damaged counts as absent, unless a later
    /// version of this program has written it.
    pub async fn blob_place(&self, repository: &str, digest: &Digest) -> Result<Entry<BlobRecord>> {
        self.place(&blob(repository, digest)).await
    }

    /// Writes a blob's record if it is still the one that was read; nothing if it is not.
    pub async fn swap_blob(
        &self,
        old: &Entry<BlobRecord>,
        record: Option<BlobRecord>,
        mark: Option<Mark>,
    ) -> Result<Option<Entry<BlobRecord>>> {
        let there = record.is_some();
        let swapped = self.swap(old, record, mark).await?;
        if swapped.is_some()
            && let Some(Name::Blob { repository, digest }) = Name::parse(old.key.as_str())
        {
            self.view.note_blob(&repository, digest.as_ref(), there);
        }
        Ok(swapped)
    }

    /// Notes in the record of a blob what is about to take its place. Everybody sees the old one until
    /// it has been swapped; both keep what they name.
    pub async fn offer_blob(
        &self,
        old: &Entry<BlobRecord>,
        next: BlobRecord,
    ) -> Result<Option<Entry<BlobRecord>>> {
        let mut envelope = Envelope::new(old.record.clone(), old.mark)?;
        envelope.next = Some(next);
        self.put(old, envelope).await
    }

    /// The record of a manifest, with its mark.
    pub async fn manifest_entry(
        &self,
        repository: &str,
        digest: &Digest,
    ) -> Result<Entry<ManifestRecord>> {
        self.entry(&manifest(repository, digest)).await
    }

    /// The record of a manifest, to be written anew where it is damaged: see [`Catalog::blob_place`].
    /// What it said beside the manifest, a pin perhaps, is lost then.
    pub async fn manifest_place(
        &self,
        repository: &str,
        digest: &Digest,
    ) -> Result<Entry<ManifestRecord>> {
        self.place(&manifest(repository, digest)).await
    }

    /// Writes a manifest that is not seen yet, where there is none, or another that is not seen.
    pub async fn try_manifest(
        &self,
        old: &Entry<ManifestRecord>,
        new: NewManifest,
    ) -> Result<Option<Entry<ManifestRecord>>> {
        self.swap(old, Some(new.into_record()), Some(Mark::Tentative)).await
    }

    /// Lets everybody see a manifest; false if it is no longer the one that was written.
    pub async fn confirm_manifest(&self, tentative: &Entry<ManifestRecord>) -> Result<bool> {
        let intent = self.view.intend(tentative.key.as_str()).await?;
        let swapped = self.swap(tentative, tentative.record.clone(), None).await;
        // Also after a failure: a write whose answer was lost may have happened.
        self.refresh(&tentative.key, Some(intent)).await?;
        Ok(swapped?.is_some())
    }

    /// Takes back a manifest that nobody has seen; false if it has changed meanwhile.
    pub async fn drop_tentative(&self, tentative: &Entry<ManifestRecord>) -> Result<bool> {
        self.drop_record(tentative).await
    }

    /// Removes what is left of a record: one that is absent, or that nothing needs any more. False if it
    /// is no longer the one that was read.
    pub async fn drop_record<T>(&self, old: &Entry<T>) -> Result<bool> {
        match self.erase(&old.key, old.when.clone()).await {
            Ok(()) => Ok(true),
            Err(e) if matches!(e.kind(), ErrorKind::Precondition | ErrorKind::NotFound) => {
                Ok(false)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Removes what is left of a blob that has been absent for a day; false if it stays.
    pub async fn drop_trace(&self, absent: &Entry<BlobRecord>, now: u64) -> Result<bool> {
        // What was listed before may be older than what was read.
        let written = match self.store.head(&absent.key).await {
            Ok(meta) => meta.modified,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        if now.saturating_sub(written) < TRACE_SECONDS {
            return Ok(false);
        }
        self.drop_record(absent).await
    }

    pub(crate) async fn entry<T>(&self, name: &Name) -> Result<Entry<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        let (key, object) = self.stored(name).await?;
        Entry::read(&key, object.as_ref())
    }

    pub(crate) async fn place<T>(&self, name: &Name) -> Result<Entry<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        let (key, object) = self.stored(name).await?;
        Entry::or_absent(Entry::read(&key, object.as_ref()), &key, object.as_ref())
    }

    /// Where a record is, and what is stored there.
    pub(crate) async fn stored(&self, name: &Name) -> Result<(Key, Option<Object>)> {
        let key = name.key()?;
        match self.store.get(&key).await {
            Ok(object) => Ok((key, Some(object))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok((key, None)),
            Err(e) => Err(e.into()),
        }
    }

    async fn swap<T>(
        &self,
        old: &Entry<T>,
        record: Option<T>,
        mark: Option<Mark>,
    ) -> Result<Option<Entry<T>>>
    where
        T: Serialize + DeserializeOwned,
    {
        self.put(old, Envelope::new(record, mark)?).await
    }

    async fn put<T>(&self, old: &Entry<T>, envelope: Envelope<T>) -> Result<Option<Entry<T>>>
    where
        T: Serialize + DeserializeOwned,
    {
        let bytes = Bytes::from(envelope.to_bytes()?);
        match self.store.put(&old.key, bytes, old.when.clone()).await {
            Ok(version) => {
                let when = Precondition::Matches(version);
                let Envelope { record, mark, next, .. } = envelope;
                Ok(Some(Entry { record, mark, next, key: old.key.clone(), when }))
            }
            Err(e) if matches!(e.kind(), ErrorKind::Precondition | ErrorKind::NotFound) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}
