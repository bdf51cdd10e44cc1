//! Records in the object store: read by name, changed by conditional writes, followed by the view.

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_api::reference::Selector;
use pagevault_objects::{ErrorKind, Key, ObjectError, Precondition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entry::Entry;
use crate::error::CatalogError;
use crate::keys::Name;
use crate::record::{BlobRecord, Envelope, ManifestRecord, NewManifest};
use crate::view::{Change, Intent};
use crate::{Catalog, Result};

/// Tries at a record that others change at the same time.
const TRIES: usize = 100;

impl Catalog {
    /// The manifest of a digest.
    pub async fn find_manifest(
        &self,
        repository: &str,
        digest: &Digest,
    ) -> Result<Option<ManifestRecord>> {
        self.read(&manifest(repository, digest)).await
    }

    /// The manifest that a tag or digest names.
    pub async fn resolve(
        &self,
        repository: &str,
        selector: &Selector,
    ) -> Result<Option<ManifestRecord>> {
        let digest = match selector {
            Selector::Digest(digest) => digest.clone(),
            Selector::Tag(tag) => match self.find_tag(repository, tag).await? {
                Some(record) => record.digest,
                None => return Ok(None),
            },
        };
        self.find_manifest(repository, &digest).await
    }

    /// Stores a manifest at once. The same one again changes nothing, and the record that is there
    /// already is returned. For what names no recipes; other manifests are tentative first.
    pub async fn put_manifest(&self, repository: &str, new: NewManifest) -> Result<ManifestRecord> {
        let name = manifest(repository, &new.digest);
        let record = new.into_record();
        self.change(&name, |old: Option<ManifestRecord>| match old {
            Some(old) => Decision::Keep(old),
            None => Decision::Write(Some(record.clone()), record.clone()),
        })
        .await
    }

    /// Removes a manifest and the tags that point to it; false if it is not there. One that is pinned
    /// stays, which is [`CatalogError::Pinned`].
    pub async fn delete_manifest(&self, repository: &str, digest: &Digest) -> Result<bool> {
        // As they are now: what is set again later is no longer of this manifest.
        let tags = self.tag_entries(repository, digest).await?;
        let name = manifest(repository, digest);
        let removed = self.change(&name, |old: Option<ManifestRecord>| {
            match old.map(|old| old.checkpoint.and_then(|checkpoint| checkpoint.pin)) {
                None => Decision::Keep(Ok(false)),
                Some(None) => Decision::Write(None, Ok(true)),
                Some(Some(pin)) => Decision::Keep(Err(CatalogError::Pinned(pin.reason))),
            }
        });
        let removed = removed.await??;
        for tag in tags {
            self.drop_tag(&tag).await?;
        }
        Ok(removed)
    }

    /// Changes what a manifest's record says of its checkpoint, and returns it as it is then; nothing
    /// if there is no such manifest. `change` may be called several times; nothing but the checkpoint
    /// is to be changed.
    pub async fn change_checkpoint(
        &self,
        repository: &str,
        digest: &Digest,
        mut change: impl FnMut(&mut ManifestRecord),
    ) -> Result<Option<ManifestRecord>> {
        self.change(&manifest(repository, digest), |old: Option<ManifestRecord>| {
            let Some(old) = old else { return Decision::Keep(None) };
            let mut new = old.clone();
            change(&mut new);
            if new.checkpoint == old.checkpoint {
                return Decision::Keep(Some(old));
            }
            Decision::Write(Some(new.clone()), Some(new))
        })
        .await
    }

    /// A blob of a repository.
    pub async fn find_blob(&self, repository: &str, digest: &Digest) -> Result<Option<BlobRecord>> {
        self.read(&blob(repository, digest)).await
    }

    /// Makes a blob known in a repository. One that is known already stays where it is. For blobs
    /// that are kept in their records; others are to be checked after.
    pub async fn put_blob(
        &self,
        repository: &str,
        digest: &Digest,
        record: BlobRecord,
    ) -> Result<BlobRecord> {
        let name = blob(repository, digest);
        let put = self.change(&name, |old: Option<BlobRecord>| match old {
            Some(old) => Decision::Keep(old),
            None => Decision::Write(Some(record.clone()), record.clone()),
        });
        let put = put.await?;
        self.view.note_blob(repository, digest.as_ref(), true);
        Ok(put)
    }

    /// Whether a repository holds a blob, or has held it until a day ago.
    pub async fn has_held_blob(&self, repository: &str, digest: &Digest) -> Result<bool> {
        Ok(self.stored(&blob(repository, digest)).await?.1.is_some())
    }

    /// A blob of any repository.
    pub async fn find_blob_anywhere(&self, digest: &Digest) -> Result<Option<BlobRecord>> {
        for repository in self.holders(digest).await? {
            if let Some(record) = self.find_blob(&repository, digest).await? {
                return Ok(Some(record));
            }
            self.view.note_blob(&repository, digest.as_ref(), false);
        }
        Ok(None)
    }

    /// Removes a blob from a repository; false if it is not there.
    pub async fn delete_blob(&self, repository: &str, digest: &Digest) -> Result<bool> {
        let removed = self.remove::<BlobRecord>(&blob(repository, digest)).await?;
        self.view.note_blob(repository, digest.as_ref(), false);
        Ok(removed)
    }

    pub(crate) async fn remove<T>(&self, name: &Name) -> Result<bool>
    where
        T: Serialize + DeserializeOwned + Clone,
    {
        self.change(name, |old: Option<T>| match old {
            Some(_) => Decision::Write(None, true),
            None => Decision::Keep(false),
        })
        .await
    }

    /// Reads a record; nothing if it is absent.
    pub(crate) async fn read<T>(&self, name: &Name) -> Result<Option<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        Ok(self.entry(name).await?.visible())
    }

    /// Changes a record by reading it, deciding, and writing on condition that nobody else did.
    pub(crate) async fn change<T, R>(
        &self,
        name: &Name,
        decide: impl FnMut(Option<T>) -> Decision<T, R>,
    ) -> Result<R>
    where
        T: Serialize + DeserializeOwned + Clone,
    {
        let key = name.key()?;
        let mut intent = None;
        let outcome = Box::pin(self.try_change(name, &key, decide, &mut intent)).await;
        let Some(intent) = intent else { return outcome };
        // Also after a failure: a write whose answer was lost may have happened.
        let refreshed = self.refresh(&key, Some(intent)).await;
        outcome.and_then(|result| refreshed.map(|()| result))
    }

    async fn try_change<T, R>(
        &self,
        name: &Name,
        key: &Key,
        mut decide: impl FnMut(Option<T>) -> Decision<T, R>,
        intent: &mut Option<Intent>,
    ) -> Result<R>
    where
        T: Serialize + DeserializeOwned + Clone,
    {
        for _ in 0..TRIES {
            // A tag that is damaged can be set again.
            let read: Entry<T> = match name {
                Name::Tag { .. } => self.place(name).await?,
                _ => self.entry(name).await?,
            };
            let when = read.when.clone();
            let (record, result) = match decide(read.visible()) {
                Decision::Keep(result) => return Ok(result),
                Decision::Write(record, result) => (record, result),
            };
            if intent.is_none() && followed(name) {
                *intent = Some(self.view.intend(key.as_str()).await?);
            }
            let written = match (&record, when) {
                (None, when) if !leaves_trace(name) => self.erase(key, when).await,
                (_, when) => {
                    let bytes = Bytes::from(Envelope::new(record, None)?.to_bytes()?);
                    self.store.put(key, bytes, when).await.map(drop)
                }
            };
            match written {
                Ok(()) => return Ok(result),
                Err(e) if e.kind() == ErrorKind::Precondition => tokio::task::yield_now().await,
                Err(e) => return Err(e.into()),
            }
        }
        Err(CatalogError::Conflict(key.to_string()))
    }

    /// Makes a record absent, if it is still the one that was read.
    pub(crate) async fn erase(&self, key: &Key, read: Precondition) -> Result<(), ObjectError> {
        match read {
            Precondition::Matches(version) => self.store.delete_if(key, &version).await,
            Precondition::Absent | Precondition::None => Ok(()),
        }
    }

    /// Brings the view's idea of one record up to date.
    pub(crate) async fn refresh(&self, key: &Key, intent: Option<Intent>) -> Result<()> {
        let refresh = self.view.refresh(key.as_str());
        let change = match Name::parse(key.as_str()) {
            Some(name @ Name::Manifest { .. }) => {
                let record = self.read(&name).await?;
                Change::Manifest { name, record: Box::new(record) }
            }
            Some(name @ Name::Tag { .. }) => {
                let record = self.read(&name).await?;
                Change::Tag { name, record }
            }
            Some(Name::Blob { repository, digest }) => {
                self.view.note_blob(&repository, digest.as_ref(), true);
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.view.apply(refresh, intent, change).await
    }
}

/// What is to be done with a record, and what to answer.
pub(crate) enum Decision<T, R> {
    /// Leave it.
    Keep(R),
    /// Write this one, or make it absent.
    Write(Option<T>, R),
}

/// Whether a record that is absent is remembered for a time: a push may count on a blob that it was
/// told of.
pub(crate) fn leaves_trace(name: &Name) -> bool {
    matches!(name, Name::Blob { .. })
}

/// Blobs and details are asked for by name only: of blobs the view has hints, which need no intents.
fn followed(name: &Name) -> bool {
    !matches!(name, Name::Blob { .. } | Name::Detail { .. })
}

pub(crate) fn manifest(repository: &str, digest: &Digest) -> Name {
    Name::Manifest { repository: repository.to_owned(), digest: digest.clone() }
}

pub(crate) fn blob(repository: &str, digest: &Digest) -> Name {
    Name::Blob { repository: repository.to_owned(), digest: digest.clone() }
}
