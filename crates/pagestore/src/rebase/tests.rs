//! What is buried under layers goes once they are stored anew.

use std::collections::BTreeSet;

use async_trait::async_trait;
use pagevault_objects::{MemoryStore, ObjectStore, Precondition};
use proptest::prelude::*;

use super::*;
use crate::collect::Names;
use crate::store::recipe_key;
use crate::*;

struct Named(BTreeSet<String>);

#[async_trait]
impl Roots for Named {
    async fn visit(&mut self, name: &mut Names<'_>) -> Result<(), RootsError> {
        self.0.iter().for_each(|id| name(id));
        Ok(())
    }
}

/// Noise, as its number says.
fn noise(number: u64, bytes: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let word = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..bytes / 8).map(word).flat_map(u64::to_le_bytes).collect()
}

const PAGES: usize = 600;
const MEMBER: usize = 300_000;

/// Checkpoints of one container: memory of which some pages are new each time, and a member.
struct Series {
    memory: MemoryStore,
    store: PageStore,
    /// What is stored, and whether a record names it.
    all: Vec<(RecipeId, Vec<u8>, bool)>,
}

impl Series {
    fn new() -> Self {
        let memory = MemoryStore::default();
        let options = PageStoreOptions {
            exclusive: true,
            workers: Workers::Inline,
            ..PageStoreOptions::default()
        };
        let store = PageStore::new(Arc::new(memory.clone()), options);
        Self { memory, store, all: Vec::new() }
    }

    /// One more, of which `fresh` pages are new, most of them where they were before, on the newest or on the one of that number.
    async fn put(&mut self, fresh: usize, on: Option<usize>) {
        let base = on.and_then(|on| self.all.get(on)).or(self.all.last());
        let first = || [noise(1, PAGES * PAGE), noise(2, MEMBER)].concat();
        let mut layer = base.map_or_else(first, |(_, layer, _)| layer.clone());
        let number = self.all.len() as u64;
        for i in 0..fresh {
            let page = (number as usize * 4 + i) % PAGES;
            layer[page * PAGE..(page + 1) * PAGE]
                .copy_from_slice(&noise(number * 1000 + i as u64, PAGE));
        }
        let runs = vec![AddressRun { address: 0x1000, pages: PAGES as u64 }];
        let space = Space { pid: 1, command: "c".into(), shmem: None, runs };
        let base = base.map(|(id, _, _)| id);
        let mut writer = self.store.writer("d", base, vec![space]).await.unwrap();
        let source: Arc<dyn Source> = Arc::new(layer.clone());
        let bytes = (PAGES * PAGE) as u64;
        let parts = [(0, bytes, PartKind::Pages(0)), (bytes, MEMBER as u64, PartKind::Member)];
        for (offset, bytes, kind) in parts {
            writer.write(Part { offset, bytes, kind }, &source).await.unwrap();
        }
        let name = format!("layer {number}");
        let committed = writer.commit(&name, layer.len() as u64).await.unwrap();
        self.all.push((committed.id, layer, true));
    }

    async fn collect(&self, dry_run: bool) -> CollectStats {
        let named = self.all.iter().filter(|(_, _, named)| *named).map(|(id, _, _)| id.0.clone());
        let options = CollectOptions { dry_run, grace_seconds: 0, ..CollectOptions::default() };
        let mut roots = Named(named.collect());
        self.store.collect(&mut roots, options, &Watch::default()).await.unwrap()
    }

    /// Collects, and does all that a collection finds worth it.
    async fn rebase(&self) -> (CollectStats, Vec<Option<Rebased>>) {
        let stats = self.collect(false).await;
        let mut done = Vec::new();
        for rebase in &stats.rebases {
            done.push(self.store.rebase(rebase, &Arc::default()).await.unwrap());
        }
        (stats, done)
    }

    async fn check(&self) {
        for (number, (id, layer, _)) in self.all.iter().enumerate().filter(|(_, l)| l.2) {
            let read = self.store.open(id).await.unwrap().read(0..u64::MAX).await.unwrap();
            assert!(read == *layer, "layer {number}");
        }
    }

    async fn stored_bytes(&self) -> u64 {
        self.store.stored_bytes().await.unwrap()
    }
}

#[tokio::test]
async fn the_newest_of_a_series_lives_without_those_before_it() {
    let mut series = Series::new();
    for _ in 0..9 {
        series.put(23, None).await;
    }
    series.all[..8].iter_mut().for_each(|layer| layer.2 = false);
    let before = series.stored_bytes().await;
    let dry = series.collect(true).await.rebases;
    let (stats, done) = series.rebase().await;
    assert_eq!((stats.buried.number, &stats.rebases), (8, &dry));
    let [rebase] = dry.as_slice() else { panic!("{dry:?}") };
    assert_eq!(rebase.onto, None);
    let Some(rebased) = done[0] else { panic!("not done") };
    // A keyframe is written, and one with eight deltas goes.
    assert!(rebased.stored_bytes < rebase.writes_bytes * 11 / 10, "{rebased:?} {rebase:?}");
    series.check().await;
    let stats = series.collect(false).await;
    assert_eq!((stats.freed_recipes.number, stats.buried.number), (8, 0));
    // The recipe of the new one is another one than that of the old one.
    let freed = stats.freed_recipes.bytes + stats.freed_data.bytes;
    assert!(freed.abs_diff(rebased.frees_bytes) < 100, "{freed} {rebased:?}");
    assert!(series.stored_bytes().await < before * 4 / 5);
    series.check().await;
    let (id, _, _) = &series.all[8];
    assert_eq!(series.store.open(id).await.unwrap().levels(), 1);
    // It goes on from there, with what is above it.
    series.put(23, None).await;
    assert_eq!(series.store.open(&series.all[9].0).await.unwrap().levels(), 2);
    assert_eq!(series.collect(true).await.rebases, []);
    series.check().await;
}

