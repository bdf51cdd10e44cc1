//! The upper levels of a collection: promises that have expired, manifests whose writer has died
//! before anybody saw them, and blobs that no manifest names.
//!
//! Their names can come back, so they go by conditional writes only. A blob's record is condemned;
//! *then* the manifests and promises of its repository are listed again; if it is still unnamed it
//! becomes absent, provided that nobody has touched it. The same goes for the detail of a checkpoint
//! whose manifest is absent. A publisher publishes its name and *then*
//! looks at the record: condemned, it takes the mark away; absent, it writes it anew.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_catalog::{BlobRecord, Catalog, Entry, Listed, ListedKind, Mark};
use pagevault_objects::{Key, Stamp};
use pagevault_pagestore::{Phase, Watch};

use super::{CollectSettings, RecordStats};
use crate::{Result, catalog_error, store_error};

/// Records of one list.
const PAGE: usize = 1000;

/// The sweep of records.
pub(crate) struct Sweep<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) settings: CollectSettings,
    pub(crate) watch: &'a Watch,
    pub(crate) stats: RecordStats,
    /// Records that a dry run would make absent.
    pub(crate) gone: HashSet<Key>,
    pub(crate) now: u64,
}

/// The records of one repository, as they were listed.
#[derive(Debug, Default)]
struct Repository {
    name: String,
    blobs: Vec<(Key, Digest)>,
    details: Vec<Digest>,
    manifests: Vec<Listed>,
    tags: Vec<String>,
}

/// What manifests name, by the writing that was read; nothing for those that are absent.
type Read = HashMap<Key, (Stamp, Option<Vec<Digest>>)>;

/// What the manifests of a repository name.
#[derive(Debug, Default)]
struct Names {
    blobs: HashSet<Digest>,
    /// The manifests themselves: each names its detail.
    manifests: HashSet<Digest>,
}

/// A record that goes if it is still unnamed.
#[derive(Debug)]
enum Condemned {
    Blob(Digest, Entry<BlobRecord>),
    Detail(Digest, Entry<Bytes>),
}

impl<'a> Sweep<'a> {
    pub(crate) async fn run(
        catalog: &'a Catalog,
        settings: CollectSettings,
        watch: &'a Watch,
    ) -> Result<Self> {
        let now = catalog.now().await.map_err(catalog_error)?;
        let (stats, gone) = (RecordStats::default(), HashSet::new());
        let mut sweep = Self { catalog, settings, watch, stats, gone, now };
        sweep.promises().await?;
        sweep.records().await?;
        Ok(sweep)
    }

    /// Removes promises that have expired. Their names are never used twice.
    async fn promises(&mut self) -> Result<()> {
        for promise in self.catalog.promises().await.map_err(catalog_error)? {
            self.stats.promises += 1;
            if promise.seconds_left == 0 {
                self.stats.freed_promises += 1;
                if !self.settings.dry_run {
                    self.catalog.end_promise(&promise).await.map_err(catalog_error)?;
                }
            }
        }
        Ok(())
    }

    /// Goes through all records, a repository at a time: theirs follow each other.
    async fn records(&mut self) -> Result<()> {
        self.watch.begin(Phase::Records, None);
        let (mut after, mut current) = (None, Repository::default());
        loop {
            let listed = self.catalog.records(after.as_ref(), PAGE).await;
            let (listed, more) = listed.map_err(catalog_error)?;
            after = listed.last().map(|record| record.key.clone());
            for record in listed {
                self.watch.step().map_err(store_error)?;
                if record.repository != current.name {
                    let name = record.repository.clone();
                    let next = Repository { name, ..Repository::default() };
                    self.repository(std::mem::replace(&mut current, next)).await?;
                }
                match record.kind {
                    ListedKind::Blob(digest) => current.blobs.push((record.key, digest)),
                    ListedKind::Detail(digest) => current.details.push(digest),
                    ListedKind::Manifest(_) => current.manifests.push(record),
                    ListedKind::Tag(tag) => current.tags.push(tag),
                }
            }
            if !more {
                return self.repository(current).await;
            }
        }
    }

    async fn repository(&mut self, repository: Repository) -> Result<()> {
        self.stats.manifests += repository.manifests.len() as u64;
        self.stats.blobs += repository.blobs.len() as u64;
        let mut read = Read::new();
        let named = self.named(&repository.manifests, &mut read).await?;
        let promised = self.promised(&repository.name).await?;
        let mut condemned = Vec::new();
        for (key, digest) in &repository.blobs {
            if !named.blobs.contains(digest) && !promised.contains(digest) {
                condemned.extend(self.condemn(&repository.name, key, digest).await?);
            }
        }
        for digest in &repository.details {
            if !named.manifests.contains(digest) && !self.settings.dry_run {
                condemned.extend(self.condemn_detail(&repository.name, digest).await?);
            }
        }
        if self.settings.dry_run {
            return Ok(());
        }
        for tag in &repository.tags {
            self.tag(&repository.name, tag, &named).await?;
        }
        if condemned.is_empty() {
            return Ok(());
        }
        // Listed after the last of the marks was written.
        let manifests = self.catalog.manifests_of(&repository.name).await.map_err(catalog_error)?;
        let named = self.named(&manifests, &mut read).await?;
        let promised = self.promised(&repository.name).await?;
        for condemned in condemned {
            self.remove(condemned, &named, &promised).await?;
        }
        Ok(())
    }

