//! Reading a layer back: segments are decoded ahead of the reader, in parallel, and each is checked
//! before a byte of it is given out.

mod wire;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, TryStreamExt};
use pagevault_objects::Key;
use tokio::sync::OnceCell;

use crate::ahead::{self, Budget};
use crate::block::{Block, Op, SEGMENT_PAGES};
use crate::buffer::Buffer;
use crate::cache::BlockCache;
use crate::error::PageStoreError;
use crate::places::Places;
use crate::recipe::{Encoding, Extent, Recipe, Segment};
use crate::share::{self, SharedWant};
use crate::store::{PageStore, data_key};
use crate::{PAGE, Result, codec, work};

pub use wire::Framed;

/// Objects up to this size are read at once, in bytes.
const WHOLE_MAX: u64 = 4 << 20;

/// Blocks that decode to no more are decoded where they are wanted, in bytes: that takes some tens of
/// microseconds, about as much as to wake another thread. A reader of 40 deltas meets 40 of them for
/// each segment.
const SMALL_BLOCK: usize = 128 << 10;

static ZEROS: [u8; crate::SEGMENT_MAX as usize] = [0; crate::SEGMENT_MAX as usize];

/// A layer that can be read, whole or in part.
#[derive(Debug, Clone)]
pub struct LayerReader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: PageStore,
    /// The layer's own recipe, then its base, the base's base … down to the keyframe.
    levels: Vec<Level>,
    /// Where the segments of the layer are.
    places: Places,
    cache: BlockCache,
    window: usize,
    budget: Budget,
}

#[derive(Debug)]
struct Level {
    recipe: Arc<Recipe>,
    /// Its data object, read at once: a small delta has many blocks of a few hundred bytes.
    whole: Option<OnceCell<Bytes>>,
}

/// Pages that are wanted from an extent, and where they go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    /// First page of the extent.
    pub(crate) page: u64,
    /// Number of pages.
    pub(crate) pages: u64,
    /// Page of the output that the first one goes to.
    pub(crate) slot: usize,
}

/// A changed page: `block` patches the page of the output at `slot`.
struct Patch {
    block: Arc<Block>,
    changed: u32,
    slot: usize,
}

impl LayerReader {
    pub(crate) fn new(store: PageStore, recipes: Vec<Arc<Recipe>>) -> Self {
        let window_bytes = store.options.window_bytes;
        // A quarter for small objects that are read whole; a half for segments under way (a block
        // and what it decodes to, at once), the rest for blocks that neighbours share.
        let mut left = window_bytes as u64 / 4;
        let level = |recipe: Arc<Recipe>| {
            // A file as it was pushed is read in order; a range of it must cost no more than itself.
            let fits = recipe.stored_bytes <= WHOLE_MAX.min(left) && !is_file(&recipe);
            left -= if fits { recipe.stored_bytes } else { 0 };
            Level { recipe, whole: fits.then(OnceCell::new) }
        };
        let places = recipes.first().map_or_else(Places::default, |recipe| Places::of(recipe));
        let levels = recipes.into_iter().map(level).collect();
        let window = work::at_once(window_bytes, 4);
        let cache = BlockCache::new(window_bytes / 4);
        let budget = store.budget.clone();
        Self { inner: Arc::new(Inner { store, levels, places, cache, window, budget }) }
    }

    /// Bytes of the layer.
    pub fn bytes(&self) -> u64 {
        self.inner.levels.first().map_or(0, |level| level.recipe.bytes)
    }

    /// Recipes that it is read through.
    #[cfg(test)]
    pub(crate) fn levels(&self) -> usize {
        self.inner.levels.len()
    }

    /// Whether it is stored as it was pushed.
    pub fn is_plain(&self) -> bool {
        let raw = |segment: &Segment| segment.encoding == Encoding::Raw as i32;
        self.recipe().is_some_and(|recipe| {
            recipe.extents.iter().all(|e| e.space.is_none() && e.segments.iter().all(raw))
        })
    }

    pub(crate) fn recipe(&self) -> Option<&Recipe> {
        self.inner.levels.first().map(|level| level.recipe.as_ref())
    }

