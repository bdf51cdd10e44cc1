//! Collection over a store in memory.

mod between;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pagevault_objects::{Key, MemoryStore, ObjectStore, Precondition};

use super::{CollectOptions, CollectStats, Names, Roots, RootsError, Standing, Watch};
use crate::*;

/// Names that a test gives and takes back.
#[derive(Clone, Default)]
struct Named(Arc<Mutex<BTreeSet<String>>>);

impl Named {
    fn add(&self, committed: &Committed) {
        self.0.lock().unwrap().insert(committed.id.0.clone());
    }

    fn take(&self, committed: &Committed) {
        self.0.lock().unwrap().remove(&committed.id.0);
    }
}

#[async_trait]
impl Roots for Named {
    async fn visit(&mut self, name: &mut Names<'_>) -> Result<(), RootsError> {
        self.0.lock().unwrap().iter().for_each(|id| name(id));
        Ok(())
    }
}

struct Unreadable;

#[async_trait]
impl Roots for Unreadable {
    async fn visit(&mut self, _: &mut Names<'_>) -> Result<(), RootsError> {
        Err("no".into())
    }
}

fn store(memory: &MemoryStore, exclusive: bool) -> PageStore {
    let options =
        PageStoreOptions { exclusive, workers: Workers::Inline, ..PageStoreOptions::default() };
    PageStore::new(Arc::new(memory.clone()), options)
}

async fn writer(store: &PageStore, pages: &[u8], base: Option<&Committed>) -> LayerWriter {
    let runs = vec![AddressRun { address: 0x1000, pages: (pages.len() / PAGE) as u64 }];
    let space = Space { pid: 1, command: "c".into(), shmem: None, runs };
    let mut writer = store.writer("d", base.map(|base| &base.id), vec![space]).await.unwrap();
    let source: Arc<dyn Source> = Arc::new(pages.to_vec());
    let part = Part { offset: 0, bytes: pages.len() as u64, kind: PartKind::Pages(0) };
    writer.write(part, &source).await.unwrap();
    writer
}

async fn put(store: &PageStore, pages: &[u8], base: Option<&Committed>) -> Committed {
    writer(store, pages, base).await.commit("n", pages.len() as u64).await.unwrap()
}

fn pages(seed: u8) -> Vec<u8> {
    let mut pages: Vec<u8> = (0..24 * PAGE).map(|i| (i * i / 7 + i / 4096) as u8).collect();
    pages[5000] = seed;
    pages
}

async fn collect(store: &PageStore, named: &Named) -> CollectStats {
    let options = CollectOptions { dry_run: false, grace_seconds: 0, ..CollectOptions::default() };
    store.collect(&mut named.clone(), options, &Watch::default()).await.unwrap()
}

async fn left(memory: &MemoryStore) -> Vec<String> {
    let objects = memory.list("", None, 1000).await.unwrap().objects;
    let keys = objects.iter().map(|meta| meta.key.as_str().to_owned());
    // The key of a domain stays.
    keys.filter(|key| !key.starts_with("domains/")).collect()
}