    /// Removes a tag whose manifest is absent: a deletion was cut short before its tags went, or a tag
    /// was set meanwhile. Whoever publishes the manifest again writes its tag anew, after that.
    async fn tag(&self, repository: &str, tag: &str, named: &Names) -> Result<()> {
        let entry = self.catalog.tag_entry(repository, tag).await.map_err(catalog_error)?;
        if let Some(record) = &entry.record {
            if named.manifests.contains(&record.digest) {
                return Ok(());
            }
            let manifest = self.catalog.manifest_entry(repository, &record.digest).await;
            if manifest.map_err(catalog_error)?.record.is_some() {
                return Ok(());
            }
        }
        self.catalog.drop_tag(&entry).await.map_err(catalog_error)?;
        Ok(())
    }

    /// Makes a condemned record absent, unless it has been named since.
    async fn remove(
        &mut self,
        condemned: Condemned,
        named: &Names,
        promised: &HashSet<Digest>,
    ) -> Result<()> {
        match condemned {
            Condemned::Blob(digest, _)
                if named.blobs.contains(&digest) || promised.contains(&digest) =>
            {
                self.stats.condemned += 1;
            }
            Condemned::Detail(digest, _) if named.manifests.contains(&digest) => {
                self.stats.condemned += 1;
            }
            Condemned::Blob(_, entry) => {
                let swapped = self.catalog.swap_blob(&entry, None, None).await;
                self.stats.freed_blobs += u64::from(swapped.map_err(catalog_error)?.is_some());
            }
            Condemned::Detail(_, entry) => {
                self.catalog.drop_record(&entry).await.map_err(catalog_error)?;
            }
        }
        Ok(())
    }

    /// Marks an unnamed blob; gives the record that then has to be unchanged. The trace of one that is
    /// absent goes when it is old.
    async fn condemn(
        &mut self,
        repository: &str,
        key: &Key,
        digest: &Digest,
    ) -> Result<Option<Condemned>> {
        let entry = self.catalog.blob_entry(repository, digest).await.map_err(catalog_error)?;
        let Some(record) = entry.record.clone() else {
            self.stats.blobs -= 1;
            if !self.settings.dry_run {
                self.catalog.drop_trace(&entry, self.now).await.map_err(catalog_error)?;
            }
            return Ok(None);
        };
        if self.settings.dry_run {
            self.stats.freed_blobs += 1;
            self.gone.insert(key.clone());
            return Ok(None);
        }
        let marked = match entry.mark {
            Some(Mark::Condemned) => Some(entry),
            _ => {
                let mark = Some(Mark::Condemned);
                self.catalog.swap_blob(&entry, Some(record), mark).await.map_err(catalog_error)?
            }
        };
        Ok(marked.map(|entry| Condemned::Blob(digest.clone(), entry)))
    }

    /// Marks a detail whose manifest is absent.
    async fn condemn_detail(
        &mut self,
        repository: &str,
        digest: &Digest,
    ) -> Result<Option<Condemned>> {
        let entry = self.catalog.detail_entry(repository, digest).await.map_err(catalog_error)?;
        let Some(detail) = entry.record.clone() else {
            self.catalog.drop_record(&entry).await.map_err(catalog_error)?;
            return Ok(None);
        };
        let marked = match entry.mark {
            Some(Mark::Condemned) => Some(entry),
            _ => {
                let swapped = self.catalog.swap_detail(&entry, detail, Some(Mark::Condemned)).await;
                swapped.map_err(catalog_error)?
            }
        };
        Ok(marked.map(|entry| Condemned::Detail(digest.clone(), entry)))
    }

    /// What manifests name. Tentative ones count, but for those of dead writers, which go.
    async fn named(&mut self, manifests: &[Listed], read: &mut Read) -> Result<Names> {
        let mut named = Names::default();
        for listed in manifests {
            let known = read.get(&listed.key).filter(|(stamp, _)| *stamp == listed.stamp);
            let names = match known {
                Some((_, names)) => names.clone(),
                None => {
                    let names = self.names(listed).await?;
                    read.insert(listed.key.clone(), (listed.stamp, names.clone()));
                    names
                }
            };
            if let (Some(names), ListedKind::Manifest(digest)) = (names, &listed.kind) {
                named.blobs.extend(names);
                named.manifests.insert(digest.clone());
            }
        }
        Ok(named)
    }

    async fn names(&mut self, listed: &Listed) -> Result<Option<Vec<Digest>>> {
        let ListedKind::Manifest(digest) = &listed.kind else { return Ok(None) };
        let entry = self.catalog.manifest_entry(&listed.repository, digest).await;
        let entry = entry.map_err(catalog_error)?;
        if entry.mark == Some(Mark::Tentative) && self.settings.is_dead(self.now, listed.modified) {
            self.stats.freed_tentative += 1;
            if self.settings.dry_run {
                self.gone.insert(listed.key.clone());
                return Ok(None);
            }
            if self.catalog.drop_tentative(&entry).await.map_err(catalog_error)? {
                return Ok(None);
            }
        }
        if entry.record.is_none() && !self.settings.dry_run {
            // Absent, as records were written that are now removed.
            self.catalog.drop_record(&entry).await.map_err(catalog_error)?;
        }
        Ok(entry.record.map(|record| record.references))
    }

    async fn promised(&self, repository: &str) -> Result<HashSet<Digest>> {
        self.catalog.promised(repository).await.map_err(catalog_error)
    }
}
