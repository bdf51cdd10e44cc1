//! What is stored: lists, one checkpoint and what is in it, totals.

use pagevault_api::checkpoint::{Checkpoint, CheckpointDetail, CheckpointFilter, CheckpointOrder};
use pagevault_api::contents::{Environment, OpenFiles, ProcessList, RootfsChanges};
use pagevault_api::page::Page;
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::stats::{GrowthPoint, IndexStats, NamespaceStats, StoreStats};
use pagevault_api::workload::{Workload, WorkloadFilter};
use pagevault_catalog::{CheckpointRecord, ManifestRecord};

use crate::describe::{Detail, mask};
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::landed::undescribed;
use crate::{Registry, Result, blocking, catalog_error, names, store_error};

/// A checkpoint that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) manifest: ManifestRecord,
    pub(crate) checkpoint: CheckpointRecord,
}

impl Registry {
    /// Checkpoints in order; `cursor` is where the page before ended.
    pub async fn checkpoints(
        &self,
        filter: CheckpointFilter,
        order: CheckpointOrder,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Checkpoint>> {
        self.catalog.list_checkpoints(&filter, order, cursor, limit).await.map_err(catalog_error)
    }

    /// Workloads, that with the newest checkpoint first.
    pub async fn workloads(
        &self,
        filter: WorkloadFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Workload>> {
        self.catalog.list_workloads(&filter, cursor, limit).await.map_err(catalog_error)
    }

    /// Namespaces with their sums.
    pub async fn namespaces(&self) -> Result<Page<NamespaceStats>> {
        let items = self.catalog.namespaces().await.map_err(catalog_error)?;
        Ok(Page { items, next: None })
    }

    /// Running sums of the checkpoints that there are, by the time when they were taken.
    pub async fn growth(&self) -> Result<Page<GrowthPoint>> {
        let items = self.catalog.growth().await.map_err(catalog_error)?;
        Ok(Page { items, next: None })
    }

    /// One checkpoint with what is known of it.
    pub async fn checkpoint(&self, reference: &Reference) -> Result<CheckpointDetail> {
        let found = self.find(reference).await?;
        let detail = self.detail(reference, &found).await?;
        let (repository, digest) = (&reference.repository, &found.manifest.digest);
        let tags = self.catalog.tags_at(repository, digest).await.map_err(catalog_error)?;
        let pin = found.checkpoint.pin.clone();
        Ok(CheckpointDetail { tags, pin, ..detail.shown(found.summary(reference)) })
    }

    /// The processes of a checkpoint.
    pub async fn processes(&self, reference: &Reference) -> Result<ProcessList> {
        let found = self.find(reference).await?;
        Ok(ProcessList { items: self.detail(reference, &found).await?.processes })
    }

    /// The open files of a checkpoint, or of one of its processes.
    pub async fn open_files(&self, reference: &Reference, pid: Option<u32>) -> Result<OpenFiles> {
        let found = self.find(reference).await?;
        let mut files = self.detail(reference, &found).await?.files;
        if let Some(pid) = pid {
            files.items.retain(|file| file.pid == pid);
            files.connections.retain(|connection| connection.processes.contains(&pid));
        }
        Ok(files)
    }

    /// What a checkpoint's container was started with. What looks like a secret is kept back.
    pub async fn environment(&self, reference: &Reference) -> Result<Environment> {
        let found = self.find(reference).await?;
        let detail = self.detail(reference, &found).await?;
        let mut items: Vec<_> = detail.environment.iter().map(|variable| mask(variable)).collect();
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Environment { items })
    }

    /// What a checkpoint's container changed in its root file system.
    pub async fn rootfs(&self, reference: &Reference) -> Result<RootfsChanges> {
        let found = self.find(reference).await?;
        Ok(self.detail(reference, &found).await?.rootfs)
    }

    /// The checkpoint that a reference names.
    pub(crate) async fn find(&self, reference: &Reference) -> Result<Found> {
        names::check(&reference.repository)?;
        let found = self.catalog.resolve(&reference.repository, &reference.selector).await;
        let manifest = found.map_err(catalog_error)?.ok_or_else(|| {
            RegistryError::new(Kind::ManifestUnknown, format!("no checkpoint {reference}"))
        })?;
        match Found::of(manifest) {
            Ok(found) => Ok(found),
            Err(manifest) => Err(self.why_unknown(reference, &manifest).await),
        }
    }

    /// What is known of a checkpoint in detail. Large ones are read off the async threads.
    pub(crate) async fn detail(&self, reference: &Reference, found: &Found) -> Result<Detail> {
        let read = self.catalog.find_detail(&reference.repository, &found.manifest.digest).await;
        let Some(bytes) = read.map_err(catalog_error)? else {
            let layer = undescribed(&reference.repository, &found.checkpoint);
            return Err(self.look_for(reference, layer).await);
        };
        blocking(move || Detail::from_bytes(&bytes)).await
    }

    /// Totals.
    pub async fn stats(&self) -> Result<StoreStats> {
        let counts = self.catalog.stats().await.map_err(catalog_error)?;
        let walk = async { self.pages.stored_bytes().await.map_err(store_error) };
        let stored_bytes = self.stored.get(walk).await?;
        let index = self.pages.index_stats();
        Ok(StoreStats {
            logical_bytes: counts.logical_bytes,
            stored_bytes,
            checkpoints: counts.checkpoints,
            repositories: counts.repositories,
            index: IndexStats { entries: index.entries, memory_bytes: index.memory_bytes },
            ingested: self.totals().ingested,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

impl Found {
    /// A manifest that is known to be a checkpoint's; else the manifest.
    pub(crate) fn of(
        mut manifest: ManifestRecord,
    ) -> std::result::Result<Self, Box<ManifestRecord>> {
        match manifest.checkpoint.take() {
            Some(checkpoint) => Ok(Self { manifest, checkpoint }),
            None => Err(Box::new(manifest)),
        }
    }

    /// What lists show of it, under the name that was asked for.
    pub(crate) fn summary(&self, reference: &Reference) -> Checkpoint {
        let pinned = self.checkpoint.pin.is_some();
        let reference = match reference.selector {
            Selector::Tag(_) => reference.clone(),
            Selector::Digest(_) => self.checkpoint.summary.reference.clone(),
        };
        Checkpoint { reference, pinned, ..self.checkpoint.summary.clone() }
    }
}
