//! How many blocks a writer may read in the hope of sharing.
//!
//! Memory may have most pages in common with what is stored, but in runs too short to share (a redis
//! with the same keys is so): then each hook that is found costs the reading of a block and leads
//! to nothing. Finds earn further tries; without any, one segment in eight gets one.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a try costs; a segment earns one.
const TRY: u32 = 8;
/// What a writer begins with.
const FIRST: u32 = 8 * TRY;
/// Most that can be saved up.
const MOST: u32 = 32 * TRY;

/// Tries that are left to a writer.
#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Budget {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(FIRST))
    }

    /// A segment with hooks that are known came by.
    pub(super) fn segment(&self) {
        self.earn(1);
    }

    /// Takes a try, if one is left.
    pub(super) fn take(&self) -> bool {
        let taken = |left: u32| left.checked_sub(TRY);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// A try led to so many shared pages: storing them would have cost more than it did.
    pub(super) fn found(&self, pages: usize) {
        self.earn(TRY + pages as u32 / 2);
    }

    fn earn(&self, units: u32) {
        let earned = |left: u32| Some(left.saturating_add(units).min(MOST));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_earn_tries_and_failure_leaves_few() {
        let budget = Budget::new();
        let lost = (0..1000).filter(|_| {
            budget.segment();
            budget.take()
        });
        assert!((120..140).contains(&lost.count()));
        let won = (0..1000).filter(|_| {
            budget.segment();
            let taken = budget.take();
            if taken {
                budget.found(100);
            }
            taken
        });
        assert!(won.count() > 990);
    }
}
