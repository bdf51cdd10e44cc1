//! Which pages of a segment are equal to literals of a stored block.

use std::collections::HashMap;

use crate::PAGE;
use crate::block::Block;

/// Shortest run that is shared: shorter ones would make reads jump about.
pub(crate) const RUN_MIN: usize = 16;

/// A page of a segment that is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Its number in the segment.
    pub(crate) page: usize,
    /// Its fingerprint under the domain's key.
    pub(crate) fingerprint: u64,
}

/// Pages that are equal to successive literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// First page of the segment.
    pub(crate) page: usize,
    /// First literal of the block.
    pub(crate) literal: u32,
    /// Number of pages.
    pub(crate) pages: usize,
}

/// Runs of at least [`RUN_MIN`] wanted pages that equal literals of the block: each is begun where
/// a fingerprint is the same and made as long as bytes are equal, both ways.
///
/// `fingerprints` are those of the block's literals.
pub(crate) fn find_runs(
    raw: &[u8],
    wanted: &[Wanted],
    block: &Block,
    fingerprints: &[u64],
) -> Vec<Found> {
    let seeds: HashMap<u64, u32> = fingerprints.iter().copied().zip(0..).collect();
    let mut free = vec![false; raw.len() / PAGE];
    for want in wanted {
        if let Some(free) = free.get_mut(want.page) {
            *free = true;
        }
    }
    let equal = |page: usize, literal: u32| {
        let bytes = raw.get(page * PAGE..(page + 1) * PAGE);
        bytes.is_some() && bytes == block.find_literals(literal, 1)
    };
    let mut runs = Vec::new();
    let mut next = 0;
    for want in wanted {
        let Some(&seed) = seeds.get(&want.fingerprint).filter(|_| want.page >= next) else {
            continue;
        };
        let run = extend(want.page, seed, &free, next, equal);
        if run.pages >= RUN_MIN {
            next = run.page + run.pages;
            runs.push(run);
        }
    }
    runs
}

/// The longest run of free pages, none before `first`, around a page and its literal.
fn extend(
    page: usize,
    literal: u32,
    free: &[bool],
    first: usize,
    equal: impl Fn(usize, u32) -> bool,
) -> Found {
    let is_free = |page: usize| free.get(page).copied().unwrap_or(false);
    let (mut start, mut from) = (page, literal);
    while start > first && from > 0 && is_free(start - 1) && equal(start - 1, from - 1) {
        (start, from) = (start - 1, from - 1);
    }
    let mut pages = page - start;
    while is_free(start + pages) && equal(start + pages, from + pages as u32) {
        pages += 1;
    }
    Found { page: start, literal: from, pages }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(fill: u8) -> Vec<u8> {
        (0..PAGE).map(|i| (i as u8).wrapping_mul(31) ^ fill).collect()
    }

    fn search(fills: &[u8], literals: &[u8], wanted: &[usize]) -> Vec<Found> {
        let raw: Vec<u8> = fills.iter().flat_map(|&f| page(f)).collect();
        let block = literals.iter().flat_map(|&f| page(f)).collect::<Vec<u8>>();
        let block = Block::of_literals(block.into());
        let fingerprints: Vec<u64> = literals.iter().map(|&f| u64::from(f)).collect();
        let want = |&page: &usize| Wanted { page, fingerprint: u64::from(fills[page]) };
        let wanted: Vec<Wanted> = wanted.iter().map(want).collect();
        find_runs(&raw, &wanted, &block, &fingerprints)
    }

    #[test]
    fn a_run_is_as_long_as_the_bytes_are_equal() {
        let literals: Vec<u8> = (0..60).collect();
        let fills: Vec<u8> = (200..210).chain(20..50).chain(220..225).collect();
        let all: Vec<usize> = (0..fills.len()).collect();
        let expected = [Found { page: 10, literal: 20, pages: 30 }];
        assert_eq!(search(&fills, &literals, &all), expected);
        // Pages in the middle that are not wanted cut it in two, one of which is too short.
        let some: Vec<usize> = all.iter().copied().filter(|&p| p != 20).collect();
        assert_eq!(search(&fills, &literals, &some), [Found { page: 21, literal: 31, pages: 19 }]);
    }

    #[test]
    fn pages_that_repeat_do_not_shorten_a_run() {
        // Three times the same page before distinct ones, in both.
        let literals: Vec<u8> = [7, 7, 7].into_iter().chain(20..40).collect();
        let all: Vec<usize> = (0..literals.len()).collect();
        let expected = [Found { page: 0, literal: 0, pages: 23 }];
        assert_eq!(search(&literals, &literals, &all), expected);
    }

    #[test]
    fn equal_fingerprints_of_unequal_pages_are_nothing() {
        let raw = page(1).repeat(20);
        let block = Block::of_literals(page(2).repeat(20).into());
        let wanted: Vec<_> = (0..20).map(|page| Wanted { page, fingerprint: 5 }).collect();
        assert_eq!(find_runs(&raw, &wanted, &block, &[5; 20]), []);
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_equal_and_apart(
            fills in prop::collection::vec(0u8..4, 1..80),
            literals in prop::collection::vec(0u8..4, 0..80),
            skip in 0usize..80,
        ) {
            let wanted: Vec<usize> = (0..fills.len()).filter(|&p| p != skip).collect();
            let mut next = 0;
            for run in search(&fills, &literals, &wanted) {
                prop_assert!(run.pages >= RUN_MIN && run.page >= next);
                next = run.page + run.pages;
                prop_assert!(!(run.page..next).contains(&skip));
                let from = run.literal as usize;
                prop_assert_eq!(&fills[run.page..next], &literals[from..from + run.pages]);
            }
        }
    }
}
