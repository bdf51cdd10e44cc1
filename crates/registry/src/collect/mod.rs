//! Collection: what nothing needs any more is removed, while pushes and pulls go on.
//!
//! One run at a time in a process; several processes may each have one. What is promised and why it
//! holds is in the page store's FORMAT.md.

mod engine;
mod explain;
mod records;
mod roots;
mod upkeep;

use std::sync::Arc;
use std::time::Instant;

use pagevault_api::event::EventKind;
use pagevault_api::gc::{GcBuried, GcCounts, GcKept, GcResult, GcRun, GcTrigger};
use pagevault_catalog::RunKind;
use pagevault_pagestore::{Rebase, Watch};
use tracing::Instrument as _;

use crate::ingest::micros;
use crate::{Registry, Result, store_error};
pub(crate) use engine::{CollectSettings, Collector, Outcome, RecordStats};
pub(crate) use roots::{recipe, recipes};
pub(crate) use upkeep::Vain;

/// Seconds after which a writer of which nothing has been heard is taken for dead.
const GRACE_SECONDS: u64 = 3600;

/// Bytes that are to be freed for each hundred that are written, for a layer to be worth storing anew.
const REBASE_GAIN: u64 = 125;

impl Registry {
    /// Starts a collection, which goes on by itself.
    pub fn start_collection(self: &Arc<Self>, dry_run: bool, trigger: GcTrigger) -> Result<GcRun> {
        let (run, watch) = self.runs.begin(dry_run, trigger)?;
        let registry = Arc::clone(self);
        let id = run.id;
        self.events.tell(EventKind::GcStarted { run: Box::new(run.clone()) });
        let collecting = async move {
            let outcome = registry.collect(id, dry_run, &watch).await;
            registry.quotas.books.changed();
            if let Ok(result) = &outcome {
                log(dry_run, result);
            }
            registry.runs.end(id, outcome);
            if let Ok(run) = registry.collection(id) {
                if !dry_run {
                    registry.collected.add(run.result.as_ref());
                }
                registry.keep_run(RunKind::Collection, &run).await;
                registry.events.tell(EventKind::GcFinished { run: Box::new(run) });
            }
        };
        // A trace of its own: it goes on when the request that asked for it has ended.
        let span = tracing::info_span!(parent: None, "collect", gc.id = id, gc.dry_run = dry_run);
        span.follows_from(tracing::Span::current());
        self.background.spawn(collecting.instrument(span));
        Ok(run)
    }

    /// The last collections, newest first; the current one with its progress.
    pub fn collections(&self) -> Vec<GcRun> {
        self.runs.all()
    }

    /// One of them.
    pub fn collection(&self, id: u64) -> Result<GcRun> {
        self.runs.one(id)
    }

    /// Asks a collection to end, if it has not.
    pub fn cancel_collection_run(&self, id: u64) -> Result<GcRun> {
        self.runs.cancel_one(id)
    }

    /// Asks the collection that is running to end.
    pub fn cancel_collection(&self) {
        self.runs.cancel();
    }

    async fn collect(&self, id: u64, dry_run: bool, watch: &Arc<Watch>) -> Result<GcResult> {
        let collector = Collector { pages: self.pages.clone(), catalog: Arc::clone(&self.catalog) };
        let alone_since = Some(self.opened_at);
        let settings = CollectSettings {
            dry_run,
            grace_seconds: GRACE_SECONDS,
            alone_since,
            rebase_gain: REBASE_GAIN,
        };
        let mut outcome = collector.run(settings, watch).await?;
        let rebases = std::mem::take(&mut outcome.pages.rebases);
        let mut result = result(outcome);
        self.runs.note(id, result.clone());
        self.upkeep(&collector, &rebases, dry_run, watch, &mut result).await;
        self.runs.note(id, result.clone());
        watch.check().map_err(store_error)?;
        Ok(result)
    }

    /// Writes anew what is worth it; a dry run says what that would come to.
    async fn upkeep(
        &self,
        collector: &Collector,
        rebases: &[Rebase],
        dry_run: bool,
        watch: &Arc<Watch>,
        result: &mut GcResult,
    ) {
        if dry_run {
            result.rebased = upkeep::expected(rebases);
            return;
        }
        let begun = Instant::now();
        let done = collector.upkeep(rebases, &self.vain, watch, true).await;
        (result.rebased, result.repacked) = (done.rebased, done.repacked);
        result.upkeep_micros = micros(begun.elapsed());
    }
}

fn result(outcome: Outcome) -> GcResult {
    let Outcome { records, pages, records_micros } = outcome;
    let freed = GcCounts {
        manifests: records.freed_tentative,
        blobs: records.freed_blobs,
        promises: records.freed_promises,
        recipes: pages.freed_recipes.number,
        data_objects: pages.freed_data.number,
    };
    let examined = GcCounts {
        manifests: records.manifests,
        blobs: records.blobs,
        promises: records.promises,
        recipes: pages.recipes.number,
        data_objects: pages.data.number,
    };
    let buried = pages.largest_buried.into_iter();
    let kept = GcKept {
        unfinished: pages.unfinished.number,
        condemned: pages.condemned + records.condemned,
        buried: pages.buried.number,
        buried_bytes: pages.buried.bytes,
        largest_buried: buried
            .map(|b| GcBuried { recipe: b.recipe, bytes: b.bytes, above: b.above })
            .collect(),
    };
    GcResult {
        freed_bytes: pages.freed_recipes.bytes + pages.freed_data.bytes,
        freed,
        examined,
        kept,
        records_micros,
        mark_micros: pages.mark_micros,
        sweep_micros: pages.sweep_micros,
        ..GcResult::default()
    }
}

fn log(dry_run: bool, result: &GcResult) {
    tracing::info!(
        gc.dry_run = dry_run,
        gc.freed_bytes = result.freed_bytes,
        gc.recipes = result.freed.recipes,
        gc.data_objects = result.freed.data_objects,
        gc.blobs = result.freed.blobs,
        gc.rebased = result.rebased.number,
        gc.repacked = result.repacked.number,
        gc.rewritten_bytes = result.rebased.written_bytes + result.repacked.written_bytes,
        "collected what nothing needs"
    );
}

#[cfg(test)]
mod tests;
