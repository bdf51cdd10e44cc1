//! Giving names to what is stored, so that collection keeps it.
//!
//! Each name is published first, then what it names is checked: no tombstone, then present. A
//! manifest is published *tentative*: it counts as a name, and nobody sees it. Only when all that it
//! names has been checked is it confirmed, on condition that it is still there. So what everybody
//! sees names nothing that can go, whatever collectors, deletes and other publishers do meanwhile,
//! and wherever this one stops.

mod heal;

use std::sync::Arc;

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_catalog::{BlobLocation, BlobRecord, Catalog, Entry, ManifestRecord, NewManifest};
use pagevault_pagestore::{Hold, PageStore, PageStoreError, RecipeId, Standing};

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::{Result, catalog_error, store_error};

/// Tries at records that others change at the same time.
const TRIES: usize = 100;

/// What a manifest names: the records of its blobs.
pub(crate) type Blobs = Vec<(Digest, BlobRecord)>;

/// Publishes names. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    pub(crate) pages: PageStore,
    pub(crate) catalog: Arc<Catalog>,
}

/// What has become of the blobs that a tentative manifest names.
enum Settled {
    /// All are there as it names them, and stay.
    AsNamed,
    /// Some are somewhere else: it has to name them anew.
    Elsewhere,
    /// This one is gone.
    Gone(Digest),
}

/// What has become of the record of a blob that was to name something else.
enum Replaced {
    /// It does.
    Done,
    /// What it was to name is condemned or gone; it is as it was.
    Condemned,
    /// Somebody else has changed it.
    Contended,
}

impl Publisher {
    /// Makes a blob known in a repository, and returns the record in effect: one that is there and
    /// can be relied on stays, and what it names is put right if it was lost. Fails with
    /// [`Kind::Collected`] if what `record` names is condemned.
    pub(crate) async fn blob(
        &self,
        repository: &str,
        digest: &Digest,
        record: BlobRecord,
    ) -> Result<BlobRecord> {
        for _ in 0..TRIES {
            let entry = self.entry(repository, digest).await?;
            if let Some(old) = entry.record.clone()
                && self.standing(&old).await? != Standing::Condemned
                && (self.is_whole(&old).await? || self.reinstate(digest, &old, &record).await?)
            {
                if entry.mark.is_none() || self.swap(&entry, Some(old.clone())).await?.is_some() {
                    return Ok(old);
                }
                continue;
            }
            match self.replace(&entry, &record).await? {
                Replaced::Done => return Ok(record),
                Replaced::Condemned => return Err(collected(digest)),
                Replaced::Contended => {}
            }
        }
        Err(contended(digest))
    }

    /// Lets a blob's record name something else, provided that that stays. Where there is a record,
    /// everybody sees the old one until that is sure: manifests may rest on it.
    async fn replace(&self, entry: &Entry<BlobRecord>, record: &BlobRecord) -> Result<Replaced> {
        let named = match entry.record {
            None => self.swap(entry, Some(record.clone())).await?,
            Some(_) => {
                let offered = self.catalog.offer_blob(entry, record.clone()).await;
                offered.map_err(catalog_error)?
            }
        };
        let Some(named) = named else { return Ok(Replaced::Contended) };
        if self.standing(record).await? != Standing::Kept {
            // Nobody is helped by a name for what is about to go.
            self.swap(&named, entry.record.clone()).await?;
            return Ok(Replaced::Condemned);
        }
        if entry.record.is_some() && self.swap(&named, Some(record.clone())).await?.is_none() {
            return Ok(Replaced::Contended);
        }
        Ok(Replaced::Done)
    }

