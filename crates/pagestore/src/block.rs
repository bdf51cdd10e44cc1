//! A block of memory pages: what a segment of a `pages-*.img` is stored as.
//!
//! ```text
//! 0        4          8         12         16
//! | a raw  | a stored | b raw   | b stored | A: operations, bitmaps, lines | B: literal pages |
//! ```
//!
//! Numbers are little-endian `u32`. A and B are zstd frames, or as they are where stored equals
//! raw. A begins with the operations, which tile the pages of the segment in order; then, for each
//! changed page, a bitmap of its 64-byte lines; then those lines, XORed with the base. B holds the
//! pages that are stored whole.

use std::collections::HashMap;
use std::ops::Range;

use crate::PAGE;
use crate::buffer::Buffer;
use crate::codec::{self, CodecError};
use crate::varint;

/// Bytes of a line, the grain at which a changed page is compared.
pub(crate) const LINE: usize = 64;
/// Above this many changed lines of 64 a page is stored whole: it compresses better than noise.
const LINES_MAX: u32 = 40;
/// Pages of a segment.
pub(crate) const SEGMENT_PAGES: usize = 256;

const HEADER: usize = 16;

/// What a run of pages is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Nothing but zero bytes.
    Zero,
    /// Stored here; the first is this literal.
    New { literal: u32 },
    /// Equal to pages of the base, from this page of the base's extent on.
    Same { base: u64 },
    /// Differs from pages of the base in some lines; the first is this changed page of the block.
    Changed { base: u64, changed: u32 },
    /// Equal to literals of another block: of this source of the extent, from this literal on.
    Shared { source: u32, literal: u32 },
}

/// A run of pages within a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// First page, counted from the start of the segment.
    pub(crate) page: u32,
    /// Number of pages.
    pub(crate) pages: u32,
    pub(crate) op: Op,
}

/// How many pages of a block are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) zero: u32,
    pub(crate) same: u32,
    pub(crate) changed: u32,
    pub(crate) new: u32,
    pub(crate) shared: u32,
}

/// A decoded block.
#[derive(Debug)]
pub(crate) struct Block {
    runs: Vec<Run>,
    a: Buffer,
    bitmaps: Range<usize>,
    /// Where each changed page's lines begin in `a`.
    lines: Vec<u32>,
    literals: Buffer,
}

/// What encoding a segment came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Encoded {
    /// All pages equal a contiguous run of the base.
    Same { base: u64 },
    /// A block.
    Block { bytes: Vec<u8>, counts: Counts },
}

/// The base of a segment: for each page, which page of the base's extent it is compared with.
#[derive(Debug, Default)]
pub(crate) struct Base {
    /// Per page of the segment: the base's page.
    pub(crate) page: Vec<Option<u64>>,
    /// Content of those pages, at the place of the segment's page; anything where there is none.
    pub(crate) bytes: Buffer,
}

impl Base {
    fn of(&self, page: usize) -> Option<(u64, &[u8])> {
        let number = (*self.page.get(page)?)?;
        Some((number, self.bytes.get(page * PAGE..(page + 1) * PAGE)?))
    }
}

/// Where a page is found whole: a source of the extent, and the literal there.
pub(crate) type Place = (u32, u32);

/// A segment of which it is known what each page becomes, but that is not compressed yet.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    runs: Vec<Run>,
    counts: Counts,
    bitmaps: Vec<u8>,
    lines: Vec<u8>,
    literals: Vec<u8>,
}

impl Draft {
    /// Compares the pages of a segment with a base. Those that would be stored whole are taken from
    /// `shared` where that has a place for them.
    pub(crate) fn new(pages: &[u8], base: &Base, shared: &[Option<Place>]) -> Self {
        let mut draft = Self::default();
        for (index, page) in pages.chunks_exact(PAGE).enumerate() {
            draft.page(page, base.of(index), shared.get(index).copied().flatten());
        }
        draft
    }

