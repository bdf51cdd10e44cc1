//! Limits: of a group of checkpoints the oldest go until the rest fits.

use std::collections::BTreeMap;

use pagevault_api::retention::Limits;
use pagevault_pagestore::Counted;

use super::decide::{Candidate, Group, Limit, Reason};

/// What has been counted of a group.
struct Total<'c, 's> {
    count: u64,
    logical: u64,
    stored: u64,
    counted: &'c mut Counted<'s>,
}

impl Total<'_, '_> {
    fn add(&mut self, checkpoint: &Candidate) {
        self.count += 1;
        self.logical = self.logical.saturating_add(checkpoint.logical_bytes);
        for root in &checkpoint.roots {
            self.stored += self.counted.add(*root);
        }
    }

    fn exceeds(&self, limits: &Limits) -> Option<Limit> {
        let over = |max: Option<u64>, now: u64| max.is_some_and(|max| now > max);
        if over(limits.max_count.map(u64::from), self.count) {
            return Some(Limit::Count);
        }
        if over(limits.max_logical_size, self.logical) {
            return Some(Limit::LogicalSize);
        }
        over(limits.max_stored_size, self.stored).then_some(Limit::StoredSize)
    }
}

/// Applies limits to each group of checkpoints. `left` has those that are there, newest first, and
/// loses those that go; `gone` is told which and why.
pub(super) fn apply<K: Ord>(
    limits: &Limits,
    group: Group,
    checkpoints: &[Candidate],
    left: &mut Vec<usize>,
    key: impl Fn(&Candidate) -> K,
    counted: &mut Counted<'_>,
    mut gone: impl FnMut(usize, Reason),
) {
    if limits.is_none() {
        return;
    }
    let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for number in left.iter() {
        groups.entry(key(&checkpoints[*number])).or_default().push(*number);
    }
    let mut out = Vec::new();
    for members in groups.values() {
        counted.reset();
        let mut total = Total { count: 0, logical: 0, stored: 0, counted: &mut *counted };
        // Pinned ones stay anyway, so what the others have is what these leave.
        let (pinned, others): (Vec<_>, Vec<_>) =
            members.iter().copied().partition(|number| checkpoints[*number].pinned);
        pinned.iter().for_each(|number| total.add(&checkpoints[*number]));
        let mut exceeded = None;
        for number in others {
            if exceeded.is_none() {
                total.add(&checkpoints[number]);
                exceeded = total.exceeds(limits);
            }
            if let Some(limit) = exceeded {
                gone(number, Reason::Exceeds(group, limit));
                out.push(number);
            }
        }
    }
    out.sort_unstable();
    left.retain(|number| out.binary_search(number).is_err());
}
