//! A page store over memory: what goes in comes out.

use std::sync::Arc;

use futures_util::TryStreamExt;
use pagevault_objects::{MemoryStore, ObjectStore};

use crate::recipe::AddressRun;
use crate::*;

fn store() -> (PageStore, Arc<MemoryStore>) {
    let memory = Arc::new(MemoryStore::default());
    let objects: Arc<dyn ObjectStore> = memory.clone();
    (PageStore::new(objects, PageStoreOptions::default()), memory)
}

/// Pages whose content depends on `seed` and their number.
fn pages(seed: u64, count: usize) -> Vec<u8> {
    let word = |i: usize| (i as u64 / 16).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7) ^ seed;
    (0..count * PAGE / 8).flat_map(|i| word(i).to_le_bytes()).collect()
}

fn space(pages: u64) -> Space {
    let runs = vec![AddressRun { address: 0x1000, pages }];
    Space { pid: 1, command: "redis".into(), shmem: None, runs }
}

/// Stores a head, a pages file and a tail, against `base`.
async fn put(
    store: &PageStore,
    name: &str,
    memory: &[u8],
    base: Option<&RecipeId>,
) -> (Committed, Vec<u8>) {
    let layer = [b"head".repeat(200), memory.to_vec(), vec![0; 1024]].concat();
    let source: Arc<dyn Source> = Arc::new(layer.clone());
    let space = space((memory.len() / PAGE) as u64);
    let mut writer = store.writer("d", base, vec![space]).await.unwrap();
    let bytes = |offset, bytes| Part { offset, bytes, kind: PartKind::Bytes };
    let len = memory.len() as u64;
    writer
        .write(Part { offset: 800, bytes: len, kind: PartKind::Pages(0) }, &source)
        .await
        .unwrap();
    writer.write(bytes(0, 800), &source).await.unwrap();
    writer.write(bytes(800 + len, 1024), &source).await.unwrap();
    assert!(writer.fits());
    (writer.commit(name, layer.len() as u64).await.unwrap(), layer)
}

