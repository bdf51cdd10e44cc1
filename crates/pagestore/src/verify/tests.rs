//! A scrub finds what is damaged or missing, and nothing else.

use std::sync::Arc;

use pagevault_objects::{MemoryStore, ObjectStore, Precondition};

use super::*;
use crate::recipe::{AddressRun, Space};
use crate::{PAGE, PageStoreOptions, Part, PartKind, Source};

async fn layer(store: &PageStore, memory: Vec<u8>, base: Option<&RecipeId>) -> RecipeId {
    let (bytes, pages) = (memory.len() as u64, (memory.len() / PAGE) as u64);
    let runs = vec![AddressRun { address: 0x10_000, pages }];
    let space = Space { pid: 1, command: "a".into(), shmem: None, runs };
    let source: Arc<dyn Source> = Arc::new(memory);
    let mut writer = store.writer("d", base, vec![space]).await.unwrap();
    let part = Part { offset: 0, bytes, kind: PartKind::Pages(0) };
    writer.write(part, &source).await.unwrap();
    writer.commit("sha256:aa", bytes).await.unwrap().id
}

/// A keyframe and two deltas on it, the second on the first.
async fn chain() -> (PageStore, MemoryStore, [RecipeId; 3]) {
    let memory = MemoryStore::default();
    let store = PageStore::new(Arc::new(memory.clone()), PageStoreOptions::default());
    let mut pages: Vec<u8> = (0..600 * PAGE).map(|i| (i * i / 7) as u8).collect();
    let first = layer(&store, pages.clone(), None).await;
    pages[5000] ^= 1;
    let second = layer(&store, pages.clone(), Some(&first)).await;
    pages[900_000] ^= 1;
    let third = layer(&store, pages, Some(&second)).await;
    (store, memory, [first, second, third])
}

async fn verify(store: &PageStore) -> (Verified, Vec<Damage>) {
    store.verify(&|_| true).await.unwrap()
}

#[tokio::test]
async fn what_is_whole_is_found_whole() {
    let (store, _, _) = chain().await;
    let (seen, damage) = verify(&store).await;
    assert_eq!((seen.recipes, seen.damaged, damage), (3, 0, vec![]));
    assert!(seen.blocks >= 5 && seen.bytes > 1000, "{seen:?}");
}

#[tokio::test]
async fn every_flipped_bit_is_found() {
    let (store, memory, _) = chain().await;
    for object in memory.list("", None, 100).await.unwrap().objects {
        // The key of a domain and the index are no part of a layer.
        if ["domains/", "hooks/"].iter().any(|cache| object.key.as_str().starts_with(cache)) {
            continue;
        }
        let good = memory.get(&object.key).await.unwrap().bytes;
        for at in (0..good.len()).step_by((good.len() / 30).max(1)) {
            let mut bad = good.to_vec();
            bad[at] ^= 0x20;
            memory.put(&object.key, bad.into(), Precondition::None).await.unwrap();
            let (_, damage) = verify(&store).await;
            let means_nothing =
                object.key.as_str().starts_with("recipes/") && (12..16).contains(&at);
            assert_eq!(damage.len(), usize::from(!means_nothing), "{} at {at}", object.key);
        }
        memory.put(&object.key, good, Precondition::None).await.unwrap();
    }
}

#[tokio::test]
async fn a_missing_object_touches_all_that_read_through_it() {
    let (store, memory, [first, second, third]) = chain().await;
    let own = store.recipe(&first).await.unwrap().0.objects[0].clone();
    memory.delete(&crate::store::data_key(&own).unwrap()).await.unwrap();
    let (_, damage) = verify(&store).await;
    assert_eq!(damage.len(), 1);
    assert!(damage[0].what.contains("is not there"), "{}", damage[0].what);
    assert_eq!(damage[0].touches, [first, second, third]);
}

#[tokio::test]
async fn it_can_be_stopped() {
    let (store, _, _) = chain().await;
    let (seen, _) = store.verify(&|seen| seen.recipes < 2).await.unwrap();
    assert_eq!(seen.recipes, 2);
}

#[tokio::test]
async fn damage_to_a_source_is_found_without_its_owner() {
    let memory = MemoryStore::default();
    let store = PageStore::new(Arc::new(memory.clone()), PageStoreOptions::default());
    // Pages that all differ: among 3,000 there are hooks, whatever the key.
    let word = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let pages: Vec<u8> = (0..3000 * PAGE / 8).flat_map(word).collect();
    let owner = layer(&store, pages.clone(), None).await;
    // The same memory as another lineage.
    let other = layer(&store, pages, None).await;
    let recipe = store.recipe(&other).await.unwrap().0;
    let source = *recipe.extents.iter().flat_map(|extent| &extent.sources).next().unwrap();
    memory.delete(&recipe_key(&owner).unwrap()).await.unwrap();
    let key = crate::store::data_key(&recipe.objects[source.object as usize]).unwrap();
    let mut bad = memory.get(&key).await.unwrap().bytes.to_vec();
    bad[source.at as usize + 5] ^= 1;
    memory.put(&key, bad.into(), Precondition::None).await.unwrap();
    let (_, damage) = verify(&store).await;
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].touches, [other]);
}

#[tokio::test]
async fn what_a_replacement_left_behind_is_named_no_more() {
    let (store, memory, [first, _, third]) = chain().await;
    let (whole, seen) = store.recipe(&third).await.unwrap();
    let mut both = whole.clone();
    both.also.push(first.0.clone());
    both.objects.push("00".repeat(16));
    // As a writer leaves it that is killed between its two writes.
    store.put_recipe(&third, both, Precondition::Matches(seen)).await.unwrap();
    let before = memory.list("recipes/", None, 9).await.unwrap().objects;
    assert_eq!(verify(&store).await.1, vec![]);
    assert_eq!(store.recipe(&third).await.unwrap().0, whole);
    let after = memory.list("recipes/", None, 9).await.unwrap().objects;
    let changed = before.iter().zip(&after).filter(|(a, b)| a.stamp != b.stamp);
    assert_eq!(changed.count(), 1, "others are not written");
}
