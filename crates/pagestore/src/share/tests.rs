//! What is shared, and what is not.

use std::sync::Arc;

use futures_util::FutureExt;
use pagevault_objects::{Key, MemoryStore, ObjectStore, Precondition};
use proptest::prelude::*;

use super::{hooks, key};
use crate::collect::Kind;
use crate::recipe::{AddressRun, Recipe};
use crate::store::{data_key, recipe_key};
use crate::*;

pub(super) fn options() -> PageStoreOptions {
    PageStoreOptions { workers: Workers::Inline, ..PageStoreOptions::default() }
}

pub(super) fn memory() -> (PageStore, Arc<MemoryStore>) {
    let memory = Arc::new(MemoryStore::default());
    // Known keys, so that the same pages are hooks in every run.
    for (domain, key) in [("d", 1), ("shop", 2), ("bank", 3)] {
        let (name, bytes) = (key::domain_key(domain).unwrap(), key::PageKey::new([key; 32]));
        let put = memory.put(&name, bytes.to_bytes(), Precondition::None);
        put.now_or_never().unwrap().unwrap();
    }
    (open(&memory), memory)
}

pub(super) fn open(memory: &Arc<MemoryStore>) -> PageStore {
    PageStore::new(Arc::clone(memory) as Arc<dyn ObjectStore>, options())
}

/// Pages of noise, each as its number says.
pub(super) fn noise(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let page = |number: u64| {
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..PAGE / 8).flat_map(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
    };
    numbers.into_iter().flat_map(page).collect()
}

pub(super) async fn writer(
    store: &PageStore,
    domain: &str,
    base: Option<&RecipeId>,
    memory: &[u8],
) -> LayerWriter {
    let runs = vec![AddressRun { address: 0x1000, pages: (memory.len() / PAGE) as u64 }];
    let space = Space { pid: 1, command: "app".into(), shmem: None, runs };
    let mut writer = store.writer(domain, base, vec![space]).await.unwrap();
    let source: Arc<dyn Source> = Arc::new(memory.to_vec());
    let part = Part { offset: 0, bytes: memory.len() as u64, kind: PartKind::Pages(0) };
    writer.write(part, &source).await.unwrap();
    writer
}

/// Stores memory as a layer of its own.
pub(super) async fn put(
    store: &PageStore,
    domain: &str,
    base: Option<&RecipeId>,
    memory: &[u8],
) -> Committed {
    let writer = writer(store, domain, base, memory).await;
    writer.commit("layer", memory.len() as u64).await.unwrap()
}

pub(super) async fn read(store: &PageStore, id: &RecipeId) -> Result<Vec<u8>> {
    store.open(id).await?.read(0..u64::MAX).await
}

/// A recipe as it is stored, pending or not.
async fn stored_recipe(memory: &MemoryStore, id: &RecipeId) -> Recipe {
    let object = memory.get(&recipe_key(id).unwrap()).await.unwrap();
    Recipe::from_bytes("x", &object.bytes).unwrap()
}

pub(super) async fn own_object(memory: &MemoryStore, id: &RecipeId) -> String {
    stored_recipe(memory, id).await.objects[0].clone()
}

#[tokio::test]
async fn a_replica_stores_almost_nothing() {
    let (store, memory) = memory();
    let first = noise(0..4000);
    // Another instance: a heap that is larger by 100 pages, and some pages that differ.
    let second =
        noise((9000..9100).chain((0..4000).map(|n| if n % 97 == 5 { 5000 + n } else { n })));
    let one = put(&store, "shop", None, &first).await;
    assert_eq!(one.stats.pages.shared, 0);
    let two = put(&store, "shop", None, &second).await;
    assert!(!two.delta);
    // 141 pages are new, those beside them are found with them.
    assert!(two.stats.pages.new < 300, "{:?}", two.stats.pages);
    assert_eq!(two.stats.pages.new + two.stats.pages.shared, 4100);
    assert!(two.stats.stored_bytes() < one.stats.stored_bytes() / 10);
    assert!(read(&store, &two.id).await.unwrap() == second);
    // Parts of it too.
    let part = store.open(&two.id).await.unwrap().read(1_000_000..3_000_001).await.unwrap();
    assert!(part == second[1_000_000..3_000_001]);
    let object = own_object(&memory, &one.id).await;
    assert!(stored_recipe(&memory, &two.id).await.objects.contains(&object));
    // A third one shares from the first, not from the second: one step deep.
    let three = put(&store, "shop", None, &second).await;
    assert!(three.stats.pages.shared > 3900, "{:?}", three.stats.pages);
    assert!(read(&store, &three.id).await.unwrap() == second);
}

