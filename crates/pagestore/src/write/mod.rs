//! Writing a layer: parts in, one data object and one recipe out.

mod alive;
mod begin;
mod chunks;
mod commit;
mod copy;
mod encode;
mod naming;

pub(crate) use self::commit::lost;
pub(crate) use self::naming::{Answer, Ask};

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture, FutureExt};
use futures_util::stream::{self, BoxStream, StreamExt};
use pagevault_objects::{ObjectWriter, Version};

use self::chunks::{Chunk, Chunks, cut};
use self::encode::{Done, Job, Plan, encode_segment};
use self::naming::Naming;
use crate::collect::Hold;
use crate::error::PageStoreError;
use crate::mapping::{self, Stretch};
use crate::read::LayerReader;
use crate::recipe::{Encoding, Extent, Frame, Recipe, Segment, Space};
use crate::share::{Session, Sources};
use crate::source::Source;
use crate::store::{PageStore, RecipeId, data_key};
use crate::{PAGE, Result, policy, work};

/// First bytes of a data object that a writer made.
pub(crate) const DATA_MAGIC: [u8; 16] = *b"PVDATA\x01\0\0\0\0\0\0\0\0\0";

/// A part of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Where it begins in the layer.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
    /// What it holds.
    pub kind: PartKind,
}

/// What a part of a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// Anything.
    Bytes,
    /// A large member of an archive, from its first byte to its last: it is cut where its content
    /// says so, and each chunk is looked for in the layer before.
    Member,
    /// Memory pages: the space of that number, as given to [`PageStore::writer`].
    Pages(usize),
}

/// How many pages were stored by which means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageCounts {
    /// Nothing but zero bytes.
    pub zero: u64,
    /// Equal to the base.
    pub same: u64,
    /// Stored as a difference.
    pub changed: u64,
    /// Stored whole.
    pub new: u64,
    /// Equal to pages that another lineage stored.
    pub shared: u64,
}

/// Bytes of large members that are no pages, by what was done with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberBytes {
    /// Nothing but zeros: not stored.
    pub zero: u64,
    /// In chunks that the layer before has: not stored.
    pub found: u64,
    /// In chunks that were stored.
    pub new: u64,
}

/// What a writer did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteStats {
    /// Pages, by means.
    pub pages: PageCounts,
    /// Large members, by means.
    pub members: MemberBytes,
    /// Stored bytes of pages.
    pub page_bytes: u64,
    /// Stored bytes of everything else.
    pub other_bytes: u64,
    /// Stored bytes of the recipe.
    pub recipe_bytes: u64,
}

impl WriteStats {
    /// All bytes that were added to the store.
    pub fn stored_bytes(&self) -> u64 {
        self.page_bytes + self.other_bytes + self.recipe_bytes
    }
}

/// A layer that is stored.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its recipe.
    pub id: RecipeId,
    /// What storing it took.
    pub stats: WriteStats,
    /// Whether it is a delta.
    pub delta: bool,
    /// Keeps it from collectors of this process until a record names it.
    pub hold: Hold,
}

/// Writes one layer. Dropped without [`commit`](LayerWriter::commit), it leaves a pending recipe
/// that collection removes.
pub struct LayerWriter {
    store: PageStore,
    id: RecipeId,
    version: Version,
    /// The recipe as it will be committed; pending until then.
    recipe: Recipe,
    spaces: Vec<Space>,
    base: Option<BaseOf>,
    object: Option<Box<dyn ObjectWriter>>,
    written: u64,
    stats: WriteStats,
    used_base: bool,
    share: Option<Session>,
    chunks: Arc<Chunks>,
    naming: Naming,
    over: Option<Over>,
    hold: Hold,
    renewed: Instant,
}

/// The recipe whose place a layer takes.
#[derive(Debug)]
struct Over {
    id: RecipeId,
    seen: Version,
    name: String,
    /// Where it is read again and compared, and which checkpoint since the keyframe it stays.
    same: Option<(LayerReader, u32)>,
}

