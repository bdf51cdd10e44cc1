//! What a collection did, as values, and how far it is.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::Result;
use crate::error::PageStoreError;
use crate::rebase::Rebase;

/// How many of something, and how large they are together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number.
    pub number: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Tally {
    pub(super) fn add(&mut self, bytes: u64) {
        self.number += 1;
        self.bytes += bytes;
    }
}

/// What a collection found and did. After a dry run `freed` is what would go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectStats {
    /// Recipes that were looked at.
    pub recipes: Tally,
    /// Data objects that were looked at.
    pub data: Tally,
    /// Recipes that were removed.
    pub freed_recipes: Tally,
    /// Data objects that were removed.
    pub freed_data: Tally,
    /// Recipes that no record names and a writer is at work on, or may be.
    pub unfinished: Tally,
    /// Recipes that no record names but that deltas stand on, with the bytes of the data objects
    /// that only such recipes name: what deleting their checkpoints has not freed.
    pub buried: Tally,
    /// The largest of those.
    pub largest_buried: Vec<Buried>,
    /// Layers that are worth storing anew, so that buried recipes can go.
    pub rebases: Vec<Rebase>,
    /// Recipes and data objects that are condemned and were named again meanwhile.
    pub condemned: u64,
    /// Time that looking took, in microseconds.
    pub mark_micros: u64,
    /// Time that removing took, in microseconds.
    pub sweep_micros: u64,
}

/// A recipe that is kept only because others stand on it. Writing those anew, without it, frees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buried {
    /// The recipe.
    pub recipe: String,
    /// Bytes that would go with it.
    pub bytes: u64,
    /// Recipes that stand on it directly.
    pub above: u64,
}

/// What a collection is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing yet.
    #[default]
    Begin = 0,
    /// Looking through records.
    Records = 1,
    /// Looking through recipes.
    Recipes = 2,
    /// Looking through data objects.
    Data = 3,
    /// Condemning what nothing names.
    Condemn = 4,
    /// Removing it.
    Remove = 5,
    /// Storing layers anew, without what only they need of deleted ones.
    Rebase = 6,
    /// Storing anew what is still used of objects that are mostly not.
    Repack = 7,
}

impl Phase {
    const ALL: [Self; 8] = [
        Self::Begin,
        Self::Records,
        Self::Recipes,
        Self::Data,
        Self::Condemn,
        Self::Remove,
        Self::Rebase,
        Self::Repack,
    ];
}

/// How far a collection is; also the way to end it early. Shared with whoever looks on.
#[derive(Debug, Default)]
pub struct Watch {
    phase: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

/// A look at a [`Watch`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CollectProgress {
    /// What is being done.
    pub phase: Phase,
    /// Steps of it that are done.
    pub done: u64,
    /// All its steps, where that is known.
    pub total: Option<u64>,
}

impl Watch {
    /// Ends the collection at its next step: what it has condemned stays so, and goes next time.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// How far it is.
    pub fn progress(&self) -> CollectProgress {
        let phase = usize::from(self.phase.load(Relaxed));
        CollectProgress {
            phase: Phase::ALL.get(phase).copied().unwrap_or_default(),
            done: self.done.load(Relaxed),
            total: Some(self.total.load(Relaxed)).filter(|total| *total > 0),
        }
    }

    /// Says what is done next.
    pub fn begin(&self, phase: Phase, total: Option<u64>) {
        self.phase.store(phase as u8, Relaxed);
        self.done.store(0, Relaxed);
        self.total.store(total.unwrap_or(0), Relaxed);
    }

    /// Counts a step; an error once the collection is to end.
    pub fn step(&self) -> Result<()> {
        self.done.fetch_add(1, Relaxed);
        self.check()
    }

    /// An error once the collection is to end.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Relaxed) { Err(PageStoreError::Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_seen_and_a_cancelled_run_ends() {
        let watch = Watch::default();
        watch.begin(Phase::Remove, Some(3));
        watch.step().unwrap();
        let expected = CollectProgress { phase: Phase::Remove, done: 1, total: Some(3) };
        assert_eq!(watch.progress(), expected);
        watch.cancel();
        assert!(matches!(watch.step(), Err(PageStoreError::Cancelled)));
    }
}