    /// The runs of pages that are stored whole.
    pub(crate) fn whole_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| matches!(run.op, Op::New { .. }))
    }

    /// How many pages are of each kind.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Compresses.
    pub(crate) fn encode(self, level: i32) -> Result<Encoded, CodecError> {
        if let [Run { op: Op::Same { base }, .. }] = self.runs.as_slice() {
            return Ok(Encoded::Same { base: *base });
        }
        let counts = self.counts;
        Ok(Encoded::Block { bytes: self.finish(level)?, counts })
    }

    fn page(&mut self, page: &[u8], base: Option<(u64, &[u8])>, shared: Option<Place>) {
        match base {
            Some((base, bytes)) if bytes == page => {
                self.counts.same += 1;
                self.push(Op::Same { base });
            }
            _ if is_zero(page) => {
                self.counts.zero += 1;
                self.push(Op::Zero);
            }
            Some((base, bytes)) => self.compare(page, base, bytes, shared),
            None => self.whole(page, shared),
        }
    }

    fn whole(&mut self, page: &[u8], shared: Option<Place>) {
        if let Some((source, literal)) = shared {
            self.counts.shared += 1;
            return self.push(Op::Shared { source, literal });
        }
        self.push(Op::New { literal: self.counts.new });
        self.counts.new += 1;
        self.literals.extend_from_slice(page);
    }

    fn compare(&mut self, page: &[u8], base: u64, bytes: &[u8], shared: Option<Place>) {
        let bitmap = changed_lines(page, bytes);
        if bitmap.count_ones() > LINES_MAX {
            return self.whole(page, shared);
        }
        self.push(Op::Changed { base, changed: self.counts.changed });
        self.counts.changed += 1;
        self.bitmaps.extend_from_slice(&bitmap.to_le_bytes());
        for line in (0..PAGE / LINE).filter(|line| bitmap >> line & 1 == 1) {
            let at = line * LINE..(line + 1) * LINE;
            self.lines.extend(page[at.clone()].iter().zip(&bytes[at]).map(|(a, b)| a ^ b));
        }
    }

    /// Appends a run as it is.
    fn push_run(&mut self, run: Run) {
        let counts = &mut self.counts;
        *match run.op {
            Op::Zero => &mut counts.zero,
            Op::New { .. } => &mut counts.new,
            Op::Same { .. } => &mut counts.same,
            Op::Changed { .. } => &mut counts.changed,
            Op::Shared { .. } => &mut counts.shared,
        } += run.pages;
        self.runs.push(run);
    }

    /// Appends a page, to the run before it where it goes on.
    fn push(&mut self, op: Op) {
        let next = self.runs.last().map_or(0, |run| run.page + run.pages);
        if let Some(last) = self.runs.last_mut()
            && follows(last, op)
        {
            last.pages += 1;
            return;
        }
        self.runs.push(Run { page: next, pages: 1, op });
    }

    fn finish(self, level: i32) -> Result<Vec<u8>, CodecError> {
        let mut a = Vec::with_capacity(16 + self.bitmaps.len() + self.lines.len());
        write_ops(&self.runs, &mut a);
        a.extend_from_slice(&self.bitmaps);
        a.extend_from_slice(&self.lines);
        let mut out = vec![0; HEADER];
        let a_stored = codec::compress_into(&a, level, &mut out)?;
        let b_stored = codec::compress_into(&self.literals, level, &mut out)?;
        for (at, len) in [a.len(), a_stored, self.literals.len(), b_stored].into_iter().enumerate()
        {
            let len = u32::try_from(len).map_err(|_| CodecError::TooLarge)?;
            out[at * 4..at * 4 + 4].copy_from_slice(&len.to_le_bytes());
        }
        Ok(out)
    }
}

fn follows(run: &Run, op: Op) -> bool {
    let pages = u64::from(run.pages);
    match (run.op, op) {
        (Op::Zero, Op::Zero) | (Op::New { .. }, Op::New { .. }) => true,
        (Op::Shared { source: a, literal: x }, Op::Shared { source: b, literal: y }) => {
            a == b && x + run.pages == y
        }
        (Op::Same { base: a }, Op::Same { base: b })
        | (Op::Changed { base: a, .. }, Op::Changed { base: b, .. }) => a + pages == b,
        _ => false,
    }
}

fn is_zero(page: &[u8]) -> bool {
    page.chunks_exact(LINE).all(|line| line.iter().fold(0, |acc, &b| acc | b) == 0)
}

/// A bit for each line in which the pages differ.
fn changed_lines(a: &[u8], b: &[u8]) -> u64 {
    let lines = a.chunks_exact(LINE).zip(b.chunks_exact(LINE));
    lines.enumerate().fold(0, |map, (i, (a, b))| map | u64::from(a != b) << i)
}

