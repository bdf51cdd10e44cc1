//! The memory areas of a process, and how much of each is in the pages file.

use std::collections::BTreeMap;

use crate::budget::Budget;
use crate::files::FileTable;
use crate::magic::ImageKind;
use crate::message::{read_all, read_one};
use crate::mm::{AreaKind, Mm, Vma};
use crate::pagemap::{Flags, Pagemap};
use crate::pages::PAGE_BYTES;
use crate::report::Area;
use crate::warnings::Warnings;

/// Counts the pages of a memory that are in its pages file, between any two addresses.
#[derive(Debug, Default)]
pub(crate) struct PresentPages {
    /// Begin and end of each run, and the pages before it; by address.
    runs: Vec<(u64, u64, u64)>,
}

impl PresentPages {
    pub(crate) fn new(map: &Pagemap) -> Self {
        let mut before = 0;
        let present = map.runs.iter().filter(|run| run.flags.has(Flags::PRESENT));
        let runs = present.map(|run| {
            let run_of = (run.vaddr, run.end(), before);
            before += run.pages;
            run_of
        });
        Self { runs: runs.collect() }
    }

    /// Pages that begin at or after `start` and before `end`.
    pub(crate) fn between(&self, start: u64, end: u64) -> u64 {
        self.below(end).saturating_sub(self.below(start))
    }

    fn below(&self, address: u64) -> u64 {
        let after = self.runs.partition_point(|(start, _, _)| *start < address);
        let last = after.checked_sub(1).and_then(|index| self.runs.get(index));
        last.map_or(0, |(start, end, before)| {
            before + (address.min(*end) - start).div_ceil(PAGE_BYTES)
        })
    }
}

/// The image of a process's memory, if it has one; that of a zombie does not exist.
pub(crate) fn read_mm(
    images: &BTreeMap<String, Vec<u8>>,
    pid: u32,
    warnings: &mut Warnings,
) -> Option<Mm> {
    let name = format!("mm-{pid}.img");
    let read = read_one::<Mm>(&name, images.get(&name)?, ImageKind::Mm, warnings);
    let mut mm = warnings.take(read)?;
    let name = format!("vmas-{pid}.img");
    if mm.vmas.is_empty()
        && let Some(bytes) = images.get(&name)
    {
        let read = read_all::<Vma>(&name, bytes, ImageKind::Vmas, warnings);
        mm.vmas = warnings.take(read).unwrap_or_default();
    }
    Some(mm)
}

/// What the areas of a process are made from.
pub(crate) struct Memory<'a> {
    pub(crate) pid: u32,
    pub(crate) mm: &'a Mm,
    pub(crate) files: &'a FileTable,
    /// Of the process itself.
    pub(crate) present: &'a PresentPages,
    /// Of shared memory, by segment.
    pub(crate) shared: &'a BTreeMap<u64, PresentPages>,
}

impl Memory<'_> {
    /// The areas, as many as may be kept.
    pub(crate) fn areas(&self, budget: &mut Budget, warnings: &mut Warnings) -> Vec<Area> {
        let mut areas = Vec::new();
        for vma in &self.mm.vmas {
            if !budget.item(warnings) {
                break;
            }
            let area = self.area(vma, budget, warnings);
            areas.push(area);
        }
        areas
    }

    fn area(&self, vma: &Vma, budget: &mut Budget, warnings: &mut Warnings) -> Area {
        let image = format!("mm-{}.img", self.pid);
        let unknown = vma.unknown_status();
        if unknown != 0 {
            warnings.add(format_args!("{image}: status bits {unknown:#x} are not known"));
        }
        let kind = self.mm.kind(vma);
        if kind == AreaKind::Unknown {
            let start = vma.start;
            warnings.add(format_args!("{image}: what the area at {start:#x} is is not known"));
        }
        if vma.end <= vma.start {
            warnings.add(format_args!("{image}: an area ends before it begins"));
        }
        let file = vma.file_id().and_then(|id| self.files.regular(id));
        Area {
            start: vma.start,
            end: vma.end,
            kind,
            perms: vma.permissions(),
            file: file.and_then(|file| budget.name(&file.name, warnings)),
            present_pages: self.present_pages(vma, kind),
        }
    }

    fn present_pages(&self, vma: &Vma, kind: AreaKind) -> u64 {
        // A guard lies over another area, which counts.
        if kind == AreaKind::Guard {
            return 0;
        }
        let Some(segment) = vma.segment_id() else {
            return self.present.between(vma.start, vma.end);
        };
        let length = vma.end.saturating_sub(vma.start);
        let pages = self.shared.get(&segment);
        pages.map_or(0, |pages| pages.between(vma.pgoff, vma.pgoff.saturating_add(length)))
    }
}
