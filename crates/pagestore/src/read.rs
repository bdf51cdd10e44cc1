//! Reading a layer back: segments are decoded ahead of the reader, in parallel, and each is checked
//! before a byte of it is given out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::block::{Block, Op, SEGMENT_PAGES};
use crate::cache::BlockCache;
use crate::error::PageStoreError;
use crate::recipe::{Encoding, Extent, Recipe, Segment};
use crate::store::{PageStore, data_key};
use crate::{PAGE, Result, codec};

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
    cache: BlockCache,
    window: usize,
}

#[derive(Debug)]
struct Level {
    recipe: Arc<Recipe>,
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
        let levels = recipes.into_iter().map(|recipe| Level { recipe }).collect();
        let window_bytes = store.options.window_bytes;
        // Half for segments under way (a block and what it decodes to, at once), half for blocks
        // that neighbours share.
        let window = (window_bytes / (4 * crate::SEGMENT_MAX as usize)).clamp(1, 16);
        let cache = BlockCache::new(window_bytes / 2);
        Self { inner: Arc::new(Inner { store, levels, cache, window }) }
    }

    /// Bytes of the layer.
    pub fn bytes(&self) -> u64 {
        self.inner.levels.first().map_or(0, |level| level.recipe.bytes)
    }

    pub(crate) fn recipe(&self) -> Option<&Recipe> {
        self.inner.levels.first().map(|level| level.recipe.as_ref())
    }

    /// The bytes of a range, which is cut to the layer. A damaged segment ends the stream with an
    /// error before any byte of that segment.
    pub fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let end = range.end.min(self.bytes());
        let segments = SegmentsOf { inner: Arc::clone(&self.inner), offset: range.start, end };
        let window = self.inner.window;
        let inner = Arc::clone(&self.inner);
        stream::iter(segments)
            .map(move |(extent, segment, cut)| {
                let inner = Arc::clone(&inner);
                // Spawned, so that segments are decoded while the reader is busy elsewhere.
                let workers = inner.store.options.workers;
                let task = workers.spawn(async move { inner.segment(extent, segment).await });
                async move { Ok(task.await?.slice(cut)) }
            })
            .buffered(window)
            .boxed()
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
    type Item = (usize, usize, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.end {
            return None;
        }
        let recipe = &self.inner.levels.first()?.recipe;
        let (extent, segment, start) = recipe.locate(self.offset)?;
        let bytes = u64::from(recipe.extents.get(extent)?.segments.get(segment)?.bytes);
        let stop = (start + bytes).min(self.end);
        let within = |offset: u64| usize::try_from(offset - start).ok();
        let cut = within(self.offset)?..within(stop)?;
        self.offset = stop;
        Some((extent, segment, cut))
    }
}

impl Inner {
    /// Decodes and checks one segment of the layer.
    async fn segment(self: Arc<Self>, extent: usize, number: usize) -> Result<Bytes> {
        let level = self.levels.first().ok_or_else(|| PageStoreError::damaged("no recipe"))?;
        let segment = *find(&level.recipe, extent, number)?;
        let bytes = match Encoding::try_from(segment.encoding) {
            Ok(Encoding::Raw) => self.stored(level, &segment).await?,
            Ok(Encoding::Zero) => Bytes::from(vec![0; segment.bytes as usize]),
            Ok(Encoding::Zstd) => {
                let stored = self.stored(level, &segment).await?;
                let decode = move || {
                    let raw = codec::decompress(&stored, segment.bytes as usize)?;
                    checked(raw.into(), &segment)
                };
                return self.store.offload(decode).await;
            }
            _ => {
                let pages = segment.bytes as usize / PAGE;
                let mut out = vec![0; segment.bytes as usize];
                let page = (number * SEGMENT_PAGES) as u64;
                let want = Want { page, pages: pages as u64, slot: 0 };
                self.gather(extent, vec![want], &mut out).await?;
                out.into()
            }
        };
        checked(bytes, &segment)
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
                        take(&block, want, out, &mut below, patches)?;
                    }
                }
                _ => self.plain_pages(level, &segment, number, &parts, out).await?,
            }
        }
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
            let decode = move || Ok(Block::decode(&stored, segment.bytes as usize / PAGE)?);
            self.store.offload(decode).await
        };
        self.cache.get((level, extent, number), make).await
    }

    /// The stored bytes of a segment, checked.
    async fn stored(&self, level: &Level, segment: &Segment) -> Result<Bytes> {
        let object = level.recipe.objects.get(segment.object as usize);
        let key = &data_key(object.ok_or_else(short_segment)?)?;
        let end = segment.at.saturating_add(u64::from(segment.stored));
        let read = self.store.objects.get_range(key, segment.at..end).await;
        let bytes = read.map_err(|e| PageStoreError::reading(key.as_str(), e))?;
        if codec::checksum(&bytes) != segment.stored_checksum {
            let what = format!("object {} at byte {}", key.as_str(), segment.at);
            return Err(PageStoreError::Damaged(what));
        }
        Ok(bytes)
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
    patches: &mut Vec<Patch>,
) -> Result<()> {
    let first = (want.page % SEGMENT_PAGES as u64) as u32;
    let pages = u32::try_from(want.pages).map_err(|_| short_segment())?;
    let mut covered = 0;
    for run in block.runs(first, pages) {
        let slot = want.slot + (run.page - first) as usize;
        covered += run.pages;
        match run.op {
            Op::Zero => {}
            Op::New { literal } => {
                let bytes = block.literals(literal, run.pages);
                out[slot * PAGE..slot * PAGE + bytes.len()].copy_from_slice(bytes);
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