const ZERO: u64 = 0;
const NEW: u64 = 1;
const SAME: u64 = 2;
const CHANGED: u64 = 3;
const SHARED: u64 = 4;
/// Bits of the word of a run that say its kind.
const KIND_BITS: u32 = 3;

fn write_ops(runs: &[Run], out: &mut Vec<u8>) {
    varint::put(out, runs.len() as u64);
    let mut expected = 0u64;
    for run in runs {
        let (code, base) = match run.op {
            Op::Zero => (ZERO, None),
            Op::New { .. } => (NEW, None),
            Op::Same { base } => (SAME, Some(base)),
            Op::Changed { base, .. } => (CHANGED, Some(base)),
            Op::Shared { .. } => (SHARED, None),
        };
        varint::put(out, u64::from(run.pages) << KIND_BITS | code);
        if let Op::Shared { source, literal } = run.op {
            varint::put(out, u64::from(source));
            varint::put(out, u64::from(literal));
        }
        if let Some(base) = base {
            varint::put_signed(out, base.wrapping_sub(expected).cast_signed());
            expected = base + u64::from(run.pages);
        }
    }
}

/// Where the literals of a stored block are in it, and how many pages they are.
pub(crate) fn literal_frame(stored: &[u8]) -> Option<(Range<usize>, u32)> {
    let (header, _) = Header::read(stored)?;
    let start = HEADER.checked_add(header.a_stored)?;
    let frame = start..start.checked_add(header.b_stored)?;
    let pages = (header.b_raw / PAGE) as u32;
    (frame.end == stored.len()).then_some((frame, pages))
}

/// What a stored block begins with: bytes of its two frames, decoded and as stored.
struct Header {
    a_raw: usize,
    a_stored: usize,
    b_raw: usize,
    b_stored: usize,
}

impl Header {
    /// Reads the header; the frames follow.
    fn read(stored: &[u8]) -> Option<(Self, &[u8])> {
        let (header, frames) = stored.split_first_chunk::<HEADER>()?;
        let mut numbers = header.as_chunks::<4>().0.iter().map(|n| u32::from_le_bytes(*n) as usize);
        let mut next = || numbers.next();
        let (a_raw, a_stored, b_raw, b_stored) = (next()?, next()?, next()?, next()?);
        Some((Self { a_raw, a_stored, b_raw, b_stored }, frames))
    }
}

impl Block {
    /// What a stored block says that it decodes to, in bytes.
    pub(crate) fn decoded_bytes(stored: &[u8]) -> Option<usize> {
        let (header, _) = Header::read(stored)?;
        header.a_raw.checked_add(header.b_raw)
    }

    /// Decodes a stored block of `pages` pages.
    pub(crate) fn decode(stored: &[u8], pages: usize) -> Result<Self, CodecError> {
        let (header, frames) = Header::read(stored).ok_or(CodecError::Malformed)?;
        let Header { a_raw, a_stored, b_raw, b_stored } = header;
        let (a, b) = frames.split_at_checked(a_stored).ok_or(CodecError::Malformed)?;
        // Operations and bitmaps are at most 16 bytes a page beside its lines.
        if b.len() != b_stored || b_raw > pages * PAGE || a_raw > pages * (PAGE + 32) + 16 {
            return Err(CodecError::Malformed);
        }
        let a = codec::decompress(a, a_raw)?;
        let literals = codec::decompress(b, b_raw)?;
        Self::parse(a, literals, pages)
    }

    fn parse(a: Buffer, literals: Buffer, pages: usize) -> Result<Self, CodecError> {
        let mut input = &*a;
        let (runs, changed) = read_ops(&mut input, pages, literals.len() / PAGE)?;
        let bitmaps_at = a.len() - input.len();
        let bitmaps = bitmaps_at..bitmaps_at + changed * 8;
        let mut at = bitmaps.end;
        let mut lines = Vec::with_capacity(changed);
        for bitmap in a.get(bitmaps.clone()).ok_or(CodecError::Malformed)?.chunks_exact(8) {
            lines.push(u32::try_from(at).map_err(|_| CodecError::TooLarge)?);
            at += bitmap.iter().map(|b| b.count_ones() as usize).sum::<usize>() * LINE;
        }
        if at != a.len() {
            return Err(CodecError::Malformed);
        }
        Ok(Self { runs, a, bitmaps, lines, literals })
    }