#[tokio::test]
async fn what_nothing_names_goes_and_what_is_needed_stays() {
    let memory = MemoryStore::default();
    let (store, named) = (store(&memory, true), Named::default());
    let keyframe = put(&store, &pages(1), None).await;
    let delta = put(&store, &pages(2), Some(&keyframe)).await;
    let other = put(&store, &pages(3), None).await;
    assert!(delta.delta);
    [&keyframe, &delta, &other].into_iter().for_each(|layer| named.add(layer));
    let (keyframe_id, before) = (keyframe.id.clone(), left(&memory).await);
    // Held, named or needed: nothing goes.
    named.take(&other);
    assert_eq!(collect(&store, &named).await.freed_data.number, 0);
    assert_eq!(left(&memory).await, before);
    drop(other);
    named.take(&keyframe);
    drop(keyframe);
    let options = CollectOptions { dry_run: true, grace_seconds: 0, ..CollectOptions::default() };
    let watch = Watch::default();
    let dry = store.collect(&mut named.clone(), options, &watch).await.unwrap();
    assert_eq!(left(&memory).await, before);
    let stats = collect(&store, &named).await;
    assert_eq!((dry.freed_recipes, dry.freed_data), (stats.freed_recipes, stats.freed_data));
    assert_eq!((stats.freed_recipes.number, stats.freed_data.number), (1, 1));
    assert_eq!((stats.buried.number, stats.largest_buried.len()), (1, 1));
    assert_eq!(
        (stats.largest_buried[0].recipe.as_str(), stats.largest_buried[0].above),
        (keyframe_id.0.as_str(), 1)
    );
    assert!(stats.buried.bytes > 0);
    let reader = store.open(&delta.id).await.unwrap();
    assert_eq!(reader.read(0..u64::MAX).await.unwrap(), pages(2));
    named.take(&delta);
    drop(delta);
    let stats = collect(&store, &named).await;
    assert_eq!((stats.freed_recipes.number, stats.freed_data.number), (2, 2));
    assert_eq!(left(&memory).await, Vec::<String>::new());
}

#[tokio::test]
async fn writers_that_are_gone_lose_what_they_wrote_and_living_ones_do_not() {
    let memory = MemoryStore::default();
    let (here, named) = (store(&memory, true), Named::default());
    let living = writer(&here, &pages(1), None).await;
    drop(writer(&here, &pages(2), None).await);
    let stats = collect(&here, &named).await;
    assert_eq!((stats.freed_recipes.number, stats.unfinished.number), (1, 1));
    let committed = living.commit("n", (24 * PAGE) as u64).await.unwrap();
    // Another process, with a store of its own to it: only age tells the living from the dead.
    let there = store(&memory, false);
    let options = CollectOptions { grace_seconds: 60, ..CollectOptions::default() };
    let mut roots = named.clone();
    let stats = there.collect(&mut roots, options, &Watch::default()).await.unwrap();
    assert_eq!(stats.freed_recipes.number, 0);
    memory.advance_clock(60);
    let stats = there.collect(&mut roots, options, &Watch::default()).await.unwrap();
    assert_eq!((stats.freed_recipes.number, stats.freed_data.number), (1, 1));
    assert_eq!(here.standing(&committed.id).await.unwrap(), Standing::Gone);
    let slow = writer(&there, &pages(1), None).await;
    memory.advance_clock(60);
    there.collect(&mut roots, options, &Watch::default()).await.unwrap();
    assert!(slow.commit("n", (24 * PAGE) as u64).await.is_ok(), "held in its own process");
    let slow = writer(&there, &pages(1), None).await;
    memory.advance_clock(60);
    here.collect(&mut roots, options, &Watch::default()).await.unwrap();
    let lost = slow.commit("n", (24 * PAGE) as u64).await;
    // Its recipe is gone, or an object that it shared from.
    let again = matches!(lost, Err(PageStoreError::Lost | PageStoreError::BaseGone));
    assert!(again, "{lost:?}");
}