#[tokio::test]
async fn nothing_is_shared_between_domains_or_when_it_is_off() {
    let (store, memory) = memory();
    let content = noise(0..1000);
    let one = put(&store, "shop", None, &content).await;
    let two = put(&store, "bank", None, &content).await;
    assert_eq!(two.stats.pages.shared, 0);
    assert_eq!(one.stats.page_bytes, two.stats.page_bytes);
    let off = PageStoreOptions { share: false, ..options() };
    let off = PageStore::new(memory.clone() as Arc<dyn ObjectStore>, off);
    let three = put(&off, "shop", None, &content).await;
    assert_eq!(three.stats.pages.shared, 0);
    // The ids of the same pages have nothing in common either.
    let mut ids = Vec::new();
    for object in memory.list("hooks/", None, 10).await.unwrap().objects {
        let stored = memory.get(&object.key).await.unwrap();
        ids.push(hooks::ObjectHooks::from_bytes("x", &stored.bytes).unwrap().hooks);
    }
    assert_eq!(ids.len(), 2);
    assert!(ids[0].iter().all(|a| ids[1].iter().all(|b| a.id != b.id)));
}

#[tokio::test]
async fn deltas_go_on_top_of_shared_pages_and_share_themselves() {
    let (store, _) = memory();
    put(&store, "d", None, &noise(0..1000)).await;
    let mut second = noise((7000..7020).chain(0..1000));
    let two = put(&store, "d", None, &second).await;
    second[5_000] ^= 1;
    second[3_000_000] ^= 1;
    // In the place of old pages there are now such as another lineage has.
    put(&store, "d", None, &noise(20_000..20_300)).await;
    second.splice(300 * PAGE..500 * PAGE, noise(20_050..20_250));
    let three = put(&store, "d", Some(&two.id), &second).await;
    assert!(three.delta);
    assert!(three.stats.pages.shared >= 150, "{:?}", three.stats.pages);
    assert!(three.stats.pages.same > 800 && three.stats.pages.changed == 2);
    assert!(read(&store, &three.id).await.unwrap() == second);
}

#[tokio::test]
async fn a_layer_of_nothing_but_shared_pages_is_whole() {
    let (store, memory) = memory();
    put(&store, "d", None, &noise(0..256)).await;
    let two = put(&store, "d", None, &noise(0..256)).await;
    assert_eq!((two.stats.pages.shared, two.stats.pages.new), (256, 0));
    assert!(read(&store, &two.id).await.unwrap() == noise(0..256));
    assert_eq!(stored_recipe(&memory, &two.id).await.objects.len(), 2);
}

#[tokio::test]
async fn a_writer_names_what_it_shares_before_it_commits() {
    let (store, memory) = memory();
    let one = put(&store, "d", None, &noise(0..600)).await;
    let object = own_object(&memory, &one.id).await;
    let before = memory.list("recipes/", None, 10).await.unwrap().objects;
    let writer = writer(&store, "d", None, &noise(0..600)).await;
    let after = memory.list("recipes/", None, 10).await.unwrap().objects;
    let pending = after.iter().find(|o| before.iter().all(|b| b.key != o.key)).unwrap();
    let pending = memory.get(&pending.key).await.unwrap();
    let pending = Recipe::from_bytes("x", &pending.bytes).unwrap();
    assert_eq!(pending.state, 0);
    assert!(pending.objects.contains(&object));
    // The one that it shares from goes; the object stays named.
    memory.delete(&recipe_key(&one.id).unwrap()).await.unwrap();
    let two = writer.commit("two", (600 * PAGE) as u64).await.unwrap();
    assert!(stored_recipe(&memory, &two.id).await.objects.contains(&object));
    assert!(read(&store, &two.id).await.unwrap() == noise(0..600));
    let uses = store.object_uses().await.unwrap();
    assert_eq!((uses.len(), uses[0].object == object, uses[0].owners.len()), (1, true, 0));
    assert_eq!(uses[0].sharers, [two.id]);
}

