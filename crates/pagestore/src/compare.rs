//! Two layers, compared page by page at the addresses that their pages had.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::read::LayerReader;
use crate::recipe::Space;
use crate::{PAGE, Result};

/// Pages that are read at once from each of the two.
const WINDOW: u64 = 256;

/// Whose memory it is: the process, and the segment if it is shared memory.
pub type Owner = (u32, Option<u64>);

/// What became of pages that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComparedRun {
    /// Address of the first.
    pub address: u64,
    /// Number of pages.
    pub pages: u64,
    /// What became of them.
    pub state: PageState,
}

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageState {
    /// Equal in both.
    Same,
    /// In both, and not equal.
    Changed,
    /// Not in the other.
    Added,
    /// Only in the other.
    Removed,
}

/// Where a run of pages is in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Placed {
    address: u64,
    pages: u64,
    /// Offset of the first in the layer.
    at: u64,
}

impl LayerReader {
    /// The memories in the layer.
    pub fn owners(&self) -> Vec<Owner> {
        self.memories().into_keys().collect()
    }

    /// Compares the memories of both: by address, for each process and each segment of shared memory.
    pub async fn compare(&self, other: &Self) -> Result<BTreeMap<Owner, Vec<ComparedRun>>> {
        let (ours, mut theirs) = (self.memories(), other.memories());
        let mut all = BTreeMap::new();
        for (owner, runs) in ours {
            let other_runs = theirs.remove(&owner).unwrap_or_default();
            let mut compared = Compared::default();
            for step in merge(&runs, &other_runs) {
                match step {
                    Step::Only(run, state) => compared.push(run.address, run.pages, state),
                    Step::Both(a, b) => self.compare_run(other, a, b, &mut compared).await?,
                }
            }
            all.insert(owner, compared.0);
        }
        for (owner, runs) in theirs {
            let mut compared = Compared::default();
            runs.iter().for_each(|r| compared.push(r.address, r.pages, PageState::Removed));
            all.insert(owner, compared.0);
        }
        Ok(all)
    }

    /// The offset in the layer of memory at an address, and how many bytes follow it without a gap.
    pub fn memory_at(&self, owner: Owner, address: u64) -> Option<Range<u64>> {
        let runs = self.memories().remove(&owner)?;
        let after = runs.partition_point(|run| run.address <= address);
        let first = runs.get(after.checked_sub(1)?)?;
        let (within, page) = (address - first.address, PAGE as u64);
        if within >= first.pages * page {
            return None;
        }
        let (mut end, mut next) =
            (first.at + first.pages * page, first.address + first.pages * page);
        for run in runs.get(after..)? {
            if run.address != next || run.at != end {
                break;
            }
            (end, next) = (run.at + run.pages * page, run.address + run.pages * page);
        }
        Some(first.at + within..end)
    }

    async fn compare_run(
        &self,
        other: &Self,
        ours: Placed,
        theirs: Placed,
        compared: &mut Compared,
    ) -> Result<()> {
        let mut page = 0;
        while page < ours.pages {
            let pages = WINDOW.min(ours.pages - page);
            let window = |at: u64| {
                let start = at + page * PAGE as u64;
                start..start + pages * PAGE as u64
            };
            let (a, b) =
                futures_util::try_join!(self.read(window(ours.at)), other.read(window(theirs.at)))?;
            for (number, (a, b)) in a.chunks(PAGE).zip(b.chunks(PAGE)).enumerate() {
                let address = ours.address + (page + number as u64) * PAGE as u64;
                let state = if a == b { PageState::Same } else { PageState::Changed };
                compared.push(address, 1, state);
            }
            page += pages;
        }
        Ok(())
    }

    /// Pages by address, of each owner.
    fn memories(&self) -> BTreeMap<Owner, Vec<Placed>> {
        let extents = self.recipe().map(|recipe| recipe.extents.as_slice()).unwrap_or_default();
        let mut all: BTreeMap<Owner, Vec<Placed>> = BTreeMap::new();
        for extent in extents {
            let Some(Space { pid, shmem, runs, .. }) = &extent.space else { continue };
            let placed = all.entry((*pid, *shmem)).or_default();
            let (mut at, end) = (extent.offset, extent.offset.saturating_add(extent.bytes));
            for run in runs {
                let bytes = run.pages.saturating_mul(PAGE as u64);
                // A recipe is checked when it is read, but not against what its spaces say.
                if bytes > end.saturating_sub(at) || run.address.checked_add(bytes).is_none() {
                    break;
                }
                placed.push(Placed { address: run.address, pages: run.pages, at });
                at += bytes;
            }
        }
        all.values_mut().for_each(|runs| runs.sort_by_key(|run| run.address));
        all
    }
}