    /// The bytes of a range, which is cut to the layer. A damaged segment ends the stream with an
    /// error before any byte of that segment.
    pub fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let end = range.end.min(self.bytes());
        let segments = SegmentsOf { inner: Arc::clone(&self.inner), offset: range.start, end };
        let inner = Arc::clone(&self.inner);
        let decode = move |((extent, segment), part): (_, Range<usize>)| {
            let inner = Arc::clone(&inner);
            // Spawned, so that segments are decoded while the reader is busy elsewhere.
            let workers = inner.store.options.workers;
            workers.spawn(async move { Ok(inner.segment(extent, segment).await?.slice(part)) })
        };
        ahead::stream(segments, decode, self.inner.budget.clone(), self.inner.window)
    }

    /// Reads a range of a small layer into memory.
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let chunks = self.stream(range);
        chunks
            .try_fold(Vec::new(), |mut all, chunk| async move {
                all.extend_from_slice(&chunk);
                Ok(all)
            })
            .await
    }

    /// Pages of one extent, gathered into `out`.
    pub(crate) async fn gather(
        &self,
        extent: usize,
        wants: Vec<Want>,
        out: &mut [u8],
    ) -> Result<()> {
        self.inner.gather(extent, wants, out).await
    }
}

/// The segments of a byte range, each with the part of it that belongs to the range.
struct SegmentsOf {
    inner: Arc<Inner>,
    offset: u64,
    end: u64,
}

impl Iterator for SegmentsOf {
    type Item = ((usize, usize), Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.end {
            return None;
        }
        let recipe = &self.inner.levels.first()?.recipe;
        let (extent, segment, start) = self.inner.places.locate(recipe, self.offset)?;
        let bytes = u64::from(recipe.extents.get(extent)?.segments.get(segment)?.bytes);
        let stop = (start + bytes).min(self.end);
        let within = |offset: u64| usize::try_from(offset - start).ok();
        let cut = within(self.offset)?..within(stop)?;
        self.offset = stop;
        Some(((extent, segment), cut))
    }
}

impl Inner {
    /// Decodes and checks one segment of the layer.
    async fn segment(self: Arc<Self>, extent: usize, number: usize) -> Result<Bytes> {
        let level = self.levels.first().ok_or_else(|| PageStoreError::damaged("no recipe"))?;
        let segment = *find(&level.recipe, extent, number)?;
        let bytes = match Encoding::try_from(segment.encoding) {
            // Checked as stored, which is the same.
            Ok(Encoding::Raw)
                if (segment.stored, segment.stored_checksum)
                    == (segment.bytes, segment.checksum) =>
            {
                return self.stored(level, &segment).await;
            }
            Ok(Encoding::Raw) => self.stored(level, &segment).await?,
            Ok(Encoding::Zero) => Bytes::from_static(&ZEROS[..segment.bytes as usize]),
            Ok(Encoding::Zstd) => {
                let stored = self.stored(level, &segment).await?;
                let decode = move || {
                    let raw = codec::decompress(&stored, segment.bytes as usize)?;
                    checked(raw.freeze(), &segment)
                };
                return self.store.offload(decode).await;
            }
            Ok(Encoding::Pages) if self.levels.len() == 1 => {
                // Nothing is below: a block that is all literals is what is asked for.
                let stored = self.stored(level, &segment).await?;
                let decode = move || {
                    let block = Block::decode(&stored, segment.bytes as usize / PAGE)?;
                    match block.into_literals() {
                        Ok(literals) => checked(literals.freeze(), &segment).map(Ok),
                        Err(block) => Ok(Err(block)),
                    }
                };
                match self.store.offload(decode).await? {
                    Ok(bytes) => return Ok(bytes),
                    Err(_) => self.pages(extent, number, &segment).await?,
                }
            }
            _ => self.pages(extent, number, &segment).await?,
        };
        checked(bytes, &segment)
    }

    /// A segment of pages, put together from all levels.
    async fn pages(&self, extent: usize, number: usize, segment: &Segment) -> Result<Bytes> {
        let mut out = Buffer::take(segment.bytes as usize);
        let pages = (segment.bytes as usize / PAGE) as u64;
        let want = Want { page: (number * SEGMENT_PAGES) as u64, pages, slot: 0 };
        self.gather(extent, vec![want], &mut out).await?;
        Ok(out.freeze())
    }