#[tokio::test]
async fn what_is_condemned_or_gone_is_not_used() {
    let (store, memory) = memory();
    let one = put(&store, "d", None, &noise(0..600)).await;
    let object = own_object(&memory, &one.id).await;
    let tombstone = Kind::Data.tombstone(&object).unwrap();
    memory.put(&tombstone, "".into(), Precondition::None).await.unwrap();
    let two = put(&store, "d", None, &noise(0..600)).await;
    assert_eq!(two.stats.pages.shared, 0);
    assert!(!stored_recipe(&memory, &two.id).await.objects.contains(&object));
    // From the second one on it goes on.
    let three = put(&store, "d", None, &noise(0..600)).await;
    assert!(three.stats.pages.shared > 500);
    let object = own_object(&memory, &two.id).await;
    memory.delete(&recipe_key(&three.id).unwrap()).await.unwrap();
    memory.delete(&recipe_key(&two.id).unwrap()).await.unwrap();
    memory.delete(&data_key(&object).unwrap()).await.unwrap();
    let store = open(&memory);
    let loaded = store.load_index().await.unwrap();
    assert_eq!(loaded.gone, 1, "{loaded:?}");
    let four = put(&store, "d", None, &noise(0..600)).await;
    assert_eq!(four.stats.pages.shared, 0);
    assert!(read(&store, &four.id).await.unwrap() == noise(0..600));
}

#[tokio::test]
async fn an_object_that_goes_while_it_is_in_the_index_does_no_harm() {
    let (store, memory) = memory();
    let one = put(&store, "d", None, &noise(0..600)).await;
    let entries = store.index_stats().entries;
    assert!(entries > 2 && store.index_stats().objects == 1);
    let object = own_object(&memory, &one.id).await;
    memory.delete(&recipe_key(&one.id).unwrap()).await.unwrap();
    memory.delete(&data_key(&object).unwrap()).await.unwrap();
    let two = put(&store, "d", None, &noise(0..600)).await;
    assert_eq!(two.stats.pages.shared, 0);
    assert_eq!(store.index_stats().objects, 1);
    assert!(read(&store, &two.id).await.unwrap() == noise(0..600));
}

#[tokio::test]
async fn the_index_is_loaded_and_can_be_made_anew() {
    let (store, memory) = memory();
    put(&store, "d", None, &noise(0..1000)).await;
    let stats = store.index_stats();
    let hooks = memory.list("hooks/", None, 10).await.unwrap().objects;
    assert_eq!(hooks.len(), 1);
    let good = memory.get(&hooks[0].key).await.unwrap().bytes;

    let store = open(&memory);
    assert_eq!(store.load_index().await.unwrap().objects, 1);
    assert_eq!(store.index_stats().entries, stats.entries);
    assert!(put(&store, "d", None, &noise(0..1000)).await.stats.pages.shared > 900);

    let damaged = [&good[..40], b"?", &good[41..]].concat();
    for replaced in [None, Some(damaged)] {
        match replaced {
            None => memory.delete(&hooks[0].key).await.unwrap(),
            Some(damaged) => {
                let put = memory.put(&hooks[0].key, damaged.into(), Precondition::None);
                drop(put.await.unwrap());
            }
        }
        let store = open(&memory);
        let loaded = store.load_index().await.unwrap();
        assert_eq!(loaded.objects, 0, "{loaded:?}");
        let lost = writer(&store, "d", None, &noise(0..1000)).await;
        assert_eq!(lost.stats().pages.shared, 0);
        lost.abandon().await.unwrap();
        assert_eq!(store.rebuild_index().await.unwrap().objects, 1);
        assert_eq!(memory.get(&hooks[0].key).await.unwrap().bytes, good);
        let again = put(&store, "d", None, &noise(0..1000)).await;
        assert!(again.stats.pages.shared > 900);
        assert!(read(&store, &again.id).await.unwrap() == noise(0..1000));
    }
}