/// Runs, those that go on joined to the one before.
#[derive(Default)]
struct Compared(Vec<ComparedRun>);

impl Compared {
    fn push(&mut self, address: u64, pages: u64, state: PageState) {
        match self.0.last_mut() {
            Some(last)
                if last.state == state && last.address + last.pages * PAGE as u64 == address =>
            {
                last.pages += pages;
            }
            _ => self.0.push(ComparedRun { address, pages, state }),
        }
    }
}

/// A part of two memories that are gone through together.
enum Step {
    /// In one of the two.
    Only(Placed, PageState),
    /// At the same addresses in both.
    Both(Placed, Placed),
}

/// Goes through two sorted lists of runs by address.
fn merge(ours: &[Placed], theirs: &[Placed]) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut ours, mut theirs) = (ours.iter().copied(), theirs.iter().copied());
    let (mut a, mut b) = (ours.next(), theirs.next());
    loop {
        match (a, b) {
            (None, None) => return steps,
            (Some(run), None) => {
                steps.push(Step::Only(run, PageState::Added));
                a = ours.next();
            }
            (None, Some(run)) => {
                steps.push(Step::Only(run, PageState::Removed));
                b = theirs.next();
            }
            (Some(x), Some(y)) if x.address < y.address => {
                let (head, rest) = x.split((y.address - x.address).div_ceil(PAGE as u64));
                steps.push(Step::Only(head, PageState::Added));
                a = rest.or_else(|| ours.next());
            }
            (Some(x), Some(y)) if y.address < x.address => {
                let (head, rest) = y.split((x.address - y.address).div_ceil(PAGE as u64));
                steps.push(Step::Only(head, PageState::Removed));
                b = rest.or_else(|| theirs.next());
            }
            (Some(x), Some(y)) => {
                let pages = x.pages.min(y.pages);
                let ((x, x_rest), (y, y_rest)) = (x.split(pages), y.split(pages));
                steps.push(Step::Both(x, y));
                a = x_rest.or_else(|| ours.next());
                b = y_rest.or_else(|| theirs.next());
            }
        }
    }
}

impl Placed {
    /// The first pages, and the others if there are any.
    fn split(self, pages: u64) -> (Self, Option<Self>) {
        if pages >= self.pages {
            return (self, None);
        }
        let bytes = pages * PAGE as u64;
        let rest =
            Self { address: self.address + bytes, pages: self.pages - pages, at: self.at + bytes };
        (Self { pages, ..self }, Some(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: u64 = PAGE as u64;

    fn placed(runs: &[(u64, u64)]) -> Vec<Placed> {
        let run = |&(page, pages): &(u64, u64)| Placed { address: page * P, pages, at: page * P };
        runs.iter().map(run).collect()
    }

    /// First page, number, and what became of them; those in both are `Same`.
    fn merged(ours: &[(u64, u64)], theirs: &[(u64, u64)]) -> Vec<(u64, u64, PageState)> {
        let mut all = Compared::default();
        for step in merge(&placed(ours), &placed(theirs)) {
            match step {
                Step::Only(run, state) => all.push(run.address, run.pages, state),
                Step::Both(a, b) => {
                    assert_eq!((a.address, a.pages), (b.address, b.pages));
                    assert_eq!((a.at, b.at), (a.address, b.address));
                    all.push(a.address, a.pages, PageState::Same);
                }
            }
        }
        all.0.iter().map(|run| (run.address / P, run.pages, run.state)).collect()
    }

    #[test]
    fn memories_are_gone_through_by_address() {
        use PageState::{Added, Removed, Same};
        assert_eq!(merged(&[], &[]), []);
        assert_eq!(merged(&[(1, 2)], &[]), [(1, 2, Added)]);
        assert_eq!(merged(&[], &[(1, 2)]), [(1, 2, Removed)]);
        assert_eq!(merged(&[(1, 4)], &[(3, 4)]), [(1, 2, Added), (3, 2, Same), (5, 2, Removed)]);
        assert_eq!(merged(&[(3, 4)], &[(1, 9)]), [(1, 2, Removed), (3, 4, Same), (7, 3, Removed)]);
        assert_eq!(
            merged(&[(1, 1), (5, 2)], &[(1, 6)]),
            [(1, 1, Same), (2, 3, Removed), (5, 2, Same)]
        );
        assert_eq!(merged(&[(1, 2), (3, 2)], &[(1, 4)]), [(1, 4, Same)]);
        assert_eq!(merged(&[(1, 1)], &[(9, 1)]), [(1, 1, Added), (9, 1, Removed)]);
    }
}
