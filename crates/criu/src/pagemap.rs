//! `pagemap-<pid>.img` and `pagemap-shmem-<id>.img`: which address each page had
//! (criu `images/pagemap.proto`, `criu/pagemap.c`).

use serde::Serialize;

use crate::error::{CriuError, Problem, Result};
use crate::image::entries;
use crate::magic::ImageKind;
use crate::message::{Entry, decode};
use crate::pages::PAGE_BYTES;

#[derive(Clone, PartialEq, prost::Message)]
struct Head {
    #[prost(uint32, tag = "1")]
    pages_id: u32,
}

impl Entry for Head {
    const REQUIRED: &'static [u32] = &[1];
    const KNOWN: &'static [u32] = &[1];
}

#[derive(Clone, PartialEq, prost::Message)]
struct RunEntry {
    #[prost(uint64, tag = "1")]
    vaddr: u64,
    /// The count until CRIU 4.1; zero since.
    #[prost(uint32, tag = "2")]
    compat_nr_pages: u32,
    /// In the place of flags, in images of before CRIU 3.
    #[prost(bool, optional, tag = "3")]
    in_parent: Option<bool>,
    #[prost(uint32, optional, tag = "4")]
    flags: Option<u32>,
    /// The count since CRIU 4.2.
    #[prost(uint64, optional, tag = "5")]
    nr_pages: Option<u64>,
}

impl Entry for RunEntry {
    const REQUIRED: &'static [u32] = &[1];
    const KNOWN: &'static [u32] = &[1, 2, 3, 4, 5];
}

/// Fields of compressed pages: the sizes of blocks, their sum, the pages of a region
/// (criu pull request 2895). They have not settled: a later form has a message of blocks in their
/// place. Whatever else is not known is reported as unknown, and as little trusted.
const COMPRESSION_FIELDS: std::ops::RangeInclusive<u32> = 6..=8;

/// Where the bytes of a run are (criu `criu/include/pagemap.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Flags(pub u32);

impl Flags {
    /// `PE_PARENT`: in the images of an earlier dump.
    pub const PARENT: Self = Self(1);
    /// `PE_LAZY`: may be brought after the process runs again.
    pub const LAZY: Self = Self(1 << 1);
    /// `PE_PRESENT`: in the pages file.
    pub const PRESENT: Self = Self(1 << 2);

    /// True if all of these are set.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Bits without a known meaning.
    pub const fn unknown(self) -> u32 {
        self.0 & !(Self::PARENT.0 | Self::LAZY.0 | Self::PRESENT.0)
    }
}

/// Pages at neighbouring addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PageRun {
    /// Address of the first page, in bytes. In shared memory: offset in the segment.
    pub vaddr: u64,
    /// Number of pages, at least one.
    pub pages: u64,
    /// Where the bytes are.
    pub flags: Flags,
    /// Number of the first page in the pages file, from 0, if the bytes are there. Means nothing in
    /// a pagemap that is not [`Pagemap::plain`].
    pub first_page: Option<u64>,
}

impl PageRun {
    /// Address after the last page, in bytes.
    pub const fn end(&self) -> u64 {
        self.vaddr.saturating_add(self.pages.saturating_mul(PAGE_BYTES))
    }
}

/// The map of one pages file, or of one of the memories in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Pagemap {
    /// N of the `pages-N.img` that holds the bytes.
    pub pages_id: u32,
    /// The runs, by address, without overlap.
    pub runs: Vec<PageRun>,
    /// Entries have the fields of compressed pages, so that pages are not 4096 bytes each.
    pub compressed: bool,
    /// Some bytes are in the images of an earlier dump, which a checkpoint archive does not have.
    pub needs_parent: bool,
    /// Some bytes were left for a page server to bring (`criu dump --lazy-pages`).
    pub lazy_missing: bool,
    /// Flag bits that are not known.
    pub unknown_flags: u32,
    /// Fields that are not known, by number.
    pub unknown_fields: Vec<u32>,
}

impl Pagemap {
    /// Reads an image. `image` is its name, for messages.
    ///
    /// # Errors
    ///
    /// If it is no pagemap, or its runs overlap, are out of order, or contradict themselves.
    pub fn read(image: &str, bytes: &[u8]) -> Result<Self> {
        let mut entries = entries(image, bytes, ImageKind::Pagemap)?;
        let empty = || CriuError::new(image, Problem::Empty);
        let (index, head) = entries.next().ok_or_else(empty)??;
        let (head, unknown_fields) = decode::<Head>(image, index, head)?;
        let pages_id = head.pages_id;
        let mut builder = Builder {
            map: Self { pages_id, unknown_fields, ..Self::default() },
            end: 0,
            stored: 0,
        };
        for entry in entries {
            let (index, entry) = entry?;
            let (entry, unknown) = decode::<RunEntry>(image, index, entry)?;
            builder.note_unknown(&unknown);
            builder.push(&entry).map_err(|problem| CriuError::new(image, problem))?;
        }
        Ok(builder.map)
    }

