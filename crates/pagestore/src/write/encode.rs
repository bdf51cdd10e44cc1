//! Encoding one segment, and decoding it again.

use std::sync::Arc;

use crate::block::{Base, Block, Counts, Draft, Encoded, Op, SEGMENT_PAGES};
use crate::buffer::Buffer;
use crate::error::PageStoreError;
use crate::mapping::Stretch;
use crate::read::{LayerReader, Want, push_want};
use crate::recipe::Encoding;
use crate::share::{Finder, Indexed, Shares, Sources, index_block};
use crate::source::Source;
use crate::work::Workers;
use crate::write::{Part, Segment};
use crate::{PAGE, Result, SEGMENT_MAX, codec};

/// What the segments of a part have in common.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) workers: Workers,
    pub(super) paged: bool,
    pub(super) level: i32,
    /// The base, its extent, and which pages correspond.
    pub(super) base: Option<(LayerReader, usize, Vec<Stretch>)>,
    /// Where pages are looked for that the base does not have.
    pub(super) share: Option<(Arc<Finder>, Sources)>,
}

/// One segment to encode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    /// Number of the segment in its part.
    number: u64,
    /// Where it begins in the layer.
    offset: u64,
    bytes: u32,
}

/// An encoded segment.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) segment: Segment,
    pub(super) stored: Vec<u8>,
    pub(super) counts: Counts,
    /// What others may share of it.
    pub(super) indexed: Option<Indexed>,
}

impl Done {
    fn new(segment: Segment, stored: Vec<u8>, counts: Counts) -> Self {
        Self { segment, stored, counts, indexed: None }
    }

    /// A segment whose bytes are stored already.
    pub(super) fn elsewhere(segment: Segment) -> Self {
        Self::new(segment, Vec::new(), Counts::default())
    }
}

impl Job {
    /// The segments of a part, in order.
    pub(super) fn all(part: Part) -> impl Iterator<Item = Self> + Send {
        let grain = u64::from(SEGMENT_MAX);
        (0..part.bytes.div_ceil(grain)).map(move |number| {
            let at = number * grain;
            let bytes = grain.min(part.bytes - at) as u32;
            Self { number, offset: part.offset + at, bytes }
        })
    }
}

/// Reads a segment from the source, encodes it, and checks that it decodes to what it was.
pub(super) async fn encode_segment(
    plan: Arc<Plan>,
    job: Job,
    source: Arc<dyn Source>,
) -> Result<Done> {
    let search = plan.share.as_ref().map(|(_, sources)| sources.search(job.number));
    let end = job.offset + u64::from(job.bytes);
    source.ready(job.offset..end).await.map_err(PageStoreError::Source)?;
    let read = move || {
        let mut raw = Buffer::take(job.bytes as usize);
        source.read_at(job.offset, &mut raw).map_err(PageStoreError::Source)?;
        Ok(raw)
    };
    let (workers, level) = (plan.workers, plan.level);
    let raw = workers.offload(read).await?;
    if !plan.paged {
        return workers.offload(move || encode_bytes(&raw, level, job.offset)).await;
    }
    let (raw, base) = (raw.freeze(), Arc::new(gather_base(&plan, job).await?));
    let shares = match &plan.share {
        Some((finder, sources)) => finder.find((sources, job.number), &raw, &base).await?,
        None => Shares::default(),
    };
    drop(search);
    workers.offload(move || encode_pages(&raw, &base, shares, level, job)).await
}

/// The pages of the base that correspond to those of the segment.
async fn gather_base(plan: &Plan, job: Job) -> Result<Base> {
    let Some((reader, extent, stretches)) = &plan.base else { return Ok(Base::default()) };
    let pages = job.bytes as usize / PAGE;
    let first = job.number * SEGMENT_PAGES as u64;
    let end = first + pages as u64;
    let mut base = Base { page: vec![None; pages], bytes: Buffer::take(pages * PAGE) };
    let mut wants = Vec::new();
    let start = stretches.partition_point(|s| s.page + s.pages <= first);
    for stretch in stretches[start..].iter().take_while(|s| s.page < end) {
        let from = stretch.page.max(first);
        let to = (stretch.page + stretch.pages).min(end);
        let theirs = stretch.base + (from - stretch.page);
        let slot = (from - first) as usize;
        push_want(&mut wants, Want { page: theirs, pages: to - from, slot });
        for (i, page) in base.page[slot..slot + (to - from) as usize].iter_mut().enumerate() {
            *page = Some(theirs + i as u64);
        }
    }
    reader.gather(*extent, wants, &mut base.bytes).await?;
    Ok(base)
}

