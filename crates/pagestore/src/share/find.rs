//! Finding the pages of a segment in what is stored already.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pagevault_objects::ErrorKind;
use tokio::sync::mpsc;

use super::budget::Budget;
use super::domain::Domain;
use super::hooks::name;
use super::index::Location;
use super::key::{PageKey, SAMPLE};
use super::matching::{Found, RUN_MIN, Wanted, find_runs};
use super::read::read_frame;
use super::session::Sources;
use crate::block::{Base, Block, Draft, Place};
use crate::cache::BlockCache;
use crate::error::PageStoreError;
use crate::recipe::Frame;
use crate::store::PageStore;
use crate::write::{Answer, Ask};
use crate::{PAGE, Result};

/// Most sources of a segment. Where pages lie in the order of another block, two hold them all;
/// neighbouring segments have one in common.
const SOURCES_MAX: usize = 3;
/// Most blocks that are read for a segment.
const TRIES_MAX: usize = 6;
/// Most hooks of a block: memory that is the same page over and over is no reason for more.
const HOOKS_MAX: usize = 16;

/// Looks for pages on behalf of one writer.
#[derive(Debug)]
pub(crate) struct Finder {
    store: PageStore,
    domain: Arc<Domain>,
    /// Literals of blocks that were read.
    cache: BlockCache,
    budget: Budget,
    /// To the writer, which names objects.
    asks: mpsc::UnboundedSender<Ask>,
    /// What the writer said of objects: their number in its recipe, or that they cannot be used.
    answers: Mutex<HashMap<u128, Option<u32>>>,
}

/// What was found out about a segment.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// The segment, compared with its base; to be made anew where there are places.
    pub(crate) draft: Option<Draft>,
    /// For each page, where it is found.
    pub(crate) places: Vec<Option<Place>>,
    /// The sources that places name, as they were read.
    pub(crate) blocks: Vec<(u32, Arc<Block>)>,
    /// Hooks among the pages that are stored whole if no place is found: page and id.
    pub(crate) hooks: Vec<(usize, u64)>,
}

/// A block in which pages may be found.
struct Candidate {
    frame: Frame,
    block: Arc<Block>,
}

impl Shares {
    /// Whether pages of a segment equal literals of a source.
    pub(crate) fn equal(&self, source: u32, literal: u32, pages: &[u8]) -> bool {
        let count = (pages.len() / PAGE) as u32;
        let block = self.blocks.iter().find(|(number, _)| *number == source);
        block.is_some_and(|(_, block)| block.find_literals(literal, count) == Some(pages))
    }
}

impl Finder {
    pub(super) fn new(
        store: PageStore,
        domain: Arc<Domain>,
        asks: mpsc::UnboundedSender<Ask>,
    ) -> Self {
        let cache = BlockCache::new(store.options.window_bytes / 4);
        let budget = Budget::new();
        Self { store, domain, cache, budget, asks, answers: Mutex::default() }
    }

    /// Compares a segment with its base, and looks for the pages that would be stored whole.
    pub(crate) async fn find(
        self: &Arc<Self>,
        (sources, segment): (&Sources, u64),
        raw: &Bytes,
        base: &Arc<Base>,
    ) -> Result<Shares> {
        let (domain, bytes, base) = (Arc::clone(&self.domain), raw.clone(), Arc::clone(base));
        let work = move || {
            let draft = Draft::new(&bytes, &base, &[]);
            let (wanted, hooks) = sample(&domain, &bytes, &draft);
            Ok((draft, wanted, hooks))
        };
        let (draft, wanted, hooks) = self.store.offload(work).await?;
        let mut shares = Shares { draft: Some(draft), hooks, ..Shares::default() };
        self.search((sources, segment), raw, wanted, &mut shares).await?;
        Ok(shares)
    }