#[derive(Debug)]
struct BaseOf {
    reader: LayerReader,
    /// For each space, the extent of the base that it is compared with.
    extents: Vec<Option<u32>>,
}

impl fmt::Debug for LayerWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerWriter")
            .field("id", &self.id)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl LayerWriter {
    /// Stores a part: its segments are encoded in parallel, checked, and appended in order.
    pub async fn write(&mut self, part: Part, source: &Arc<dyn Source>) -> Result<()> {
        self.renew().await?;
        let (plan, mut extent) = self.plan(part)?;
        let window = work::at_once(self.store.options.window_bytes, 6);
        let plan = Arc::new(plan);
        let mut encoded = match part.kind {
            PartKind::Member => self.encode_member(part, source).buffered(window).boxed(),
            _ => self.encode_part(&plan, part, source).buffered(window).boxed(),
        };
        while let Some(done) = self.next(&mut encoded).await? {
            extent.segments.push(self.keep(part, done).await?);
        }
        if let Some((_, sources)) = &plan.share {
            extent.sources = sources.take();
        }
        self.recipe.extents.push(extent);
        Ok(())
    }

    /// The segments of a part, being encoded.
    fn encode_part(&self, plan: &Arc<Plan>, part: Part, source: &Arc<dyn Source>) -> Jobs {
        let workers = self.store.options.workers;
        let (plan, source) = (Arc::clone(plan), Arc::clone(source));
        let encode =
            move |job| workers.spawn(encode_segment(Arc::clone(&plan), job, Arc::clone(&source)));
        stream::iter(Job::all(part)).map(encode).boxed()
    }

    /// The chunks of a member, being encoded.
    fn encode_member(&self, part: Part, source: &Arc<dyn Source>) -> Jobs {
        let (workers, chunks) = (self.store.options.workers, Arc::clone(&self.chunks));
        let encode = move |chunk: Result<Chunk>| match chunk {
            Ok(chunk) => workers.spawn(Arc::clone(&chunks).encode(chunk)),
            Err(error) => future::ready(Err(error)).boxed(),
        };
        cut(part, Arc::clone(source), workers).map(encode).boxed()
    }

    /// Appends an encoded segment to the data object.
    async fn keep(&mut self, part: Part, done: Done) -> Result<Segment> {
        let Done { mut segment, stored, counts, indexed } = done;
        if part.kind == PartKind::Member {
            self.stats.members.count(&segment, stored.is_empty());
        }
        if !stored.is_empty() {
            let bytes = stored.len() as u64;
            segment.at = self.append(stored.into()).await?;
            let paged = matches!(part.kind, PartKind::Pages(_));
            *(if paged { &mut self.stats.page_bytes } else { &mut self.stats.other_bytes }) +=
                bytes;
        }
        if let (Some(share), Some(indexed)) = (&mut self.share, indexed) {
            share.record(segment.at, indexed);
        }
        self.used_base |= counts.same + counts.changed > 0;
        add(&mut self.stats.pages, counts);
        Ok(segment)
    }

    /// What a part is compared with, and the extent that it becomes.
    fn plan(&self, part: Part) -> Result<(Plan, Extent)> {
        let (workers, level) = (self.store.options.workers, self.store.options.level);
        let plain = Plan { workers, paged: false, level, base: None, share: None };
        let mut extent = Extent { offset: part.offset, bytes: part.bytes, ..Extent::default() };
        let PartKind::Pages(number) = part.kind else {
            return Ok((plain, extent));
        };
        let space = self.spaces.get(number).filter(|s| {
            let pages = s.runs.iter().fold(0u64, |sum, run| sum.saturating_add(run.pages));
            pages.checked_mul(PAGE as u64) == Some(part.bytes)
        });
        let Some(space) = space else {
            // Page maps that do not fit the file: stored like any other bytes.
            return Ok((plain, extent));
        };
        extent.space = Some(space.clone());
        let base = self.base.as_ref().and_then(|base| {
            let number = (*base.extents.get(number)?)?;
            let theirs = base.reader.recipe()?.extents.get(number as usize)?.space.as_ref()?;
            extent.base_extent = number;
            let stretches: Vec<Stretch> = mapping::join(&space.runs, &theirs.runs);
            Some((base.reader.clone(), number as usize, stretches))
        });
        let finder = |session: &Session| (Arc::clone(&session.finder), Sources::default());
        let share = self.share.as_ref().map(finder);
        Ok((Plan { paged: true, base, share, ..plain }, extent))
    }

    async fn open_object(&mut self) -> Result<()> {
        let name = self.recipe.objects.first().cloned().unwrap_or_default();
        let mut writer = self.store.objects.writer(&data_key(&name)?).await?;
        writer.write(Bytes::from_static(&DATA_MAGIC)).await?;
        self.written = DATA_MAGIC.len() as u64;
        self.object = Some(writer);
        Ok(())
    }

    /// Appends to the data object, which is opened when there is something to put in.
    async fn append(&mut self, bytes: Bytes) -> Result<u64> {
        if self.object.is_none() {
            self.open_object().await?;
        }
        let at = self.written;
        self.written += bytes.len() as u64;
        if let Some(writer) = &mut self.object {
            writer.write(bytes).await?;
        }
        Ok(at)
    }

    /// Whether what was written may stay a delta: deltas under a reader are bounded. If not, it is
    /// to be abandoned and written again without a base.
    pub fn fits(&self) -> bool {
        let base = self.base.as_ref().and_then(|base| base.reader.recipe());
        base.is_none_or(|base| !self.used_base || policy::may_extend(base, self.cost()))
    }

    /// Lets the layer take the place of a recipe that makes the same bytes: whoever names that one
    /// reads this one from then on.
    pub async fn replacing(mut self, id: &RecipeId) -> Result<Self> {
        let (recipe, seen) = self.store.recipe(id).await?;
        if self.recipe.chain.contains(&id.0) {
            return Err(PageStoreError::Unsuited("a layer cannot stand on itself".to_owned()));
        }
        self.over = Some(Over { id: id.clone(), seen, name: recipe.name, same: None });
        Ok(self)
    }

    /// The same for a layer that is made of that recipe itself, as it was seen: before it takes the
    /// place, both are read and compared.
    pub(crate) fn instead(&mut self, id: &RecipeId, seen: Version, of: (&Recipe, LayerReader)) {
        let (recipe, reader) = of;
        let same = Some((reader, recipe.generation));
        self.over = Some(Over { id: id.clone(), seen, name: recipe.name.clone(), same });
    }

    /// Lets it name none of these objects.
    pub(crate) fn refuse(&mut self, objects: &[String]) {
        self.naming.refuse(objects);
    }

    /// Bytes of its data object so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// What it did so far.
    pub fn stats(&self) -> WriteStats {
        self.stats
    }

    /// What a reader must read of this layer: what was written, and as much for what is shared.
    fn cost(&self) -> u64 {
        let sources = self.recipe.extents.iter().flat_map(|extent| &extent.sources);
        self.written + sources.map(Frame::used_bytes).sum::<u64>()
    }
}

/// Segments being encoded, in order.
type Jobs = BoxStream<'static, BoxFuture<'static, Result<Done>>>;

impl MemberBytes {
    fn count(&mut self, chunk: &Segment, stored_already: bool) {
        let kind = match chunk.encoding {
            zero if zero == Encoding::Zero as i32 => &mut self.zero,
            _ if stored_already => &mut self.found,
            _ => &mut self.new,
        };
        *kind += u64::from(chunk.bytes);
    }
}

fn add(sum: &mut PageCounts, counts: crate::block::Counts) {
    sum.zero += u64::from(counts.zero);
    sum.same += u64::from(counts.same);
    sum.changed += u64::from(counts.changed);
    sum.new += u64::from(counts.new);
    sum.shared += u64::from(counts.shared);
}

#[cfg(test)]
mod tests;
