//! What became of work that goes on by itself: collections, runs of retention, scrubs.
//!
//! Each run that has ended is an object of its own, so that nobody has to take turns to write. They
//! are for people to look at: one that cannot be read is left out.

use bytes::Bytes;
use pagevault_objects::{Key, Precondition};

use crate::{Catalog, Result};

/// All runs are below this.
const ROOT: &str = "runs/";

/// Runs of each kind that are kept.
const KEPT: usize = 100;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// Collections.
    Collection,
    /// Runs of retention.
    Retention,
    /// Scrubs.
    Scrub,
}

impl RunKind {
    fn prefix(self) -> String {
        let kind = match self {
            Self::Collection => "collection",
            Self::Retention => "retention",
            Self::Scrub => "scrub",
        };
        format!("{ROOT}{kind}/")
    }

    /// By number, so that a list has them in their order.
    fn key(self, id: u64) -> Result<Key> {
        Ok(Key::new(format!("{}{id:020}", self.prefix()))?)
    }
}

impl Catalog {
    /// Keeps what became of a run, and lets the oldest go.
    pub async fn keep_run(&self, kind: RunKind, id: u64, run: Bytes) -> Result<()> {
        self.store.put(&kind.key(id)?, run, Precondition::None).await?;
        let kept = self.run_keys(kind).await?;
        for old in kept.iter().rev().skip(KEPT) {
            self.store.delete(old).await?;
        }
        Ok(())
    }

    /// The newest runs that are kept, newest first, at most so many.
    pub async fn kept_runs(&self, kind: RunKind, limit: usize) -> Result<Vec<Bytes>> {
        let mut runs = Vec::new();
        for key in self.run_keys(kind).await?.iter().rev().take(limit) {
            match self.store.get(key).await {
                Ok(run) => runs.push(run.bytes),
                // No server is to stay down for that.
                Err(error) => tracing::warn!(%error, "a run is left out"),
            }
        }
        Ok(runs)
    }

    async fn run_keys(&self, kind: RunKind) -> Result<Vec<Key>> {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list(&kind.prefix(), after.as_ref(), 1000).await?;
            keys.extend(page.objects.into_iter().map(|object| object.key));
            after = keys.last().cloned();
            if !page.more {
                return Ok(keys);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pagevault_objects::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn the_last_ones_are_kept_newest_first() {
        let store = MemoryStore::default();
        let catalog = Catalog::open_in_memory(Arc::new(store.clone())).await.unwrap();
        for id in 1..=KEPT as u64 + 3 {
            let run = Bytes::from(id.to_string());
            catalog.keep_run(RunKind::Collection, id, run).await.unwrap();
        }
        catalog.keep_run(RunKind::Scrub, 7, Bytes::from_static(b"s")).await.unwrap();
        let newest = catalog.kept_runs(RunKind::Collection, 2).await.unwrap();
        assert_eq!(newest, ["103", "102"]);
        assert_eq!(catalog.kept_runs(RunKind::Collection, 999).await.unwrap().len(), KEPT);
        assert_eq!(catalog.kept_runs(RunKind::Scrub, 9).await.unwrap(), ["s"]);
        assert!(catalog.kept_runs(RunKind::Retention, 9).await.unwrap().is_empty());
    }
}
