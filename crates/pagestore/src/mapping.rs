//! Which page of a base a page is compared with: spaces are matched, then joined by address.

use crate::recipe::{AddressRun, Space};

/// Pages of a file that correspond to pages of the base's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// First page in the file.
    pub(crate) page: u64,
    /// First page in the base's file.
    pub(crate) base: u64,
    /// Number of pages.
    pub(crate) pages: u64,
}

/// Joins two lists of runs by address. Both are in the order of their files; addresses ascend.
pub(crate) fn join(runs: &[AddressRun], base: &[AddressRun]) -> Vec<Stretch> {
    const PAGE: u64 = crate::PAGE as u64;
    let mut out: Vec<Stretch> = Vec::new();
    let (mut ours, mut theirs) = (Cursor::new(runs), Cursor::new(base));
    while let (Some(a), Some(b)) = (ours.run(), theirs.run()) {
        let start = a.address.max(b.address);
        let end = a.end().min(b.end());
        if start < end
            && (start - a.address).is_multiple_of(PAGE)
            && (start - b.address).is_multiple_of(PAGE)
        {
            let stretch = Stretch {
                page: ours.page + (start - a.address) / PAGE,
                base: theirs.page + (start - b.address) / PAGE,
                pages: (end - start) / PAGE,
            };
            append(&mut out, stretch);
        }
        if a.end() <= b.end() { ours.advance() } else { theirs.advance() }
    }
    out
}

fn append(out: &mut Vec<Stretch>, next: Stretch) {
    if let Some(last) = out.last_mut()
        && last.page + last.pages == next.page
        && last.base + last.pages == next.base
    {
        last.pages += next.pages;
    } else {
        out.push(next);
    }
}

struct Cursor<'a> {
    runs: &'a [AddressRun],
    /// Page of the file at which the current run begins.
    page: u64,
}

impl<'a> Cursor<'a> {
    fn new(runs: &'a [AddressRun]) -> Self {
        Self { runs, page: 0 }
    }

    fn run(&self) -> Option<AddressRun> {
        self.runs.first().copied()
    }

    fn advance(&mut self) {
        if let Some((first, rest)) = self.runs.split_first() {
            self.page += first.pages;
            self.runs = rest;
        }
    }
}

impl AddressRun {
    fn end(self) -> u64 {
        self.address.saturating_add(self.pages.saturating_mul(crate::PAGE as u64))
    }
}

/// For each space, the base's space that it is compared with (by number), each used once.
///
/// A pid alone is not enough: after a restart of the pod it belongs to another program. So first
/// pid and commands together, then commands in the order of the tree, then nothing.
pub(crate) fn match_spaces(spaces: &[&Space], base: &[&Space]) -> Vec<Option<usize>> {
    let mut matched = vec![None; spaces.len()];
    let mut used = vec![false; base.len()];
    let exact =
        |a: &Space, b: &Space| a.pid == b.pid && a.shmem == b.shmem && a.command == b.command;
    let alike =
        |a: &Space, b: &Space| a.shmem.is_some() == b.shmem.is_some() && a.command == b.command;
    for fits in [&exact as &dyn Fn(&Space, &Space) -> bool, &alike] {
        for (space, found) in spaces.iter().zip(&mut matched).filter(|(_, m)| m.is_none()) {
            let free = base.iter().enumerate().find(|&(i, b)| !used[i] && fits(space, b));
            if let Some((i, _)) = free {
                used[i] = true;
                *found = Some(i);
            }
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(list: &[(u64, u64)]) -> Vec<AddressRun> {
        list.iter().map(|&(page, pages)| AddressRun { address: page * 4096, pages }).collect()
    }

    fn space(pid: u32, command: &str) -> Space {
        Space { pid, command: command.into(), ..Space::default() }
    }

    #[test]
    fn equal_lists_join_into_one_stretch() {
        let list = runs(&[(10, 4), (20, 2)]);
        assert_eq!(join(&list, &list), [Stretch { page: 0, base: 0, pages: 6 }]);
    }

    #[test]
    fn a_heap_that_grew_shifts_what_follows() {
        let old = runs(&[(10, 4), (100, 8)]);
        let new = runs(&[(10, 6), (100, 8)]);
        let expected =
            [Stretch { page: 0, base: 0, pages: 4 }, Stretch { page: 6, base: 4, pages: 8 }];
        assert_eq!(join(&new, &old), expected);
    }

    #[test]
    fn split_and_merged_runs_still_meet() {
        let old = runs(&[(10, 10)]);
        let new = runs(&[(8, 4), (15, 2), (30, 1)]);
        let expected =
            [Stretch { page: 2, base: 0, pages: 2 }, Stretch { page: 4, base: 5, pages: 2 }];
        assert_eq!(join(&new, &old), expected);
    }

    #[test]
    fn nothing_in_common() {
        assert_eq!(join(&runs(&[(1, 2)]), &runs(&[(5, 2)])), []);
        assert_eq!(join(&[], &runs(&[(5, 2)])), []);
    }

    #[test]
    fn processes_are_matched_by_pid_and_command_then_by_command() {
        let old = [space(1, "sh"), space(7, "sh/worker"), space(8, "sh/worker")];
        let new =
            [space(8, "sh/worker"), space(1, "sh"), space(9, "sh/worker"), space(7, "sh/sleep")];
        let (old, new): (Vec<_>, Vec<_>) = (old.iter().collect(), new.iter().collect());
        assert_eq!(match_spaces(&new, &old), [Some(2), Some(0), Some(1), None]);
    }

    #[test]
    fn a_pid_that_belongs_to_another_program_is_not_matched() {
        assert_eq!(match_spaces(&[&space(5, "a")], &[&space(5, "b")]), [None]);
    }
}
