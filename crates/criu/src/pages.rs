//! Where the pages of each `pages-N.img` were: what deltas between checkpoints are made along.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::areas::read_mm;
use crate::error::{CriuError, Problem, Result};
use crate::pagemap::{PageRun, Pagemap};
use crate::warnings::Warnings;

/// Bytes of a page. Hosts with other sizes are reported and their pages not mapped.
pub const PAGE_BYTES: u64 = 4096;

/// The memory whose pages a pages file holds, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageSpace {
    /// N of the `pages-N.img`.
    pub pages_id: u32,
    /// Whose memory it is.
    pub owner: Owner,
    /// Runs of pages, by address and at the same time in the order of the file. They tile the file.
    pub runs: Vec<Run>,
}

/// Whose memory a pages file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// A process.
    Process {
        /// Its id, in the container.
        pid: u32,
    },
    /// Shared memory.
    Shmem {
        /// Id of the segment, of no meaning in another checkpoint.
        id: u64,
    },
}

/// Pages at neighbouring addresses, and one after the other in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Address of the first page; in shared memory, its offset in the segment.
    pub vaddr: u64,
    /// Number of pages.
    pub pages: u64,
    /// Number of the first page in the file, from 0.
    pub first_page: u64,
}

impl PageSpace {
    /// Name of the file in the folder of images.
    pub fn pages_image(&self) -> String {
        format!("pages-{}.img", self.pages_id)
    }

    /// Number of pages.
    pub fn pages(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.first_page.saturating_add(run.pages))
    }

    /// Checks that a pages file of this size is what the runs describe. It is not if it was cut.
    ///
    /// # Errors
    ///
    /// If a run goes past the end of the file, or the file past the last run.
    pub fn check_against(&self, bytes: u64) -> Result<()> {
        let expected = self.pages().saturating_mul(PAGE_BYTES);
        if bytes == expected {
            return Ok(());
        }
        Err(CriuError::new(&self.pages_image(), Problem::PagesSize { bytes, expected }))
    }
}

/// Checks that all pages which the maps name are in the checkpoint: none in the images of an earlier dump, none left to a
/// page server, none cut off. `bytes` tells the size of a pages file by its name, 0 of one that is not there.
///
/// Maps that are not understood in full are no reason to refuse: what they mean is not known.
///
/// # Errors
///
/// Of the first map of which pages are missing.
pub fn check_pages(images: &BTreeMap<String, Vec<u8>>, bytes: impl Fn(&str) -> u64) -> Result<()> {
    let names = images.iter().filter(|(name, _)| owner(name).is_some());
    for (name, map) in names {
        if let Ok(map) = Pagemap::read(name, map) {
            map.check_complete(name)?;
        }
    }
    let (spaces, _) = page_spaces(images);
    spaces.iter().try_for_each(|space| space.check_against(bytes(&space.pages_image())))
}

/// Where the pages of each pages file were, by pages id; and what is not told and why.
///
/// A pages file is left out if its pagemap cannot be read or is not understood in full, if several
/// pagemaps claim it, or if the host's pages were not of 4096 bytes.
pub fn page_spaces(images: &BTreeMap<String, Vec<u8>>) -> (Vec<PageSpace>, Vec<String>) {
    let mut warnings = Warnings::default();
    let other_page_size = other_page_size(images);
    let mut by_id: BTreeMap<u32, Vec<PageSpace>> = BTreeMap::new();
    for (name, bytes) in images {
        let Some(owner) = owner(name) else { continue };
        let Some(map) = warnings.take(Pagemap::read(name, bytes)) else { continue };
        for remark in map.remarks() {
            warnings.add(format_args!("{name}: {remark}"));
        }
        if let Some(size) = other_page_size {
            warnings.add(format_args!("{name}: pages of {size} bytes are not mapped"));
        }
        let usable = map.plain() && other_page_size.is_none();
        let claims = by_id.entry(map.pages_id).or_default();
        // An unusable map keeps its claim, so that no other pagemap gets the file either.
        claims.push(PageSpace {
            pages_id: map.pages_id,
            owner,
            runs: if usable { map.runs.iter().filter_map(run).collect() } else { Vec::new() },
        });
    }
    let spaces = by_id.into_values().filter_map(|claims| only(claims, &mut warnings)).collect();
    (spaces, warnings.finish())
}

/// The one space of a pages file. An empty one is of no use.
fn only(mut claims: Vec<PageSpace>, warnings: &mut Warnings) -> Option<PageSpace> {
    if claims.len() > 1 {
        let pages = claims.first().map(PageSpace::pages_image).unwrap_or_default();
        warnings.add(format_args!("{pages}: {} pagemaps name it", claims.len()));
        return None;
    }
    claims.pop().filter(|space| !space.runs.is_empty())
}

fn run(run: &PageRun) -> Option<Run> {
    Some(Run { vaddr: run.vaddr, pages: run.pages, first_page: run.first_page? })
}

/// Whose memory a pagemap describes, by its name (criu `criu/image-desc.c`).
pub(crate) fn owner(image: &str) -> Option<Owner> {
    let rest = image.strip_prefix("pagemap-")?.strip_suffix(".img")?;
    match rest.strip_prefix("shmem-") {
        Some(id) => number(id).map(|id| Owner::Shmem { id }),
        None => number(rest).and_then(|pid| pid.try_into().ok()).map(|pid| Owner::Process { pid }),
    }
}

/// A number as CRIU writes it: no sign, no zeros in front. Otherwise two names would mean one owner.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// The page size of the host, if some process says that it is another than ours. It is nowhere but in
/// the auxiliary vectors.
fn other_page_size(images: &BTreeMap<String, Vec<u8>>) -> Option<u64> {
    let mut warnings = Warnings::default();
    let pids = images.keys().filter_map(|name| {
        number(name.strip_prefix("mm-")?.strip_suffix(".img")?)?.try_into().ok()
    });
    pids.filter_map(|pid| read_mm(images, pid, &mut warnings)?.page_bytes())
        .find(|size| *size != PAGE_BYTES)
}
