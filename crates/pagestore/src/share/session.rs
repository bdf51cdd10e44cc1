//! What a writer keeps of sharing: whom it asks, what it names, and the hooks of what it stores.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pagevault_objects::Precondition;
use tokio::sync::{Notify, mpsc};

use super::domain::Domain;
use super::find::{Finder, Shares};
use super::hooks::{ObjectHooks, hooks_key, number};
use super::index::{Hook, Location};
use super::matching::RUN_MIN;
use crate::block::{Block, Op, SEGMENT_PAGES, literal_frame};
use crate::recipe::Frame;
use crate::store::PageStore;
use crate::write::Ask;
use crate::{Result, codec};

/// What the segments of an extent tell each other.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// Sources, numbered as they are found.
    frames: Mutex<Vec<Frame>>,
    trail: Mutex<Trail>,
    /// Told when the search for a segment is over.
    moved: Notify,
}

#[derive(Debug, Default)]
struct Trail {
    /// For each segment that shares, where its last shared page was found.
    ends: BTreeMap<u64, Location>,
    /// Segments that are not searched for any more.
    over: BTreeSet<u64>,
}

/// The search for a segment: over when this is dropped, whatever came of it.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    sources: &'a Sources,
    segment: u64,
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        self.sources.trail().over.insert(self.segment);
        self.sources.moved.notify_waiters();
    }
}

/// Over so many segments pages are expected to lie as far apart as in another object.
const TRAIL_MAX: u64 = 8;

impl Sources {
    /// The number of a source; pages used of it are added up.
    pub(super) fn number(&self, frame: Frame) -> u32 {
        let mut all = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|s| s.object == frame.object && s.at == frame.at);
        let place = known.unwrap_or(all.len());
        match all.get_mut(place) {
            Some(source) => source.used = (source.used + frame.used).min(source.pages),
            None => all.push(frame),
        }
        place as u32
    }

    fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with a segment. All are to begin, in order.
    pub(crate) fn search(&self, segment: u64) -> Search<'_> {
        Search { sources: self, segment }
    }

    pub(super) fn leave(&self, segment: u64, at: Location) {
        self.trail().ends.insert(segment, at);
    }

    /// Where pages of a segment are to be expected, going by those before it: a segment need have
    /// no hook to go on where they ended. Waits for the one before it; none waits for a later one.
    pub(super) async fn expected(&self, segment: u64) -> Vec<Location> {
        while let Some(before) = segment.checked_sub(1) {
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.trail().over.contains(&before) {
                break;
            }
            moved.await;
        }
        let trail = self.trail();
        let mut before = trail.ends.range(segment.saturating_sub(TRAIL_MAX)..segment);
        let Some((number, at)) = before.next_back() else { return Vec::new() };
        let block = at.block.saturating_add((segment - number - 1) as u32);
        [block, block.saturating_add(1)].map(|block| Location { block, ..*at }).into()
    }

    pub(crate) fn take(&self) -> Vec<Frame> {
        std::mem::take(&mut *self.frames.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The literals of a new block, for the index. `frame.at` is counted from the start of the block.
#[derive(Debug)]
pub(crate) struct Indexed {
    frame: Frame,
    /// Id and literal.
    hooks: Vec<(u64, u32)>,
}

/// Sharing, as one writer does it.
#[derive(Debug)]
pub(crate) struct Session {
    domain: Arc<Domain>,
    pub(crate) finder: Arc<Finder>,
    blocks: Vec<Frame>,
    hooks: Vec<Hook>,
}

impl Session {
    /// Begins to share, if the store is to. Without its key a domain goes without. `asks` is where the
    /// writer hears which objects it is to name.
    pub(crate) async fn begin(
        store: &PageStore,
        domain: &str,
        asks: mpsc::UnboundedSender<Ask>,
    ) -> Option<Self> {
        if !store.options.share {
            return None;
        }
        let domain = store.domain(domain).await.ok()?;
        let finder = Arc::new(Finder::new(store.clone(), Arc::clone(&domain), asks));
        Some(Self { domain, finder, blocks: Vec::new(), hooks: Vec::new() })
    }

    /// Takes note of a block that was written at that place of the writer's object.
    pub(crate) fn record(&mut self, at: u64, indexed: Indexed) {
        let frame = Frame { at: at + indexed.frame.at, ..indexed.frame };
        let block = self.blocks.len() as u32;
        let hook = |(id, literal)| Hook { id, block, literal };
        self.hooks.extend(indexed.hooks.into_iter().map(hook));
        self.blocks.push(frame);
    }

    /// Stores the hooks of an object that has been written, and returns how many bytes they take.
    pub(crate) async fn store(&mut self, store: &PageStore, object: &str) -> Result<u64> {
        let (domain, key) = (self.domain.name.clone(), self.domain.key.name());
        let (blocks, hooks) = (std::mem::take(&mut self.blocks), std::mem::take(&mut self.hooks));
        let stored = ObjectHooks { domain, key, blocks, hooks };
        let bytes = put_hooks(store, object, &stored).await?;
        self.hooks = stored.hooks;
        Ok(bytes)
    }

    /// Lets others find what was stored, once it is there for good.
    pub(crate) fn publish(self, object: &str) {
        if let Some(object) = number(object) {
            self.domain.add(object, &self.hooks);
        }
    }
}

/// Writes the hooks of an object, if it has any.
pub(super) async fn put_hooks(store: &PageStore, object: &str, hooks: &ObjectHooks) -> Result<u64> {
    if hooks.hooks.is_empty() {
        return Ok(0);
    }
    let bytes = Bytes::from(hooks.to_bytes());
    let len = bytes.len() as u64;
    store.objects.put(&hooks_key(object)?, bytes, Precondition::None).await?;
    Ok(len)
}

/// What the index is to know of a new block.
pub(crate) fn index_block(stored: &[u8], block: &Block, shares: &Shares) -> Option<Indexed> {
    let (range, pages) = literal_frame(stored)?;
    if (pages as usize) < RUN_MIN {
        // No run that is long enough can come from it.
        return None;
    }
    let literal = |page: usize| {
        let run = block.runs(page as u32, 1).next()?;
        if let Op::New { literal } = run.op { Some(literal) } else { None }
    };
    let hook = |&(page, id): &(usize, u64)| Some((id, literal(page)?));
    let hooks = shares.hooks.iter().filter_map(hook).collect();
    debug_assert!(pages as usize <= SEGMENT_PAGES);
    let frame = Frame {
        at: range.start as u64,
        stored: range.len() as u32,
        checksum: codec::checksum(stored.get(range)?),
        pages,
        ..Frame::default()
    };
    Some(Indexed { frame, hooks })
}