#[tokio::test]
async fn a_keyframe_comes_back_whole_and_in_parts() {
    let (store, _) = store();
    let (committed, layer) = put(&store, "a", &pages(1, 700), None).await;
    assert!(!committed.delta);
    let reader = store.open(&committed.id).await.unwrap();
    assert_eq!(reader.bytes(), layer.len() as u64);
    assert_eq!(reader.read(0..u64::MAX).await.unwrap(), layer);
    for range in [0..1, 799..801, 5000..2_000_000, 2_867_999..2_869_024, 7..7] {
        let expected = &layer[range.start as usize..(range.end as usize).min(layer.len())];
        assert_eq!(reader.read(range).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_chain_of_deltas_comes_back_and_costs_little() {
    let (store, _) = store();
    let mut memory = pages(1, 1000);
    let (mut last, _) = put(&store, "0", &memory, None).await;
    let keyframe = last.stats.stored_bytes();
    for generation in 1..30usize {
        for i in 0..5 {
            let at = (generation * 7919 + i * 104_729) % memory.len();
            memory[at] ^= 0x5a;
        }
        memory[generation * PAGE..(generation + 1) * PAGE].fill(0);
        let (next, layer) = put(&store, &generation.to_string(), &memory, Some(&last.id)).await;
        assert!(next.delta);
        assert!(next.stats.pages.changed <= 5 && next.stats.pages.same >= 990, "{:?}", next.stats);
        assert!(next.stats.page_bytes < keyframe / 50);
        let reader = store.open(&next.id).await.unwrap();
        assert_eq!(reader.read(0..u64::MAX).await.unwrap(), layer, "generation {generation}");
        last = next;
    }
}

/// Pages that do not compress.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    (0..count * PAGE / 8).map(next).flat_map(u64::to_le_bytes).collect()
}

#[tokio::test]
async fn a_large_keyframe_is_read_piece_by_piece_under_a_small_delta() {
    let (store, _) = store();
    let mut memory = noise(1, 1300);
    let (first, _) = put(&store, "0", &memory, None).await;
    memory[3_000_000] ^= 1;
    let (second, layer) = put(&store, "1", &memory, Some(&first.id)).await;
    assert!(first.stats.page_bytes > 5 << 20 && second.stats.page_bytes < 10_000);
    let reader = store.open(&second.id).await.unwrap();
    assert_eq!(reader.read(0..u64::MAX).await.unwrap(), layer);
}

#[tokio::test]
async fn a_base_with_nothing_in_common_is_not_kept() {
    let (store, _) = store();
    let (first, _) = put(&store, "0", &pages(1, 300), None).await;
    let (second, layer) = put(&store, "1", &pages(0xffff_ffff_ffff, 300), Some(&first.id)).await;
    assert!(!second.delta);
    let reader = store.open(&second.id).await.unwrap();
    assert_eq!(reader.read(0..u64::MAX).await.unwrap(), layer);
}

#[tokio::test]
async fn a_layer_takes_the_place_of_one_that_makes_the_same_bytes() {
    let (store, _) = store();
    let (first, _) = put(&store, "0", &pages(1, 600), None).await;
    let mut memory = pages(1, 600);
    memory[5000] ^= 1;
    let (second, layer) = put(&store, "1", &memory, Some(&first.id)).await;
    memory[6000] ^= 1;
    let (third, newest) = put(&store, "2", &memory, Some(&second.id)).await;
    // The delta in the middle becomes a keyframe.
    let source: Arc<dyn Source> = Arc::new(layer.clone());
    let write = async |name: &str| {
        let mut writer = store.writer("d", None, vec![space(600)]).await?;
        let len = layer.len() as u64;
        for (offset, bytes, kind) in [
            (0, 800, PartKind::Bytes),
            (800, len - 1824, PartKind::Pages(0)),
            (len - 1024, 1024, PartKind::Bytes),
        ] {
            writer.write(Part { offset, bytes, kind }, &source).await?;
        }
        writer.replacing(&second.id).await?.commit(name, len).await
    };
    assert!(matches!(write("another").await, Err(PageStoreError::Unsuited(_))));
    let replaced = write("1").await.unwrap();
    assert_eq!(replaced.id, second.id);
    assert!(!replaced.delta);
    for (id, expected) in [(&second.id, &layer), (&third.id, &newest)] {
        let reader = store.open(id).await.unwrap();
        assert_eq!(reader.read(0..u64::MAX).await.unwrap(), *expected);
    }
    // The newest one no longer needs the first.
    assert_eq!(store.open(&third.id).await.unwrap().levels(), 2);
    let on_itself = store.writer("d", Some(&third.id), vec![space(600)]).await.unwrap();
    assert!(on_itself.replacing(&second.id).await.is_err());
}

#[tokio::test]
async fn every_damaged_object_is_noticed() {
    let (store, memory) = store();
    let (first, _) = put(&store, "0", &pages(1, 600), None).await;
    let mut changed = pages(1, 600);
    changed[123_456] ^= 1;
    let (second, layer) = put(&store, "1", &changed, Some(&first.id)).await;
    let objects = memory.list("", None, 100).await.unwrap().objects;
    // Two layers, the key of their domain, and hooks.
    assert!(objects.len() >= 5);
    for object in objects {
        let good = memory.get(&object.key).await.unwrap().bytes;
        for at in (16..good.len()).step_by((good.len() / 50).max(1)) {
            let mut bad = good.to_vec();
            bad[at] ^= 4;
            memory
                .put(&object.key, bad.into(), pagevault_objects::Precondition::None)
                .await
                .unwrap();
            let read = async { store.open(&second.id).await?.read(0..u64::MAX).await }.await;
            // Bytes that this layer does not need may be damaged without harm to it.
            assert!(read.is_err() || read.unwrap() == layer, "{} at {at}", object.key.as_str());
        }
        memory.put(&object.key, good, pagevault_objects::Precondition::None).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_is_adopted_as_it_is() {
    let (store, _) = store();
    let folder = std::env::temp_dir().join(format!("pagestore-adopt-{}", std::process::id()));
    let content = pages(3, 600);
    std::fs::write(&folder, &content).unwrap();
    let checksums = content.chunks(1 << 20).map(PageStore::checksum).collect();
    let len = content.len() as u64;
    let committed = store.adopt("d", "x", &folder, len, checksums).await.unwrap();
    let reader = store.open(&committed.id).await.unwrap();
    assert_eq!(reader.read(1_000_000..1_100_000).await.unwrap(), content[1_000_000..1_100_000]);
    assert_eq!(reader.read(0..len).await.unwrap(), content);
}

/// The whole layer as a client gets it that decodes zstd, and the bytes that were sent.
async fn over_the_wire(reader: &LayerReader) -> Option<(Vec<u8>, usize)> {
    if !reader.is_mostly_frames() {
        return None;
    }
    let frames: Vec<_> = reader.framed(0).try_collect().await.unwrap();
    assert_eq!(frames.iter().map(|framed| framed.bytes).sum::<u64>(), reader.bytes());
    let stream = frames.into_iter().flat_map(|framed| framed.frames).collect::<Vec<_>>().concat();
    Some((zstd::stream::decode_all(stream.as_slice()).unwrap(), stream.len()))
}

#[tokio::test]
async fn a_keyframe_goes_out_in_its_stored_frames() {
    let (store, memory) = store();
    // Whole blocks of literals, one with zero pages among them, and noise that no frame holds.
    let mut bytes = pages(1, 1300);
    bytes[300 * PAGE..310 * PAGE].fill(0);
    bytes[600 * PAGE..856 * PAGE].copy_from_slice(&noise(3, 256));
    let (committed, layer) = put(&store, "a", &bytes, None).await;
    let reader = store.open(&committed.id).await.unwrap();
    let (decoded, sent) = over_the_wire(&reader).await.unwrap();
    assert!(decoded == layer);
    let frames = 2 * 256 * PAGE;
    assert!(sent < layer.len() - frames / 2, "{sent} of {}", layer.len());

    // What is sent as it is stored is compared with its checksum first.
    let key = store::data_key(&reader.recipe().unwrap().objects[0]).unwrap();
    let mut damaged = memory.get(&key).await.unwrap().bytes.to_vec();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    memory.delete(&key).await.unwrap();
    memory.put(&key, damaged.into(), pagevault_objects::Precondition::None).await.unwrap();
    let reader = store.open(&committed.id).await.unwrap();
    let sent: Result<Vec<_>> = reader.framed(0).try_collect().await;
    assert!(matches!(sent, Err(PageStoreError::Damaged(_))));
}

#[tokio::test]
async fn a_layer_that_is_not_mostly_frames_has_no_zstd_stream() {
    let (store, _) = store();
    let mut bytes = pages(1, 700);
    let (keyframe, _) = put(&store, "0", &bytes, None).await;
    assert!(store.open(&keyframe.id).await.unwrap().is_mostly_frames());
    bytes[5] ^= 1;
    let (delta, _) = put(&store, "1", &bytes, Some(&keyframe.id)).await;
    assert!(!store.open(&delta.id).await.unwrap().is_mostly_frames());
    let (noisy, _) = put(&store, "2", &noise(9, 700), None).await;
    assert!(!store.open(&noisy.id).await.unwrap().is_mostly_frames());
}