    /// Follows pages down the chain until each is a literal or zero, then applies the changes.
    async fn gather(&self, extent: usize, wants: Vec<Want>, out: &mut [u8]) -> Result<()> {
        let mut extent = extent;
        let mut wants = wants;
        let mut patches = Vec::new();
        for level in 0..self.levels.len() {
            if wants.is_empty() {
                break;
            }
            let next = self.descend(level, extent, &wants, out, &mut patches).await?;
            extent = self.extent(level, extent)?.base_extent as usize;
            wants = next;
        }
        if !wants.is_empty() {
            return Err(PageStoreError::damaged("a chain of recipes ends before its keyframe"));
        }
        for patch in patches {
            let page = &mut out[patch.slot * PAGE..(patch.slot + 1) * PAGE];
            patch.block.patch(patch.changed, page);
        }
        Ok(())
    }

    /// Takes from one level what it holds, and says what is wanted from the level below.
    async fn descend(
        &self,
        level: usize,
        extent: usize,
        wants: &[Want],
        out: &mut [u8],
        patches: &mut Vec<Patch>,
    ) -> Result<Vec<Want>> {
        let mut below = Vec::new();
        let mut shared = Vec::new();
        for (number, parts) in by_segment(wants) {
            let segment = *find(&self.levels[level].recipe, extent, number)?;
            match Encoding::try_from(segment.encoding) {
                Ok(Encoding::Same) => {
                    let start = (number * SEGMENT_PAGES) as u64;
                    let moved =
                        |want: Want| Want { page: segment.at + (want.page - start), ..want };
                    parts.into_iter().for_each(|want| push_want(&mut below, moved(want)));
                }
                Ok(Encoding::Pages) => {
                    let block = self.block(level, extent, number, segment).await?;
                    for want in parts {
                        take(&block, want, out, &mut below, &mut shared, patches)?;
                    }
                }
                _ => self.plain_pages(level, &segment, number, &parts, out).await?,
            }
        }
        let (recipe, place) = (&self.levels[level].recipe, (level, extent));
        share::fill(&self.store, recipe, place, &self.cache, shared, out).await?;
        Ok(below)
    }

    /// Pages of a segment of a pages file that is stored in another way than by pages.
    async fn plain_pages(
        &self,
        level: usize,
        segment: &Segment,
        number: usize,
        parts: &[Want],
        out: &mut [u8],
    ) -> Result<()> {
        if segment.encoding == Encoding::Zero as i32 {
            for want in parts {
                zero(out, want.slot, want.pages);
            }
            return Ok(());
        }
        let stored = self.stored(&self.levels[level], segment).await?;
        let raw = codec::decompress(&stored, segment.bytes as usize)?;
        for want in parts {
            let from = (want.page as usize - number * SEGMENT_PAGES) * PAGE;
            let bytes = want.pages as usize * PAGE;
            let source = raw.get(from..from + bytes).ok_or_else(short_segment)?;
            out[want.slot * PAGE..want.slot * PAGE + bytes].copy_from_slice(source);
        }
        Ok(())
    }

    async fn block(
        &self,
        level: usize,
        extent: usize,
        number: usize,
        segment: Segment,
    ) -> Result<Arc<Block>> {
        let make = async {
            let stored = self.stored(&self.levels[level], &segment).await?;
            let small = Block::decoded_bytes(&stored).is_some_and(|bytes| bytes <= SMALL_BLOCK);
            let decode = move || Ok(Block::decode(&stored, segment.bytes as usize / PAGE)?);
            if small { decode() } else { self.store.offload(decode).await }
        };
        self.cache.get((level, extent, number), make).await
    }

    /// The stored bytes of a segment, checked.
    async fn stored(&self, level: &Level, segment: &Segment) -> Result<Bytes> {
        let object = level.recipe.objects.get(segment.object as usize);
        let key = &data_key(object.ok_or_else(short_segment)?)?;
        let range = segment.at..segment.at.saturating_add(u64::from(segment.stored));
        let damaged = || PageStoreError::damaged(format!("object {key} at byte {}", segment.at));
        let bytes = match level.whole.as_ref().filter(|_| segment.object == 0) {
            Some(whole) => {
                let whole = self.whole(whole, key).await?;
                let at = |offset: u64| usize::try_from(offset).ok().filter(|&at| at <= whole.len());
                let (start, end) = at(range.start).zip(at(range.end)).ok_or_else(damaged)?;
                whole.slice(start..end)
            }
            None => {
                let read = self.store.objects.get_range(key, range).await;
                read.map_err(|e| PageStoreError::reading(key.as_str(), e))?
            }
        };
        if codec::checksum(&bytes) != segment.stored_checksum {
            return Err(damaged());
        }
        Ok(bytes)
    }