    async fn search(
        self: &Arc<Self>,
        (sources, segment): (&Sources, u64),
        raw: &Bytes,
        wanted: Vec<Wanted>,
        shares: &mut Shares,
    ) -> Result<()> {
        let mut wanted = Arc::new(wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let mut queue = self.candidates(&shares.hooks);
        self.budget.segment();
        let (mut end, mut waited) = (0, false);
        let mut tried = HashSet::new();
        loop {
            if queue.is_empty() && shares.blocks.is_empty() && !waited {
                // No hook that is known: perhaps it goes on where the segment before it ended.
                queue.extend(sources.expected(segment).await);
                waited = true;
            }
            let Some(at) = queue.pop_front() else { break };
            let enough = shares.blocks.len() == SOURCES_MAX || wanted.len() < RUN_MIN;
            if enough || tried.len() == TRIES_MAX {
                break;
            }
            if !tried.insert(at) {
                continue;
            }
            if !self.budget.take() {
                break;
            }
            let Some(candidate) = self.candidate(at).await else { continue };
            let (runs, left) = self.compare(raw, &wanted, &candidate.block).await?;
            if runs.is_empty() {
                continue;
            }
            let Some(object) = self.object(at.object).await? else { continue };
            wanted = Arc::new(left);
            self.budget.found(runs.iter().map(|run| run.pages).sum());
            let used = runs.iter().map(|run| run.pages as u32).sum();
            let source = sources.number(Frame { object, used, ..candidate.frame });
            if shares.places.is_empty() {
                shares.places = vec![None; raw.len() / PAGE];
                shares.draft = None;
            }
            for run in &runs {
                place(run, source, &mut shares.places);
            }
            if let Some(last) = runs.last().filter(|last| last.page + last.pages > end) {
                end = last.page + last.pages;
                sources.leave(segment, at);
            }
            neighbours(at, &runs, &wanted, &mut queue);
            shares.blocks.push((source, candidate.block));
        }
        Ok(())
    }

    /// Blocks with the most hooks in common first.
    fn candidates(&self, hooks: &[(usize, u64)]) -> VecDeque<Location> {
        let mut counts: HashMap<Location, usize> = HashMap::new();
        for location in self.domain.find(hooks.iter().map(|&(_, id)| id)) {
            *counts.entry(location).or_default() += 1;
        }
        let mut ranked: Vec<_> = counts.into_iter().collect();
        ranked.sort_by_key(|&(location, count)| (std::cmp::Reverse(count), location));
        ranked.into_iter().map(|(location, _)| location).collect()
    }

    /// Reads a block. One that cannot be read is not used. An object may be gone since it was
    /// indexed; then it is forgotten.
    async fn candidate(&self, at: Location) -> Option<Candidate> {
        let read = async {
            let table = self.domain.table(self.store.objects.as_ref(), at.object).await?;
            let Some(frame) = table.get(at.block as usize).copied() else { return Ok(None) };
            let name = ((at.object >> 64) as usize, at.object as usize, at.block as usize);
            let make = read_frame(&self.store, super::hooks::name(at.object), frame);
            Ok(Some(Candidate { frame, block: self.cache.get(name, make).await? }))
        };
        match read.await {
            Ok(candidate) => candidate,
            Err(PageStoreError::Store(e)) if e.kind() != ErrorKind::NotFound => None,
            Err(_) => {
                self.domain.forget(at.object);
                None
            }
        }
    }

    /// The runs that a block holds, and what is wanted beside them.
    async fn compare(
        &self,
        raw: &Bytes,
        wanted: &Arc<Vec<Wanted>>,
        block: &Arc<Block>,
    ) -> Result<(Vec<Found>, Vec<Wanted>)> {
        let (domain, raw, block) = (Arc::clone(&self.domain), raw.clone(), Arc::clone(block));
        let wanted = Arc::clone(wanted);
        let work = move || {
            let literals = block.literals(0, block.literal_count()).chunks_exact(PAGE);
            let fingerprints: Vec<u64> = literals.map(|l| domain.key.fingerprint(l)).collect();
            let runs = find_runs(&raw, &wanted, &block, &fingerprints);
            let within = |page: usize| {
                let run = runs[..runs.partition_point(|run| run.page <= page)].last();
                run.is_some_and(|run| page < run.page + run.pages)
            };
            let left = wanted.iter().filter(|want| !within(want.page)).copied().collect();
            Ok((runs, left))
        };
        self.store.offload(work).await
    }

    /// The number of an object in the recipe, once that names it and it is certain to be kept.
    async fn object(&self, object: u128) -> Result<Option<u32>> {
        let known = || {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.get(&object).copied()
        };
        if let Some(answer) = known() {
            return Ok(answer);
        }
        let answer = Ask::send(&self.asks, name(object)).await?;
        if answer == Answer::Gone {
            self.domain.forget(object);
        }
        let answer = answer.number();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(object, answer);
        Ok(answer)
    }
}

/// Fingerprints of the pages that are to be stored whole, and the ids of hooks among them. Only
/// those are hashed with BLAKE3: the fingerprint chooses them.
fn sample(domain: &Domain, raw: &[u8], draft: &Draft) -> (Vec<Wanted>, Vec<(usize, u64)>) {
    if (draft.counts().new as usize) < RUN_MIN {
        return (Vec::new(), Vec::new());
    }
    let pages = draft.whole_runs().flat_map(|run| run.page..run.page + run.pages);
    sample_pages(&domain.key, pages.map(|page| page as usize), raw)
}

/// The same of pages of those numbers.
pub(super) fn sample_pages(
    key: &PageKey,
    pages: impl Iterator<Item = usize>,
    raw: &[u8],
) -> (Vec<Wanted>, Vec<(usize, u64)>) {
    let mut wanted = Vec::new();
    let mut hooks = Vec::new();
    let mut seen = HashSet::new();
    for page in pages {
        let bytes = &raw[page * PAGE..(page + 1) * PAGE];
        let fingerprint = key.fingerprint(bytes);
        wanted.push(Wanted { page, fingerprint });
        let hook = fingerprint.is_multiple_of(SAMPLE) && hooks.len() < HOOKS_MAX;
        if hook && seen.insert(fingerprint) {
            hooks.push((page, key.id(bytes)));
        }
    }
    (wanted, hooks)
}

fn place(run: &Found, source: u32, places: &mut [Option<Place>]) {
    let pages = places.iter_mut().skip(run.page).take(run.pages);
    for (place, literal) in pages.zip(run.literal..) {
        *place = Some((source, literal));
    }
}

/// What is wanted before and after the runs of a block may be in the blocks beside it.
fn neighbours(at: Location, runs: &[Found], wanted: &[Wanted], queue: &mut VecDeque<Location>) {
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return };
    let before = wanted.iter().filter(|want| want.page < first.page).count();
    let after = wanted.iter().filter(|want| want.page >= last.page + last.pages).count();
    if before >= RUN_MIN
        && let Some(block) = at.block.checked_sub(1)
    {
        queue.push_front(Location { block, ..at });
    }
    if after >= RUN_MIN {
        queue.push_front(Location { block: at.block.saturating_add(1), ..at });
    }
}