fn segment(raw: &[u8], encoding: Encoding, at: u64, stored: &[u8]) -> Segment {
    Segment {
        bytes: raw.len() as u32,
        encoding: encoding as i32,
        object: 0,
        at,
        stored: stored.len() as u32,
        stored_checksum: codec::checksum(stored),
        checksum: codec::checksum(raw),
    }
}

/// Bytes that begin at `offset` of the layer.
pub(super) fn encode_bytes(raw: &[u8], level: i32, offset: u64) -> Result<Done> {
    if raw.iter().all(|&b| b == 0) {
        return Ok(Done::new(segment(raw, Encoding::Zero, 0, &[]), Vec::new(), Counts::default()));
    }
    let mut stored = Vec::new();
    codec::compress_into(raw, level, &mut stored)?;
    let encoding = if stored.len() == raw.len() { Encoding::Raw } else { Encoding::Zstd };
    if *codec::decompress(&stored, raw.len())? != *raw {
        return Err(PageStoreError::Verify(offset));
    }
    Ok(Done::new(segment(raw, encoding, 0, &stored), stored, Counts::default()))
}

fn encode_pages(raw: &[u8], base: &Base, mut shares: Shares, level: i32, job: Job) -> Result<Done> {
    let draft = shares.draft.take().unwrap_or_else(|| Draft::new(raw, base, &shares.places));
    match draft.encode(level)? {
        Encoded::Same { base: first } => {
            let expected = |(i, page): (usize, &Option<u64>)| *page == Some(first + i as u64);
            if *base.bytes != *raw || !base.page.iter().enumerate().all(expected) {
                return Err(PageStoreError::Verify(job.offset));
            }
            let counts = Counts { same: (raw.len() / PAGE) as u32, ..Counts::default() };
            Ok(Done::new(segment(raw, Encoding::Same, first, &[]), Vec::new(), counts))
        }
        Encoded::Block { bytes, counts } => {
            let block = Block::decode(&bytes, raw.len() / PAGE)?;
            if !decodes_to(&block, base, &shares, raw) {
                return Err(PageStoreError::Verify(job.offset));
            }
            let indexed = index_block(&bytes, &block, &shares);
            let done = Done::new(segment(raw, Encoding::Pages, 0, &bytes), bytes, counts);
            Ok(Done { indexed, ..done })
        }
    }
}

/// Compares a block, decoded as a reader will, page by page.
fn decodes_to(block: &Block, base: &Base, shares: &Shares, raw: &[u8]) -> bool {
    let mut patched = vec![0; PAGE];
    for run in block.runs(0, (raw.len() / PAGE) as u32) {
        let at = run.page as usize * PAGE;
        let expected = &raw[at..at + run.pages as usize * PAGE];
        let equal = match run.op {
            Op::Zero => expected.iter().all(|&b| b == 0),
            Op::New { literal } => block.literals(literal, run.pages) == expected,
            Op::Shared { source, literal } => shares.equal(source, literal, expected),
            Op::Same { base: first } => {
                names(base, run.page, run.pages, first)
                    && base.bytes[at..at + expected.len()] == *expected
            }
            Op::Changed { base: first, changed } => {
                names(base, run.page, run.pages, first)
                    && (0..run.pages as usize).all(|i| {
                        let from = at + i * PAGE;
                        patched.copy_from_slice(&base.bytes[from..from + PAGE]);
                        block.patch(changed + i as u32, &mut patched);
                        patched == raw[from..from + PAGE]
                    })
            }
        };
        if !equal {
            return false;
        }
    }
    true
}

/// Whether the base's pages that a run names are those that it was compared with.
fn names(base: &Base, page: u32, pages: u32, first: u64) -> bool {
    (0..u64::from(pages)).all(|i| {
        base.page.get((u64::from(page) + i) as usize).copied().flatten() == Some(first + i)
    })
}