    /// Pages whose bytes are in the pages file.
    pub fn present_pages(&self) -> u64 {
        // The sum was checked as the runs were read.
        self.runs.iter().filter(|run| run.flags.has(Flags::PRESENT)).map(|run| run.pages).sum()
    }

    /// True if everything in it is understood and the pages are stored as they are.
    pub fn plain(&self) -> bool {
        !self.compressed && self.unknown_flags == 0 && self.unknown_fields.is_empty()
    }

    /// Checks that no bytes are elsewhere. `image` is its name, for messages.
    pub(crate) fn check_complete(&self, image: &str) -> Result<()> {
        match (self.needs_parent, self.lazy_missing) {
            (true, _) => Err(CriuError::new(image, Problem::NeedsParent)),
            (_, true) => Err(CriuError::new(image, Problem::LazyMissing)),
            _ => Ok(()),
        }
    }

    /// What a reader or a restore should know about.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let fields = &self.unknown_fields;
        let flags = self.unknown_flags;
        let remarks = [
            (self.compressed, "pages are compressed".to_owned()),
            (!fields.is_empty() && !self.compressed, format!("fields {fields:?} are not known")),
            (flags != 0, format!("flags {flags:#x} are not known")),
            (self.needs_parent, Problem::NeedsParent.to_string()),
            (self.lazy_missing, Problem::LazyMissing.to_string()),
        ];
        remarks.into_iter().filter_map(|(applies, remark)| applies.then_some(remark)).collect()
    }
}

struct Builder {
    map: Pagemap,
    /// End of the last run.
    end: u64,
    /// Pages in the pages file so far.
    stored: u64,
}

impl Builder {
    fn note_unknown(&mut self, fields: &[u32]) {
        for field in fields {
            self.map.compressed |= COMPRESSION_FIELDS.contains(field);
            // As many as can be told apart in a message; more would be garbage.
            if !self.map.unknown_fields.contains(field) && self.map.unknown_fields.len() < 16 {
                self.map.unknown_fields.push(*field);
            }
        }
    }

    fn push(&mut self, entry: &RunEntry) -> Result<(), Problem> {
        let vaddr = entry.vaddr;
        let pages = page_count(entry)?;
        let flags = run_flags(entry)?;
        let overflow = Problem::Overflow { vaddr, pages };
        let end = pages.checked_mul(PAGE_BYTES).and_then(|bytes| vaddr.checked_add(bytes));
        let end = end.ok_or_else(|| overflow.clone())?;
        if !vaddr.is_multiple_of(PAGE_BYTES) {
            return Err(Problem::Unaligned { vaddr });
        }
        if vaddr < self.end {
            return Err(Problem::OutOfOrder { vaddr, previous_end: self.end });
        }
        let present = flags.has(Flags::PRESENT);
        let first_page = present.then_some(self.stored);
        if present {
            self.stored = self.stored.checked_add(pages).ok_or(overflow)?;
        }
        self.end = end;
        self.map.needs_parent |= flags.has(Flags::PARENT);
        self.map.lazy_missing |= flags == Flags::LAZY;
        self.map.unknown_flags |= flags.unknown();
        self.map.runs.push(PageRun { vaddr, pages, flags, first_page });
        Ok(())
    }
}

/// Field 5 if it is set, else field 2. CRIU 4.2 writes zero to the old one.
fn page_count(entry: &RunEntry) -> Result<u64, Problem> {
    let vaddr = entry.vaddr;
    let old = u64::from(entry.compat_nr_pages);
    let pages = entry.nr_pages.unwrap_or(old);
    if old != 0 && old != pages {
        return Err(Problem::PageCounts { vaddr, old, new: pages });
    }
    if pages == 0 {
        return Err(Problem::NoPages { vaddr });
    }
    Ok(pages)
}

/// The flags, or what stands for them in old images (criu `criu/pagemap.c`, `init_compat_pagemap_entry`).
fn run_flags(entry: &RunEntry) -> Result<Flags, Problem> {
    let in_parent = entry.in_parent == Some(true);
    let flags = match entry.flags {
        Some(flags) if in_parent => flags | Flags::PARENT.0,
        Some(flags) => flags,
        None if in_parent => Flags::PARENT.0,
        None => Flags::PRESENT.0,
    };
    let flags = Flags(flags);
    let both = flags.has(Flags::PARENT) && flags.has(Flags::PRESENT);
    if both || flags.0 == 0 {
        return Err(Problem::BadFlags { vaddr: entry.vaddr, flags: flags.0 });
    }
    Ok(flags)
}
