//! What there is: repositories, tags, manifests, blobs, checkpoints.
//!
//! The truth is small objects in the object store (see FORMAT.md). A view in a local database
//! follows it and answers lists and filters; it can be deleted at any time. What is asked for by
//! name is read from the truth.

mod detail;
mod entry;
mod error;
mod growth;
mod keys;
mod list;
mod policies;
mod promise;
mod query;
mod record;
mod retained;
mod rows;
mod runs;
mod scan;
mod tags;
mod truth;
mod view;
mod workloads;

use std::path::Path;
use std::sync::Arc;

use pagevault_objects::{Key, ObjectStore};

pub use entry::Entry;
pub use error::CatalogError;
pub use policies::Policies;
pub use promise::Promise;
pub use query::{Counts, LineageEntry, Referrer};
pub use record::{
    BlobLocation, BlobRecord, CheckpointRecord, ManifestRecord, Mark, NewManifest, TagRecord,
};
pub use retained::{NamespaceUse, RetainedCheckpoint};
pub use runs::RunKind;
pub use scan::{Listed, ListedKind};

use view::View;

type Result<T, E = CatalogError> = std::result::Result<T, E>;

/// The catalog of one store.
#[derive(Debug)]
pub struct Catalog {
    store: Arc<dyn ObjectStore>,
    view: View,
}

impl Catalog {
    /// Opens the catalog; its view is kept in `folder`. A view that is missing, damaged or of
    /// another version is made anew from the truth; one that a crash left behind is brought up to
    /// date.
    pub async fn open(store: Arc<dyn ObjectStore>, folder: &Path) -> Result<Self> {
        let (view, fresh) = View::open(folder.join("view.sqlite")).await?;
        let catalog = Self { store, view };
        if fresh {
            catalog.rebuild().await?;
        } else {
            catalog.catch_up().await?;
        }
        Ok(catalog)
    }

    /// Opens the catalog with a view in memory, made from the truth: for stores that are small, and for
    /// tests. Needs no runtime.
    pub async fn open_in_memory(store: Arc<dyn ObjectStore>) -> Result<Self> {
        let catalog = Self::without_view(store).await?;
        catalog.rebuild().await?;
        Ok(catalog)
    }

    /// Opens the catalog for those who ask by name only: its lists are empty.
    pub async fn without_view(store: Arc<dyn ObjectStore>) -> Result<Self> {
        Ok(Self { store, view: View::in_memory()? })
    }

    /// Fills an empty view from the truth.
    async fn rebuild(&self) -> Result<()> {
        let mut after: Option<Key> = None;
        loop {
            let page = self.store.list(keys::ROOT, after.as_ref(), 1000).await?;
            for object in &page.objects {
                self.follow(&object.key, None).await?;
            }
            after = page.objects.last().map(|object| object.key.clone());
            if !page.more {
                return self.view.complete().await;
            }
        }
    }

    /// Reads again what was being written when the process ended.
    async fn catch_up(&self) -> Result<()> {
        for (intent, key) in self.view.intents().await? {
            self.follow(&Key::new(key)?, Some(intent)).await?;
        }
        Ok(())
    }

    /// Reads a record at the start. One that cannot be read is left out of lists; it must not keep
    /// all others from being served.
    async fn follow(&self, key: &Key, intent: Option<view::Intent>) -> Result<()> {
        match self.refresh(key, intent).await {
            Err(error @ CatalogError::Corrupt { .. }) => {
                tracing::error!(%error, "a record is left out of lists");
                Ok(())
            }
            refreshed => refreshed,
        }
    }
}