    /// A small data object, read once.
    async fn whole<'a>(&self, slot: &'a OnceCell<Bytes>, key: &Key) -> Result<&'a Bytes> {
        let read = async {
            let read = self.store.objects.get(key).await;
            Ok(read.map_err(|e| PageStoreError::reading(key.as_str(), e))?.bytes)
        };
        slot.get_or_try_init(|| read).await
    }

    fn extent(&self, level: usize, extent: usize) -> Result<&Extent> {
        self.levels[level].recipe.extents.get(extent).ok_or_else(short_segment)
    }
}

/// Takes wanted pages from a block: literals at once, the rest from below.
fn take(
    block: &Arc<Block>,
    want: Want,
    out: &mut [u8],
    below: &mut Vec<Want>,
    shared: &mut Vec<SharedWant>,
    patches: &mut Vec<Patch>,
) -> Result<()> {
    let first = (want.page % SEGMENT_PAGES as u64) as u32;
    let pages = u32::try_from(want.pages).map_err(|_| short_segment())?;
    let mut covered = 0;
    for run in block.runs(first, pages) {
        let slot = want.slot + (run.page - first) as usize;
        covered += run.pages;
        match run.op {
            Op::Zero => zero(out, slot, u64::from(run.pages)),
            Op::New { literal } => {
                let bytes = block.literals(literal, run.pages);
                out[slot * PAGE..slot * PAGE + bytes.len()].copy_from_slice(bytes);
            }
            Op::Shared { source, literal } => {
                shared.push(SharedWant { source, literal, pages: run.pages, slot });
            }
            Op::Same { base } => {
                push_want(below, Want { page: base, pages: u64::from(run.pages), slot });
            }
            Op::Changed { base, changed } => {
                push_want(below, Want { page: base, pages: u64::from(run.pages), slot });
                patches.extend((0..run.pages).map(|i| Patch {
                    block: Arc::clone(block),
                    changed: changed + i,
                    slot: slot + i as usize,
                }));
            }
        }
    }
    if covered == pages { Ok(()) } else { Err(short_segment()) }
}

fn zero(out: &mut [u8], slot: usize, pages: u64) {
    out[slot * PAGE..(slot + pages as usize) * PAGE].fill(0);
}

/// Appends a want, to the one before it where it goes on.
pub(crate) fn push_want(wants: &mut Vec<Want>, next: Want) {
    if let Some(last) = wants.last_mut()
        && last.page + last.pages == next.page
        && last.slot as u64 + last.pages == next.slot as u64
    {
        last.pages += next.pages;
    } else {
        wants.push(next);
    }
}

/// Cuts wants at the borders of segments and groups them by segment.
fn by_segment(wants: &[Want]) -> BTreeMap<usize, Vec<Want>> {
    const PAGES: u64 = SEGMENT_PAGES as u64;
    let mut groups: BTreeMap<usize, Vec<Want>> = BTreeMap::new();
    for want in wants {
        let mut left = *want;
        while left.pages > 0 {
            let pages = left.pages.min(PAGES - left.page % PAGES);
            let part = Want { pages, ..left };
            groups.entry((left.page / PAGES) as usize).or_default().push(part);
            left = Want {
                page: left.page + pages,
                pages: left.pages - pages,
                slot: left.slot + pages as usize,
            };
        }
    }
    groups
}

/// Whether a layer is one file, stored as it was pushed.
fn is_file(recipe: &Recipe) -> bool {
    let mut segments = recipe.extents.iter().flat_map(|extent| &extent.segments);
    segments.all(|segment| segment.encoding == Encoding::Raw as i32)
}

fn find(recipe: &Recipe, extent: usize, segment: usize) -> Result<&Segment> {
    recipe.extents.get(extent).and_then(|e| e.segments.get(segment)).ok_or_else(short_segment)
}

fn short_segment() -> PageStoreError {
    PageStoreError::damaged("a recipe names pages that its base does not have")
}

fn checked(bytes: Bytes, segment: &Segment) -> Result<Bytes> {
    if bytes.len() == segment.bytes as usize && codec::checksum(&bytes) == segment.checksum {
        return Ok(bytes);
    }
    Err(PageStoreError::damaged("a segment does not decode to what was stored"))
}
