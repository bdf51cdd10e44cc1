//! Which recipes the records of all repositories name.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use pagevault_api::Digest;
use pagevault_catalog::{
    BlobLocation, BlobRecord, Catalog, Entry, Listed, ListedKind, ManifestRecord,
};
use pagevault_objects::{Key, Stamp};
use pagevault_pagestore::{Names, Phase, Roots, RootsError, Watch};

use super::CollectSettings;

/// Records of one list.
const PAGE: usize = 1000;

/// Reads the records; a second time only those that were written since.
#[derive(Debug)]
pub(crate) struct RecordRoots<'a> {
    catalog: &'a Catalog,
    watch: &'a Watch,
    /// Records that count as absent: a dry run acts as if they were.
    without: &'a HashSet<Key>,
    settings: CollectSettings,
    /// By the store's clock, before anything was read.
    now: u64,
    read: HashMap<Key, Read>,
}

/// A record that was read.
#[derive(Debug)]
struct Read {
    stamp: Stamp,
    /// Recipes that it names.
    names: Vec<String>,
    /// It is a manifest that everybody sees, so that they were there.
    certain: bool,
    /// It was there when the records were listed last.
    listed: bool,
}

impl<'a> RecordRoots<'a> {
    pub(crate) fn new(
        catalog: &'a Catalog,
        watch: &'a Watch,
        without: &'a HashSet<Key>,
        settings: CollectSettings,
        now: u64,
    ) -> Self {
        Self { catalog, watch, without, settings, now, read: HashMap::new() }
    }

    /// Takes back what a writer that has died was about to put in the place of a record.
    async fn withdraw(
        &self,
        repository: &str,
        digest: &Digest,
        entry: Entry<BlobRecord>,
    ) -> Result<Entry<BlobRecord>, RootsError> {
        if self.settings.dry_run {
            return Ok(entry.without_next());
        }
        match self.catalog.swap_blob(&entry, entry.record.clone(), entry.mark).await? {
            Some(entry) => Ok(entry),
            None => Ok(self.catalog.blob_entry(repository, digest).await?),
        }
    }

    /// Reads what a record names now.
    async fn read(&self, listed: &Listed) -> Result<Read, RootsError> {
        let repository = &listed.repository;
        let mut certain = false;
        let names = match &listed.kind {
            ListedKind::Tag(_) | ListedKind::Detail(_) => Vec::new(),
            ListedKind::Blob(digest) => {
                let mut entry = self.catalog.blob_entry(repository, digest).await?;
                if entry.next.is_some() && self.settings.is_dead(self.now, listed.modified) {
                    entry = self.withdraw(repository, digest, entry).await?;
                }
                let named = entry.record.iter().chain(&entry.next);
                named.filter_map(|blob| recipe(&blob.location)).collect()
            }
            // A tentative one counts like any other: its writer may have checked what it names.
            ListedKind::Manifest(digest) => {
                let entry = self.catalog.manifest_entry(repository, digest).await?;
                certain = entry.mark.is_none();
                entry.record.as_ref().map(recipes).unwrap_or_default()
            }
        };
        Ok(Read { stamp: listed.stamp, names, certain, listed: true })
    }
}

#[async_trait]
impl Roots for RecordRoots<'_> {
    async fn visit(&mut self, name: &mut Names<'_>) -> Result<(), RootsError> {
        self.watch.begin(Phase::Records, None);
        self.read.values_mut().for_each(|read| read.listed = false);
        let mut after: Option<Key> = None;
        loop {
            let (listed, more) = self.catalog.records(after.as_ref(), PAGE).await?;
            for record in &listed {
                self.watch.step()?;
                if self.without.contains(&record.key) {
                    continue;
                }
                let known = self.read.get(&record.key);
                if known.is_none_or(|read| read.stamp != record.stamp) {
                    let read = self.read(record).await?;
                    self.read.insert(record.key.clone(), read);
                }
                if let Some(read) = self.read.get_mut(&record.key) {
                    read.listed = true;
                    read.names.iter().for_each(|recipe| name(recipe));
                }
            }
            after = listed.into_iter().next_back().map(|record| record.key);
            if !more {
                return Ok(());
            }
        }
    }

    fn certain(&self) -> Vec<&str> {
        let manifests = self.read.values().filter(|read| read.certain && read.listed);
        manifests.flat_map(|read| &read.names).map(String::as_str).collect()
    }
}

/// The recipes that a manifest names.
pub(crate) fn recipes(manifest: &ManifestRecord) -> Vec<String> {
    let layer = manifest.checkpoint.as_ref().and_then(|checkpoint| checkpoint.recipe.clone());
    let mut all: Vec<String> = manifest.blobs.values().filter_map(recipe).chain(layer).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The recipe that a blob is in, if it is not in its record.
pub(crate) fn recipe(location: &BlobLocation) -> Option<String> {
    match location {
        BlobLocation::Inline(_) => None,
        BlobLocation::Recipe(id) => Some(id.clone()),
    }
}
