//! What is stored: lists, one checkpoint, totals.

use pagevault_api::checkpoint::{Checkpoint, CheckpointDetail, CheckpointFilter};
use pagevault_api::page::Page;
use pagevault_api::reference::Reference;
use pagevault_api::stats::StoreStats;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::{Registry, Result, catalog_error, names, store_error};

impl Registry {
    /// Checkpoints, newest first.
    pub async fn checkpoints(
        &self,
        filter: CheckpointFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Checkpoint>> {
        self.catalog.list_checkpoints(&filter, cursor, limit).await.map_err(catalog_error)
    }

    /// One checkpoint with all that is known of it.
    pub async fn checkpoint(&self, reference: &Reference) -> Result<CheckpointDetail> {
        names::check(&reference.repository)?;
        let found = self.catalog.resolve(&reference.repository, &reference.selector).await;
        let record = found.map_err(catalog_error)?.ok_or_else(|| {
            RegistryError::new(Kind::ManifestUnknown, format!("no checkpoint {reference}"))
        })?;
        let checkpoint = record.checkpoint.ok_or_else(|| {
            let message = format!("{reference} is an image, not a checkpoint");
            RegistryError::new(Kind::ManifestUnknown, message)
        })?;
        let mut detail = checkpoint.detail;
        detail.summary.reference = reference.clone();
        Ok(detail)
    }

    /// Totals.
    pub async fn stats(&self) -> Result<StoreStats> {
        let counts = self.catalog.stats().await.map_err(catalog_error)?;
        let stored_bytes = self.pages.stored_bytes().await.map_err(store_error)?;
        Ok(StoreStats {
            logical_bytes: counts.logical_bytes,
            stored_bytes,
            checkpoints: counts.checkpoints,
            repositories: counts.repositories,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}