#[tokio::test]
async fn a_damaged_source_is_an_error_and_never_wrong_bytes() {
    let (store, memory) = memory();
    let one = put(&store, "d", None, &noise(0..300)).await;
    let two = put(&store, "d", None, &noise(0..300)).await;
    assert!(two.stats.pages.shared > 250);
    let key = data_key(&own_object(&memory, &one.id).await).unwrap();
    let good = memory.get(&key).await.unwrap().bytes;
    let mut refused = 0;
    for at in (0..good.len()).step_by(good.len() / 60) {
        let mut bad = good.to_vec();
        bad[at] ^= 4;
        memory.put(&key, bad.into(), Precondition::None).await.unwrap();
        match read(&store, &two.id).await {
            Ok(bytes) => assert!(bytes == noise(0..300), "byte {at}"),
            Err(PageStoreError::Damaged(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        // Nor is anything shared from it.
        let three = writer(&open_loaded(&memory).await, "d", None, &noise(0..300)).await;
        let three = three.commit("three", (300 * PAGE) as u64).await.unwrap();
        memory.delete(&recipe_key(&three.id).unwrap()).await.unwrap();
        memory.put(&key, good.clone(), Precondition::None).await.unwrap();
        assert!(read(&store, &two.id).await.unwrap() == noise(0..300));
    }
    assert!(refused > 50, "{refused}");
    memory.delete(&key).await.unwrap();
    assert!(matches!(read(&store, &two.id).await, Err(PageStoreError::Damaged(_))));
}

async fn open_loaded(memory: &Arc<MemoryStore>) -> PageStore {
    let store = open(memory);
    store.load_index().await.unwrap();
    store
}

#[tokio::test]
async fn an_object_that_is_mostly_dead_is_not_needed_after_repacking() {
    let (store, memory) = memory();
    let one = put(&store, "d", None, &noise(0..2000)).await;
    let other = put(&store, "d", None, &noise(50_000..50_300)).await;
    // A fifth of the first one, all of the other, and a base with changes above that.
    let content = noise((0..400).chain(50_000..50_300).chain(80_000..80_100));
    let two = put(&store, "d", None, &content).await;
    let mut later = content.clone();
    (later[9 * PAGE], later[720 * PAGE]) = (1, 1);
    let three = put(&store, "d", Some(&two.id), &later).await;
    assert!(three.delta);
    let object = own_object(&memory, &one.id).await;
    assert_eq!(store.repack(&Watch::default()).await.unwrap().objects, 0);
    memory.delete(&recipe_key(&one.id).unwrap()).await.unwrap();
    let uses = store.object_uses().await.unwrap();
    let dead = uses.iter().find(|u| u.object == object).unwrap();
    assert!(dead.mostly_dead() && dead.used_bytes > 350 * PAGE as u64, "{dead:?}");
    assert_eq!(uses.iter().filter(|u| u.mostly_dead()).count(), 1);
    let before = memory.list("recipes/", None, 10).await.unwrap().objects.len();

    let repacked = store.repack(&Watch::default()).await.unwrap();
    assert_eq!((repacked.objects, repacked.recipes), (1, 1));
    assert!(repacked.stored_bytes > 350 * PAGE as u64);
    assert_eq!(memory.list("recipes/", None, 10).await.unwrap().objects.len(), before);
    let recipe = stored_recipe(&memory, &two.id).await;
    assert!(!recipe.objects.contains(&object));
    assert!(recipe.objects.contains(&own_object(&memory, &other.id).await));
    memory.delete(&data_key(&object).unwrap()).await.unwrap();
    assert!(read(&store, &two.id).await.unwrap() == content);
    assert!(read(&store, &three.id).await.unwrap() == later);
    // What was stored anew can be shared.
    let four = put(&store, "d", None, &noise(0..400)).await;
    assert!(four.stats.pages.shared > 300, "{:?}", four.stats.pages);
    assert_eq!(store.repack(&Watch::default()).await.unwrap(), Repacked::default());
}

#[tokio::test]
async fn a_damaged_key_costs_sharing_and_nothing_else() {
    let (store, memory) = memory();
    put(&store, "d", None, &noise(0..1000)).await;
    let key = key::domain_key("d").unwrap();
    memory.put(&key, "short".into(), Precondition::None).await.unwrap();
    let store = open(&memory);
    assert_eq!(store.load_index().await.unwrap().damaged, 1);
    let two = put(&store, "d", None, &noise(0..1000)).await;
    assert_eq!(two.stats.pages.shared, 0);
    // With a new key what is stored is hashed anew.
    let new = key::PageKey::new([9; 32]).to_bytes();
    memory.put(&key, new, Precondition::None).await.unwrap();
    let store = open(&memory);
    assert_eq!(store.load_index().await.unwrap().objects, 0);
    assert_eq!(store.rebuild_index().await.unwrap().objects, 2);
    assert!(put(&store, "d", None, &noise(0..1000)).await.stats.pages.shared > 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_share_at_once() {
    let (_, memory) = memory();
    let store = PageStore::new(memory as Arc<dyn ObjectStore>, PageStoreOptions::default());
    for lineage in 0..3u64 {
        put(&store, "d", None, &noise(lineage * 1000..lineage * 1000 + 1000)).await;
    }
    let one = |n: u64| {
        let store = store.clone();
        async move {
            let content = noise((n * 100..n * 100 + 2000).chain([100_000 + n]));
            let done = put(&store, "d", None, &content).await;
            // Less where the order of work leaves the budget of tries empty for a while.
            assert!(done.stats.pages.shared > 1400, "{:?}", done.stats.pages);
            assert!(read(&store, &done.id).await.unwrap() == content);
        }
    };
    let tasks: Vec<_> = (0..8).map(|n| tokio::spawn(one(n))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// What a lineage's memory is made of: stretches of a common pool, zero pages, and its own.
fn layout() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0u64..700, 1u64..120), 1..12)
}

fn content(layout: &[(u64, u64)]) -> Vec<u8> {
    let numbers = layout.iter().flat_map(|&(start, count)| start..start + count);
    let mut bytes = Vec::new();
    for number in numbers {
        match number % 50 {
            49 => bytes.resize(bytes.len() + PAGE, 0),
            _ => bytes.extend(noise([number / 2])),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_pages_come_back_whatever_they_share(
        layouts in prop::collection::vec((layout(), prop::option::of(0usize..4)), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (store, _) = memory();
            let mut done: Vec<(Committed, Vec<u8>)> = Vec::new();
            for (layout, base) in layouts {
                let bytes = content(&layout);
                let base = base.and_then(|n| done.get(n)).map(|(c, _)| c.id.clone());
                done.push((put(&store, "d", base.as_ref(), &bytes).await, bytes));
            }
            for (committed, bytes) in &done {
                let pages = committed.stats.pages;
                let sum = pages.zero + pages.same + pages.changed + pages.new + pages.shared;
                assert_eq!(sum as usize, bytes.len() / PAGE);
                assert!(read(&store, &committed.id).await.unwrap() == *bytes);
            }
        });
    }
}

#[test]
fn keys_of_hooks_are_as_the_format_says() {
    let key: Key = hooks::hooks_key("ab00").unwrap();
    assert_eq!(key.as_str(), "hooks/ab/ab00");
}
