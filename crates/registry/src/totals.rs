//! What a registry has done since it was opened: for metrics.

use std::sync::{Mutex, PoisonError};

use pagevault_api::gc::{GcResult, GcRewritten};

use crate::Registry;

/// What a registry has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Checkpoints that retention deleted.
    pub retention_deleted: u64,
    /// Pushes that were refused by a quota.
    pub quota_refused: u64,
    /// What collections came to.
    pub collected: Collected,
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

/// Where collections are added up.
#[derive(Debug, Default)]
pub(crate) struct CollectedSum(Mutex<Collected>);

impl CollectedSum {
    /// Adds a collection that has ended, with what it has done by then.
    pub(crate) fn add(&self, result: Option<&GcResult>) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sum.runs += 1;
        if let Some(result) = result {
            sum.freed_bytes += result.freed_bytes;
            sum.rebased = plus(sum.rebased, result.rebased);
            sum.repacked = plus(sum.repacked, result.repacked);
        }
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
        let collected = *self.collected.0.lock().unwrap_or_else(PoisonError::into_inner);
        Totals {
            retention_deleted: self.retention.deleted(),
            quota_refused: self.quotas.books.refused(),
            collected,
        }
    }
}
