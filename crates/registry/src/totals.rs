//! What a registry has done since it was opened: for metrics.

use std::sync::{Mutex, PoisonError};

use pagevault_api::gc::{GcResult, GcRewritten};
use pagevault_api::stats::{IngestStats, IngestTotals};
use pagevault_api::verify::{VerifyRun, VerifyState};

use crate::Registry;

/// What a registry has done since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Checkpoints that retention deleted.
    pub retention_deleted: u64,
    /// Pushes that were refused by a quota.
    pub quota_refused: u64,
    /// What collections came to.
    pub collected: Collected,
    /// What pushes of checkpoints came to.
    pub ingested: IngestTotals,
    /// What scrubs came to.
    pub scrubbed: Scrubbed,
}

/// What scrubs came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Scrubs that have ended, in whatever way.
    pub runs: u64,
    /// Stored bytes that they have read.
    pub read_bytes: u64,
    /// What the last one found damaged, and could not repair.
    pub damaged: u64,
}

/// A sum that many add to.
#[derive(Debug, Default)]
pub(crate) struct Sum<T>(Mutex<T>);

impl<T: Clone> Sum<T> {
    /// Adds to it.
    pub(crate) fn change(&self, add: impl FnOnce(&mut T)) {
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn now(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sum<IngestTotals> {
    /// Adds a checkpoint that was stored.
    pub(crate) fn add(&self, stored: &IngestStats) {
        self.change(|sum| {
            sum.checkpoints += 1;
            sum.stats += stored;
        });
    }
}

impl Sum<Scrubbed> {
    /// Adds a scrub that has ended.
    pub(crate) fn add(&self, run: &VerifyRun) {
        let damaged = run.damage.iter().filter(|damage| !damage.repaired).count() as u64;
        self.change(|sum| {
            sum.runs += 1;
            sum.read_bytes += run.read.bytes;
            if run.state == VerifyState::Done {
                sum.damaged = damaged;
            }
        });
    }
}

/// What collections came to, dry runs left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Collections that have ended, in whatever way.
    pub runs: u64,
    /// Bytes that they freed.
    pub freed_bytes: u64,
    /// Layers that were stored anew.
    pub rebased: GcRewritten,
    /// Objects of which little was used, and that was stored anew.
    pub repacked: GcRewritten,
}

impl Sum<Collected> {
    /// Adds a collection that has ended, with what it has done by then.
    pub(crate) fn add(&self, result: Option<&GcResult>) {
        self.change(|sum| {
            sum.runs += 1;
            if let Some(result) = result {
                sum.freed_bytes += result.freed_bytes;
                sum.rebased = plus(sum.rebased, result.rebased);
                sum.repacked = plus(sum.repacked, result.repacked);
            }
        });
    }
}

fn plus(a: GcRewritten, b: GcRewritten) -> GcRewritten {
    GcRewritten {
        number: a.number + b.number,
        written_bytes: a.written_bytes + b.written_bytes,
        frees_bytes: a.frees_bytes + b.frees_bytes,
    }
}

impl Registry {
    /// What was done since the registry was opened.
    pub fn totals(&self) -> Totals {
        Totals {
            retention_deleted: self.retention.deleted(),
            quota_refused: self.quotas.books.refused(),
            collected: self.collected.now(),
            ingested: self.ingested.now(),
            scrubbed: self.scrubbed.now(),
        }
    }
}