    /// The runs that cover pages `from..from + pages` of the segment, cut to them.
    pub(crate) fn runs(&self, from: u32, pages: u32) -> impl Iterator<Item = Run> {
        let end = from + pages;
        let first = self.runs.partition_point(|run| run.page + run.pages <= from);
        self.runs[first..].iter().take_while(move |run| run.page < end).map(move |run| {
            let page = run.page.max(from);
            let skip = page - run.page;
            let op = match run.op {
                Op::Zero => Op::Zero,
                Op::New { literal } => Op::New { literal: literal + skip },
                Op::Same { base } => Op::Same { base: base + u64::from(skip) },
                Op::Changed { base, changed } => {
                    Op::Changed { base: base + u64::from(skip), changed: changed + skip }
                }
                Op::Shared { source, literal } => Op::Shared { source, literal: literal + skip },
            };
            Run { page, pages: (run.page + run.pages).min(end) - page, op }
        })
    }

    /// The pages themselves, if all of them are stored whole.
    pub(crate) fn into_literals(self) -> Result<Buffer, Self> {
        match self.runs.as_slice() {
            [Run { op: Op::New { .. }, .. }] => Ok(self.literals),
            _ => Err(self),
        }
    }

    /// Literal pages, from the literal of that number on.
    pub(crate) fn literals(&self, literal: u32, pages: u32) -> &[u8] {
        let at = literal as usize * PAGE;
        &self.literals[at..at + pages as usize * PAGE]
    }

    /// A block of nothing but literals: what a source is read for.
    pub(crate) fn of_literals(literals: Buffer) -> Self {
        Self { runs: Vec::new(), a: Buffer::default(), bitmaps: 0..0, lines: Vec::new(), literals }
    }

    /// Number of its literal pages.
    pub(crate) fn literal_count(&self) -> u32 {
        (self.literals.len() / PAGE) as u32
    }

    /// The sources that its runs name.
    pub(crate) fn sources(&self) -> impl Iterator<Item = u32> {
        self.runs.iter().filter_map(|run| match run.op {
            Op::Shared { source, .. } => Some(source),
            _ => None,
        })
    }

    /// The same pages, with those of some sources as literals of its own.
    pub(crate) fn unshare(&self, sources: &HashMap<u32, Self>) -> Option<Draft> {
        let mut draft = Draft {
            bitmaps: self.a.get(self.bitmaps.clone())?.to_vec(),
            lines: self.a.get(self.bitmaps.end..)?.to_vec(),
            ..Draft::default()
        };
        for &run in &self.runs {
            let (whole, literal) = match run.op {
                Op::New { literal } => (Some(self), literal),
                Op::Shared { source, literal } => (sources.get(&source), literal),
                _ => (None, 0),
            };
            if let Some(block) = whole {
                let bytes = block.find_literals(literal, run.pages)?;
                bytes.chunks_exact(PAGE).for_each(|page| draft.whole(page, None));
            } else {
                draft.push_run(run);
            }
        }
        Some(draft)
    }

    /// Literal pages, if there are so many.
    pub(crate) fn find_literals(&self, literal: u32, pages: u32) -> Option<&[u8]> {
        let end = literal.checked_add(pages).filter(|&end| end <= self.literal_count())?;
        self.literals.get(literal as usize * PAGE..end as usize * PAGE)
    }

    /// XORs the lines of a changed page into a copy of its base.
    pub(crate) fn patch(&self, changed: u32, page: &mut [u8]) {
        let at = self.bitmaps.start + changed as usize * 8;
        let bitmap = u64::from_le_bytes(self.a[at..at + 8].try_into().unwrap_or_default());
        let mut from = self.lines[changed as usize] as usize;
        for line in (0..PAGE / LINE).filter(|line| bitmap >> line & 1 == 1) {
            let target = &mut page[line * LINE..(line + 1) * LINE];
            target.iter_mut().zip(&self.a[from..from + LINE]).for_each(|(t, s)| *t ^= s);
            from += LINE;
        }
    }

    /// Memory that the decoded block takes.
    pub(crate) fn bytes(&self) -> usize {
        self.a.len() + self.literals.len() + self.runs.len() * size_of::<Run>()
    }
}