    /// Makes a blob that another repository has known in this one; false if it went meanwhile.
    pub(crate) async fn mount(
        &self,
        to: &str,
        digest: &Digest,
        record: BlobRecord,
    ) -> Result<bool> {
        if !self.is_whole(&record).await? {
            return Ok(false);
        }
        self.promise(to, digest).await;
        match self.blob(to, digest, record.clone()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == Kind::Collected => {
                let Some(copy) = Box::pin(self.copy(&record)).await? else { return Ok(false) };
                match self.blob(to, digest, copy.0).await {
                    Ok(_) => Ok(true),
                    Err(error) if error.kind() == Kind::Collected => Ok(false),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a blob is there, for a client that will name it because we say so: promised first,
    /// then looked at.
    pub(crate) async fn head(
        &self,
        repository: &str,
        digest: &Digest,
    ) -> Result<Option<BlobRecord>> {
        if self.entry(repository, digest).await?.record.is_none() {
            return Ok(None);
        }
        self.promise(repository, digest).await;
        for _ in 0..TRIES {
            let entry = self.entry(repository, digest).await?;
            let Some(record) = entry.record.clone() else { return Ok(None) };
            if !self.is_whole(&record).await? {
                tracing::warn!(blob.digest = %digest, repository, "lost: said to be absent, to be sent again");
                return Ok(None);
            }
            if entry.mark.is_none() || self.swap(&entry, Some(record.clone())).await?.is_some() {
                return Ok(Some(record));
            }
        }
        Err(contended(digest))
    }

    /// Lets a manifest exist. The same one again changes nothing, and the record that is there is
    /// returned. Fails with [`Kind::Collected`] if one of its blobs went away: nothing is seen then.
    pub(crate) async fn manifest(
        &self,
        repository: &str,
        new: NewManifest,
        mut blobs: Blobs,
    ) -> Result<ManifestRecord> {
        let mut holds = Vec::new();
        for _ in 0..TRIES {
            let current = self.catalog.manifest_place(repository, &new.digest).await;
            let current = current.map_err(catalog_error)?;
            if current.is_visible()
                && let Some(record) = current.record
            {
                self.heal(repository, &record, &blobs).await?;
                if record.checkpoint.is_some() {
                    self.detail(repository, &new.digest, new.detail.as_ref(), false).await?;
                }
                return Ok(record);
            }
            let Some(tentative) = self.try_name(&current, &new, &blobs).await? else { continue };
            match self.settle(repository, &mut blobs, &mut holds).await? {
                Settled::AsNamed => {}
                Settled::Elsewhere => continue,
                Settled::Gone(digest) => {
                    self.catalog.drop_tentative(&tentative).await.map_err(catalog_error)?;
                    return Err(collected(&digest));
                }
            }
            self.detail(repository, &new.digest, new.detail.as_ref(), true).await?;
            if self.catalog.confirm_manifest(&tentative).await.map_err(catalog_error)?
                && let Some(record) = tentative.record
            {
                return Ok(record);
            }
        }
        Err(contended(&new.digest))
    }

    /// Sees to it that the detail of a checkpoint, whose manifest names it by now, is there and stays;
    /// with `anew`, that it is this one.
    pub(crate) async fn detail(
        &self,
        repository: &str,
        digest: &Digest,
        detail: Option<&Bytes>,
        anew: bool,
    ) -> Result<()> {
        let Some(detail) = detail else { return Ok(()) };
        for _ in 0..TRIES {
            let entry = self.catalog.detail_place(repository, digest).await;
            let entry = entry.map_err(catalog_error)?;
            let kept = entry.record.clone().filter(|there| !anew || there == detail);
            if kept.is_some() && entry.mark.is_none() {
                return Ok(());
            }
            let detail = kept.unwrap_or_else(|| detail.clone());
            let swapped = self.catalog.swap_detail(&entry, detail, None).await;
            if swapped.map_err(catalog_error)?.is_some() {
                return Ok(());
            }
        }
        Err(contended(digest))
    }

    /// Writes the tentative manifest; nothing if somebody else was first. One that says the same
    /// already will do, whoever wrote it.
    async fn try_name(
        &self,
        current: &Entry<ManifestRecord>,
        new: &NewManifest,
        blobs: &Blobs,
    ) -> Result<Option<Entry<ManifestRecord>>> {
        let mut new = new.clone();
        new.blobs = blobs.iter().map(|(d, b)| (d.to_string(), b.location.clone())).collect();
        if let Some(checkpoint) = &mut new.checkpoint
            && checkpoint.recipe.is_some()
            && let layer = &checkpoint.summary.layer_digest
            && let Some((_, layer)) = blobs.iter().find(|(digest, _)| digest == layer)
            && let BlobLocation::Recipe(recipe) = &layer.location
        {
            checkpoint.recipe = Some(recipe.clone());
        }
        if current.record.as_ref().is_some_and(|record| record.blobs == new.blobs) {
            return Ok(Some(current.clone()));
        }
        self.catalog.try_manifest(current, new).await.map_err(catalog_error)
    }

    /// Sees to it that the blobs that a tentative manifest names have records that say the same, and
    /// that what they name stays.
    async fn settle(
        &self,
        repository: &str,
        blobs: &mut Blobs,
        holds: &mut Vec<Option<Hold>>,
    ) -> Result<Settled> {
        let mut elsewhere = false;
        for (digest, wanted) in blobs.iter_mut() {
            let before = wanted.location.clone();
            match self.standing(wanted).await? {
                Standing::Kept => {}
                Standing::Gone => return Ok(Settled::Gone(digest.clone())),
                Standing::Condemned => {
                    let Some((copy, hold)) = Box::pin(self.copy(wanted)).await? else {
                        return Ok(Settled::Gone(digest.clone()));
                    };
                    *wanted = copy;
                    holds.push(hold);
                }
            }
            // If what we name has gone since, somebody has taken our manifest's place.
            elsewhere |= !self.settle_record(repository, digest, wanted).await?;
            elsewhere |= wanted.location != before;
        }
        Ok(if elsewhere { Settled::Elsewhere } else { Settled::AsNamed })
    }

    /// Brings a blob's record and `wanted` together: the record counts where what it names stays.
    /// False if `wanted` is condemned by now.
    async fn settle_record(
        &self,
        repository: &str,
        digest: &Digest,
        wanted: &mut BlobRecord,
    ) -> Result<bool> {
        for _ in 0..TRIES {
            let entry = self.entry(repository, digest).await?;
            match &entry.record {
                Some(old) if old.location == wanted.location => {
                    if entry.mark.is_none()
                        || self.swap(&entry, Some(wanted.clone())).await?.is_some()
                    {
                        return Ok(true);
                    }
                }
                Some(old) if self.standing(old).await? == Standing::Kept => *wanted = old.clone(),
                _ => match self.replace(&entry, wanted).await? {
                    Replaced::Done => return Ok(true),
                    Replaced::Condemned => return Ok(false),
                    Replaced::Contended => {}
                },
            }
        }
        Err(contended(digest))
    }

    /// A second name for what is condemned; nothing if it is gone.
    async fn copy(&self, record: &BlobRecord) -> Result<Option<(BlobRecord, Option<Hold>)>> {
        let BlobLocation::Recipe(id) = &record.location else {
            return Ok(Some((record.clone(), None)));
        };
        match self.pages.copy(&RecipeId(id.clone())).await {
            Ok(copy) => {
                let location = BlobLocation::Recipe(copy.id.0);
                Ok(Some((BlobRecord { bytes: record.bytes, location }, Some(copy.hold))))
            }
            Err(
                PageStoreError::NotFound(_)
                | PageStoreError::BaseGone
                | PageStoreError::Lost
                | PageStoreError::Damaged(_),
            ) => Ok(None),
            Err(error) => Err(store_error(error)),
        }
    }

    async fn standing(&self, record: &BlobRecord) -> Result<Standing> {
        match &record.location {
            BlobLocation::Inline(_) => Ok(Standing::Kept),
            BlobLocation::Recipe(id) => {
                self.pages.standing(&RecipeId(id.clone())).await.map_err(store_error)
            }
        }
    }

    /// Promises that a blob stays for a while. That it cannot be written down, on a full disk, is no
    /// reason to refuse a request: without it a client may have to send the blob again.
    pub(crate) async fn promise(&self, repository: &str, digest: &Digest) {
        if let Err(error) = self.catalog.promise_blob(repository, digest).await {
            tracing::warn!(%error, blob.digest = %digest, "no promise could be made");
        }
    }

    async fn entry(&self, repository: &str, digest: &Digest) -> Result<Entry<BlobRecord>> {
        self.catalog.blob_place(repository, digest).await.map_err(catalog_error)
    }

    async fn swap(
        &self,
        old: &Entry<BlobRecord>,
        record: Option<BlobRecord>,
    ) -> Result<Option<Entry<BlobRecord>>> {
        self.catalog.swap_blob(old, record, None).await.map_err(catalog_error)
    }
}

fn collected(digest: &Digest) -> RegistryError {
    RegistryError::new(Kind::Collected, format!("{digest} was collected meanwhile; send it again"))
}

fn contended(digest: &Digest) -> RegistryError {
    let message = format!("the records of {digest} are being changed by others; try again");
    RegistryError::new(Kind::Conflict, message)
}