#[tokio::test]
async fn what_is_condemned_takes_no_new_names_and_stays_while_it_is_named() {
    let memory = MemoryStore::default();
    let (store, named) = (store(&memory, false), Named::default());
    let keyframe = put(&store, &pages(1), None).await;
    let id = keyframe.id.clone();
    let tombstone = Key::new(format!("tombstones/recipes/{}", id.0)).unwrap();
    memory.put(&tombstone, "".into(), Precondition::Absent).await.unwrap();
    assert_eq!(store.standing(&id).await.unwrap(), Standing::Condemned);
    assert!(!put(&store, &pages(2), Some(&keyframe)).await.delta);
    // A copy is another recipe over the same object.
    let copy = store.copy(&id).await.unwrap();
    assert_eq!(store.standing(&copy.id).await.unwrap(), Standing::Kept);
    named.add(&keyframe);
    named.add(&copy);
    drop(keyframe);
    let stats = collect(&store, &named).await;
    assert_eq!((stats.freed_recipes.number, stats.condemned), (1, 1));
    assert_eq!(store.standing(&id).await.unwrap(), Standing::Condemned);
    named.0.lock().unwrap().remove(&id.0);
    let stats = collect(&store, &named).await;
    assert_eq!((stats.freed_recipes.number, stats.freed_data.number), (1, 0));
    assert_eq!(store.standing(&id).await.unwrap(), Standing::Gone);
    assert!(!left(&memory).await.iter().any(|key| key.starts_with("tombstones/")));
    let reader = store.open(&copy.id).await.unwrap();
    assert_eq!(reader.read(0..u64::MAX).await.unwrap(), pages(1));
    // Its object is condemned as well: the bytes are stored anew.
    let object = left(&memory).await.into_iter().find(|key| key.starts_with("data/")).unwrap();
    let object = object.rsplit('/').next().unwrap().to_owned();
    let tombstone = Key::new(format!("tombstones/data/{object}")).unwrap();
    memory.put(&tombstone, "".into(), Precondition::Absent).await.unwrap();
    let second = store.copy(&copy.id).await.unwrap();
    named.add(&second);
    named.take(&copy);
    drop(copy);
    assert_eq!(collect(&store, &named).await.freed_data.number, 1);
    let reader = store.open(&second.id).await.unwrap();
    assert_eq!(reader.read(0..u64::MAX).await.unwrap(), pages(1));
}

#[tokio::test]
async fn what_cannot_be_read_is_never_taken_for_unnamed() {
    let memory = MemoryStore::default();
    let (store, named) = (store(&memory, true), Named::default());
    let delta = {
        let keyframe = put(&store, &pages(1), None).await;
        put(&store, &pages(2), Some(&keyframe)).await
    };
    named.add(&delta);
    drop(put(&store, &pages(3), None).await);
    let before = left(&memory).await;
    let options = CollectOptions::default();
    let failed = store.collect(&mut Unreadable, options, &Watch::default()).await;
    assert!(matches!(failed, Err(PageStoreError::Roots(_))), "{failed:?}");
    for key in before.iter().filter(|key| key.starts_with("recipes/")) {
        let key = Key::new(key.clone()).unwrap();
        let good = memory.get(&key).await.unwrap().bytes;
        memory.put(&key, good.slice(..good.len() / 2), Precondition::None).await.unwrap();
        let failed = store.collect(&mut named.clone(), options, &Watch::default()).await;
        assert!(matches!(failed, Err(PageStoreError::Damaged(_))), "{failed:?}");
        memory.put(&key, good, Precondition::None).await.unwrap();
    }
    let strange = Key::new("recipes/xx/other").unwrap();
    memory.put(&strange, "".into(), Precondition::Absent).await.unwrap();
    store.collect(&mut named.clone(), options, &Watch::default()).await.unwrap_err();
    memory.delete(&strange).await.unwrap();
    let cancelled = Watch::default();
    cancelled.cancel();
    let failed = store.collect(&mut named.clone(), options, &cancelled).await;
    assert!(matches!(failed, Err(PageStoreError::Cancelled)), "{failed:?}");
    assert_eq!(left(&memory).await, before);
    assert_eq!(collect(&store, &named).await.freed_data.number, 1);
}

#[tokio::test]
async fn a_survey_says_who_names_what() {
    let memory = MemoryStore::default();
    let store = store(&memory, true);
    let keyframe = put(&store, &pages(1), None).await;
    let delta = put(&store, &pages(2), Some(&keyframe)).await;
    let survey = store.survey(&Watch::default()).await.unwrap();
    let facts = survey.recipe(&keyframe.id.0).unwrap();
    assert_eq!(facts.above, std::slice::from_ref(&delta.id.0));
    assert!(!facts.pending && facts.held && !facts.condemned);
    let object = store.data_facts(&survey, &facts.objects[0]).await.unwrap().unwrap();
    assert_eq!(object.named_by, std::slice::from_ref(&keyframe.id.0));
    assert_eq!(survey.recipe(&facts.objects[0]), None);
    assert_eq!(store.data_facts(&survey, &keyframe.id.0).await.unwrap(), None);
}