/// Reads the operations; they must tile the pages and use up the literals.
fn read_ops(
    input: &mut &[u8],
    pages: usize,
    literals: usize,
) -> Result<(Vec<Run>, usize), CodecError> {
    let count = varint::get(input)?;
    if count > pages as u64 {
        return Err(CodecError::Malformed);
    }
    let mut runs = Vec::new();
    let (mut page, mut literal, mut changed, mut expected) = (0u32, 0u32, 0u32, 0u64);
    for _ in 0..count {
        let word = varint::get(input)?;
        let run_pages = u32::try_from(word >> KIND_BITS).map_err(|_| CodecError::Malformed)?;
        if run_pages == 0 || u64::from(page) + u64::from(run_pages) > pages as u64 {
            return Err(CodecError::Malformed);
        }
        let mut base = || -> Result<u64, CodecError> {
            let base = expected.wrapping_add_signed(varint::get_signed(input)?);
            expected = base.checked_add(u64::from(run_pages)).ok_or(CodecError::Malformed)?;
            Ok(base)
        };
        let op = match word & ((1 << KIND_BITS) - 1) {
            ZERO => Op::Zero,
            NEW => Op::New { literal },
            SAME => Op::Same { base: base()? },
            CHANGED => Op::Changed { base: base()?, changed },
            SHARED => read_shared(input, run_pages)?,
            _ => return Err(CodecError::Malformed),
        };
        match op {
            Op::New { .. } => literal += run_pages,
            Op::Changed { .. } => changed += run_pages,
            _ => {}
        }
        runs.push(Run { page, pages: run_pages, op });
        page += run_pages;
    }
    if page as usize != pages || literal as usize != literals {
        return Err(CodecError::Malformed);
    }
    Ok((runs, changed as usize))
}