#[tokio::test]
async fn where_a_layer_below_stays_it_is_put_on_that() {
    let mut series = Series::new();
    for _ in 0..8 {
        series.put(15, None).await;
    }
    series.all[1..6].iter_mut().for_each(|layer| layer.2 = false);
    let (stats, done) = series.rebase().await;
    let [rebase] = stats.rebases.as_slice() else { panic!("{:?}", stats.rebases) };
    assert_eq!((&rebase.recipe, rebase.onto.as_ref()), (&series.all[6].0, Some(&series.all[0].0)));
    let rebased = done[0].unwrap();
    assert!(rebased.stored_bytes * 5 <= rebased.frees_bytes * 4);
    assert_eq!(series.collect(false).await.freed_recipes.number, 5);
    series.check().await;
    assert_eq!(series.store.open(&series.all[7].0).await.unwrap().levels(), 3);
}

#[tokio::test]
async fn what_would_not_pay_is_left_alone() {
    // A keyframe anew, for one and a small delta.
    let mut series = Series::new();
    for _ in 0..3 {
        series.put(5, None).await;
    }
    series.all[..2].iter_mut().for_each(|layer| layer.2 = false);
    assert_eq!(series.collect(true).await.rebases, []);
    // Others stand on what is buried.
    let mut series = Series::new();
    series.put(0, None).await;
    for _ in 0..6 {
        series.put(40, None).await;
    }
    series.put(40, Some(5)).await;
    series.all[..6].iter_mut().for_each(|layer| layer.2 = false);
    assert_eq!(series.collect(true).await.rebases, []);
}

#[tokio::test]
async fn what_turns_out_not_to_pay_or_has_gone_changes_nothing() {
    let mut series = Series::new();
    for _ in 0..9 {
        series.put(23, None).await;
    }
    series.all[..8].iter_mut().for_each(|layer| layer.2 = false);
    let rebase = series.collect(true).await.rebases.remove(0);
    let keys = async || series.memory.list("recipes/", None, 100).await.unwrap().objects;
    let before = keys().await;
    let poor = Rebase { frees_bytes: rebase.writes_bytes, ..rebase.clone() };
    assert_eq!(series.store.rebase(&poor, &Arc::default()).await.unwrap(), None);
    let gone = Rebase { recipe: RecipeId("0a".repeat(16)), ..rebase.clone() };
    assert_eq!(series.store.rebase(&gone, &Arc::default()).await.unwrap(), None);
    let watch = Arc::new(Watch::default());
    watch.cancel();
    let ended = series.store.rebase(&rebase, &watch).await;
    assert!(matches!(ended, Err(PageStoreError::Cancelled)), "{ended:?}");
    assert_eq!(keys().await, before);
    series.check().await;
}

#[tokio::test]
async fn a_layer_that_is_damaged_stays_as_it_is() {
    let mut series = Series::new();
    for _ in 0..9 {
        series.put(23, None).await;
    }
    series.all[..8].iter_mut().for_each(|layer| layer.2 = false);
    let rebase = series.collect(true).await.rebases.remove(0);
    let listed = series.memory.list("data/", None, 100).await.unwrap().objects;
    let largest = listed.into_iter().max_by_key(|object| object.bytes).unwrap().key;
    let mut bytes = series.memory.get(&largest).await.unwrap().bytes.to_vec();
    (16..bytes.len()).step_by(5000).for_each(|at| bytes[at] ^= 1);
    series.memory.put(&largest, bytes.into(), Precondition::None).await.unwrap();
    let key = recipe_key(&series.all[8].0).unwrap();
    let before = series.memory.get(&key).await.unwrap().bytes;
    assert!(series.store.rebase(&rebase, &Arc::default()).await.is_err());
    assert_eq!(series.memory.get(&key).await.unwrap().bytes, before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever is put on what and deleted: layers stay what they are, and no rebase makes the
    /// store larger once all is collected.
    #[test]
    fn any_series_is_the_same_afterwards_and_no_larger(
        puts in prop::collection::vec((0usize..60, prop::option::of(0usize..9), any::<bool>()), 2..9),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut series = Series::new();
            for (fresh, on, _) in &puts {
                series.put(*fresh, *on).await;
            }
            for (layer, (_, _, named)) in series.all.iter_mut().zip(&puts) {
                layer.2 = *named;
            }
            series.collect(false).await;
            let before = series.stored_bytes().await;
            let (stats, done) = series.rebase().await;
            series.check().await;
            series.collect(false).await;
            series.check().await;
            let after = series.stored_bytes().await;
            let promised: u64 = done.iter().flatten().map(|d| d.frees_bytes - d.stored_bytes).sum();
            let recipes = 2_000 * done.len() as u64;
            prop_assert!(after <= before + recipes - promised, "{stats:?} {done:?} {before} {after}");
            series.all.iter_mut().for_each(|layer| layer.2 = false);
            series.collect(false).await;
            prop_assert_eq!(series.stored_bytes().await, 0);
            Ok(())
        })?;
    }
}
