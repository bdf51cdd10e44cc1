//! One collection, over all levels: records, recipes, data objects.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use pagevault_catalog::Catalog;
use pagevault_pagestore::{CollectOptions, CollectStats, PageStore, Watch};
use tracing::Instrument as _;

use super::records::Sweep;
use super::roots::RecordRoots;
use crate::ingest::micros;
use crate::{Result, store_error};

/// How to collect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CollectSettings {
    /// Only say what would go.
    pub(crate) dry_run: bool,
    /// Seconds after which a writer that has not been heard of is taken for dead.
    pub(crate) grace_seconds: u64,
    /// Since when nobody but this process writes to the store, by the store's clock: whatever was
    /// begun before that has no writer any more.
    pub(crate) alone_since: Option<u64>,
    /// Bytes that are to be freed for each hundred that are written, for a layer to be worth storing
    /// anew.
    pub(crate) rebase_gain: u64,
}

impl CollectSettings {
    /// Whether whoever wrote something that was to be written again has died.
    pub(super) fn is_dead(&self, now: u64, modified: u64) -> bool {
        now.saturating_sub(modified) >= self.grace_seconds
            || self.alone_since.is_some_and(|since| modified < since)
    }
}

/// What became of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RecordStats {
    pub(crate) manifests: u64,
    pub(crate) blobs: u64,
    pub(crate) promises: u64,
    pub(crate) freed_blobs: u64,
    pub(crate) freed_promises: u64,
    /// Manifests that were about to exist when their writer died.
    pub(crate) freed_tentative: u64,
    /// Blobs that were named again after they had been condemned.
    pub(crate) condemned: u64,
}

/// What a collection did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) records: RecordStats,
    pub(crate) pages: CollectStats,
    /// Time that records took, in microseconds.
    pub(crate) records_micros: u64,
}

/// Collects. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    pub(crate) pages: PageStore,
    pub(crate) catalog: Arc<Catalog>,
}

impl Collector {
    /// Collects once. An error ends it where it is; nothing has to be undone.
    pub(crate) async fn run(&self, settings: CollectSettings, watch: &Watch) -> Result<Outcome> {
        let begun = Instant::now();
        let sweep = Sweep::run(&self.catalog, settings, watch);
        let sweep = sweep.instrument(tracing::info_span!("records")).await?;
        let (records, gone, now): (_, HashSet<_>, _) = (sweep.stats, sweep.gone, sweep.now);
        let records_micros = micros(begun.elapsed());
        let mut roots = RecordRoots::new(&self.catalog, watch, &gone, settings, now);
        let options = CollectOptions {
            dry_run: settings.dry_run,
            grace_seconds: settings.grace_seconds,
            rebase_gain: settings.rebase_gain,
        };
        let pages = self.pages.collect(&mut roots, options, watch);
        let pages = pages.instrument(tracing::info_span!("objects")).await.map_err(store_error)?;
        Ok(Outcome { records, pages, records_micros })
    }
}