fn read_shared(input: &mut &[u8], pages: u32) -> Result<Op, CodecError> {
    let mut number = || u32::try_from(varint::get(input)?).map_err(|_| CodecError::Malformed);
    let (source, literal) = (number()?, number()?);
    // So that cutting a run cannot overflow.
    literal.checked_add(pages).ok_or(CodecError::Malformed)?;
    Ok(Op::Shared { source, literal })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(pages: &[u8], base: &Base, level: i32) -> Result<Encoded, CodecError> {
        Draft::new(pages, base, &[]).encode(level)
    }

    fn page(fill: u8) -> Vec<u8> {
        (0..PAGE).map(|i| (i as u8).wrapping_mul(7) ^ fill).collect()
    }

    /// Rebuilds a segment from its block and base, as a reader does.
    fn rebuild(block: &Block, base: &[u8], pages: usize) -> Vec<u8> {
        let mut out = vec![0; pages * PAGE];
        for run in block.runs(0, pages as u32) {
            for i in 0..run.pages {
                let at = (run.page + i) as usize * PAGE;
                let target = &mut out[at..at + PAGE];
                match run.op {
                    Op::Zero => {}
                    Op::New { literal } => target.copy_from_slice(block.literals(literal + i, 1)),
                    Op::Shared { .. } => panic!("nothing was shared"),
                    Op::Same { base: b } | Op::Changed { base: b, .. } => {
                        let from = (b as usize + i as usize) * PAGE;
                        target.copy_from_slice(&base[from..from + PAGE]);
                    }
                }
                if let Op::Changed { changed, .. } = run.op {
                    block.patch(changed + i, target);
                }
            }
        }
        out
    }

    #[test]
    fn each_kind_of_page_comes_back() {
        let base_bytes = [page(1), page(2), page(3), page(4)].concat();
        let mut changed = page(3);
        changed[100] ^= 0xff;
        changed[4095] ^= 1;
        let pages = [page(1), vec![0; PAGE], changed, page(9), page(4)].concat();
        let base = Base {
            page: vec![Some(0), Some(1), Some(2), None, Some(3)],
            bytes: [page(1), page(2), page(3), vec![0; PAGE], page(4)].concat().into(),
        };
        let Encoded::Block { bytes, counts } = encode(&pages, &base, 3).unwrap() else { panic!() };
        assert_eq!(counts, Counts { zero: 1, same: 2, changed: 1, new: 1, shared: 0 });
        let block = Block::decode(&bytes, 5).unwrap();
        assert_eq!(rebuild(&block, &base_bytes, 5), pages);
        assert!(bytes.len() < 2 * PAGE);
    }

    #[test]
    fn a_segment_equal_to_its_base_needs_no_block() {
        let pages = [page(1), page(2)].concat();
        let base = Base { page: vec![Some(7), Some(8)], bytes: pages.clone().into() };
        assert_eq!(encode(&pages, &base, 3).unwrap(), Encoded::Same { base: 7 });
    }

    #[test]
    fn a_page_that_differs_everywhere_is_stored_whole() {
        let base = Base { page: vec![Some(0)], bytes: vec![0x55; PAGE].into() };
        let Encoded::Block { counts, .. } = encode(&page(9), &base, 3).unwrap() else { panic!() };
        assert_eq!(counts.new, 1);
    }

    #[test]
    fn the_stored_bytes_are_as_the_format_says() {
        let Encoded::Block { bytes, .. } =
            encode(&[vec![0; PAGE], page(0)].concat(), &Base::default(), 3).unwrap()
        else {
            panic!()
        };
        // Three bytes of operations are stored as they are: two runs, 1 zero page, 1 new page.
        assert_eq!(&bytes[..8], &[3, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(&bytes[8..12], &4096u32.to_le_bytes());
        assert_eq!(&bytes[16..19], &[2, 1 << 3, 1 << 3 | 1]);
    }

    #[test]
    fn runs_are_cut_to_what_is_asked() {
        let pages = [page(1), page(2), page(3), vec![0; PAGE]].concat();
        let Encoded::Block { bytes, .. } = encode(&pages, &Base::default(), 1).unwrap() else {
            panic!()
        };
        let block = Block::decode(&bytes, 4).unwrap();
        let cut: Vec<_> = block.runs(1, 1).collect();
        assert_eq!(cut, [Run { page: 1, pages: 1, op: Op::New { literal: 1 } }]);
        assert_eq!(block.runs(2, 2).count(), 2);
    }

    proptest! {
        #[test]
        fn any_pages_against_any_base(
            pages in prop::collection::vec((0u8..4, prop::option::of(0u64..6), 0usize..PAGE), 1..20),
        ) {
            let base_pages: Vec<u8> = (0..6).flat_map(page).collect();
            let (mut numbers, mut base_bytes) = (Vec::new(), Vec::new());
            let mut bytes = Vec::new();
            for (kind, against, flip) in pages {
                let origin = against.map_or_else(|| page(77), |b| page(b as u8));
                let mut content = origin.clone();
                match kind {
                    0 => {}
                    1 => content.fill(0),
                    2 => content[flip] ^= 1,
                    _ => content = page(flip as u8),
                }
                bytes.extend(content);
                numbers.push(against);
                base_bytes.extend(origin);
            }
            let base = Base { page: numbers, bytes: base_bytes.into() };
            let count = bytes.len() / PAGE;
            match encode(&bytes, &base, 1).unwrap() {
                Encoded::Same { base } => {
                    let from = base as usize * PAGE;
                    prop_assert_eq!(&base_pages[from..from + bytes.len()], &bytes[..]);
                }
                Encoded::Block { bytes: stored, .. } => {
                    let block = Block::decode(&stored, count).unwrap();
                    prop_assert_eq!(rebuild(&block, &base_pages, count), bytes);
                }
            }
        }

        #[test]
        fn damaged_blocks_never_panic(
            flips in prop::collection::vec((0usize..20_000, any::<u8>()), 1..8),
            cut in 0usize..20_000,
        ) {
            let pages = [page(1), vec![0; PAGE], page(3)].concat();
            let bytes = [page(1), page(2), page(5)].concat().into();
            let base = Base { page: vec![Some(0), None, Some(2)], bytes };
            let Encoded::Block { mut bytes, .. } = encode(&pages, &base, 3).unwrap() else { panic!() };
            for (at, value) in flips {
                let at = at % bytes.len();
                bytes[at] ^= value;
            }
            bytes.truncate(cut.max(1));
            if let Ok(block) = Block::decode(&bytes, 3) {
                for run in block.runs(0, 3) {
                    if let Op::New { literal } = run.op {
                        block.literals(literal, run.pages);
                    }
                    if let Op::Changed { changed, .. } = run.op {
                        (0..run.pages).for_each(|i| block.patch(changed + i, &mut vec![0; PAGE]));
                    }
                }
            }
        }
    }
}
