//! Members that changed a little are stored a little.

use futures_util::StreamExt;
use pagevault_objects::{Key, MemoryStore, ObjectStore, Precondition};
use proptest::prelude::*;

use super::*;
use crate::recipe::AddressRun;
use crate::store::recipe_key;
use crate::*;

fn open(memory: &MemoryStore) -> PageStore {
    let options = PageStoreOptions { workers: Workers::Inline, ..PageStoreOptions::default() };
    PageStore::new(Arc::new(memory.clone()), options)
}

/// Noise that a seed decides: it does not compress, and no two parts of it are equal.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let word = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut all: Vec<u8> = (0..bytes.div_ceil(8)).map(word).flat_map(u64::to_le_bytes).collect();
    all.truncate(bytes);
    all
}

/// A head, a member, a page of memory, and another member.
struct Layer {
    members: [Vec<u8>; 2],
    page: Vec<u8>,
}

impl Layer {
    fn new(first: Vec<u8>, second: Vec<u8>) -> Self {
        Self { members: [first, second], page: noise(99, PAGE) }
    }

    fn bytes(&self) -> Vec<u8> {
        let [first, second] = &self.members;
        [&b"head".repeat(200)[..], first, &self.page, second].concat()
    }

    fn space(&self) -> Space {
        let runs = vec![AddressRun { address: 0x1000, pages: 1 }];
        Space { pid: 1, command: "app".into(), shmem: None, runs }
    }

    async fn write(&self, mut writer: LayerWriter) -> Result<Committed> {
        let all = self.bytes();
        let source: Arc<dyn Source> = Arc::new(all.clone());
        let sizes = [800, self.members[0].len(), PAGE, self.members[1].len()];
        let kinds = [PartKind::Bytes, PartKind::Member, PartKind::Pages(0), PartKind::Member];
        let mut offset = 0;
        for (bytes, kind) in sizes.into_iter().zip(kinds) {
            writer.write(Part { offset, bytes: bytes as u64, kind }, &source).await?;
            offset += bytes as u64;
        }
        writer.commit("layer", all.len() as u64).await
    }

    async fn put(&self, store: &PageStore, base: Option<&RecipeId>) -> Committed {
        let writer = store.writer("d", base, vec![self.space()]).await.unwrap();
        self.write(writer).await.unwrap()
    }

    async fn check(&self, store: &PageStore, id: &RecipeId) {
        let (all, reader) = (self.bytes(), store.open(id).await.unwrap());
        assert!(reader.read(0..u64::MAX).await.unwrap() == all);
        for at in (0..all.len()).step_by(all.len() / 17 + 1) {
            let end = (at + 70_000).min(all.len());
            let part = reader.read(at as u64..end as u64).await.unwrap();
            assert!(part == all[at..end], "{at}..{end}");
        }
    }
}

async fn recipe(memory: &MemoryStore, id: &RecipeId) -> Recipe {
    let stored = memory.get(&recipe_key(id).unwrap()).await.unwrap();
    Recipe::from_bytes("x", &stored.bytes).unwrap()
}

async fn data_objects(memory: &MemoryStore) -> Vec<Key> {
    let listed = memory.list("data/", None, 100).await.unwrap();
    listed.objects.into_iter().map(|object| object.key).collect()
}

#[tokio::test]
async fn a_file_at_the_front_costs_about_what_it_takes() {
    let memory = MemoryStore::default();
    let store = open(&memory);
    let old = noise(1, 6 << 20);
    let first = Layer::new(old.clone(), noise(2, 300_000)).put(&store, None).await;
    assert_eq!(first.stats.members.found, 0);
    let grown = [noise(3, 100_000), old].concat();
    // The members change places as well: a chunk is found wherever it was.
    let second = Layer::new(noise(2, 300_000), grown);
    let stored = second.put(&store, Some(&first.id)).await;
    let members = stored.stats.members;
    assert!(members.new >= 100_000 && members.new < 600_000, "{members:?}");
    assert_eq!(members.new + members.found, (6 << 20) + 400_000);
    assert!(stored.stats.other_bytes < 700_000, "{:?}", stored.stats);
    second.check(&store, &stored.id).await;
    // One step deep: a third one names the object of the first, not that of the second.
    let third = second.put(&store, Some(&stored.id)).await;
    assert_eq!((third.stats.members.new, third.stats.members.found), (0, (6 << 20) + 400_000));
    second.check(&store, &third.id).await;
    let owner = recipe(&memory, &first.id).await.objects[0].clone();
    assert!(recipe(&memory, &third.id).await.objects.contains(&owner));
}

#[tokio::test]
async fn keyframes_find_chunks_too_and_outlive_what_they_were_found_in() {
    let memory = MemoryStore::default();
    let store = open(&memory);
    let layer = Layer::new(noise(1, 1 << 20), noise(2, 400_000));
    let first = layer.put(&store, None).await;
    let writer = store.keyframe_writer("d", &first.id, vec![layer.space()]).await.unwrap();
    let second = layer.write(writer).await.unwrap();
    assert!(!second.delta);
    assert_eq!(second.stats.members.new, 0);
    assert!(recipe(&memory, &second.id).await.chain.is_empty());
    memory.delete(&recipe_key(&first.id).unwrap()).await.unwrap();
    layer.check(&store, &second.id).await;
}

#[tokio::test]
async fn what_is_condemned_gone_or_damaged_is_stored_anew() {
    for harm in 0..4 {
        let memory = MemoryStore::default();
        let store = open(&memory);
        let layer = Layer::new(noise(1, 1 << 20), noise(2, 400_000));
        let first = layer.put(&store, None).await;
        let key = data_objects(&memory).await.remove(0);
        let put = async |key: &Key, bytes: Vec<u8>| {
            memory.put(key, bytes.into(), Precondition::None).await.unwrap();
        };
        match harm {
            0 => {
                let name = key.as_str().rsplit('/').next().unwrap();
                put(&Key::new(format!("tombstones/data/{name}")).unwrap(), Vec::new()).await;
            }
            1 => memory.delete(&key).await.unwrap(),
            2 => {
                let mut bytes = memory.get(&key).await.unwrap().bytes.to_vec();
                (16..bytes.len()).step_by(1000).for_each(|at| bytes[at] ^= 1);
                put(&key, bytes).await;
            }
            // Equal size and checksum mean nothing: the bytes are compared.
            _ => {
                let mut lying = recipe(&memory, &first.id).await;
                let extents = lying.extents.iter_mut().filter(|extent| extent.space.is_none());
                for segment in extents.flat_map(|extent| &mut extent.segments) {
                    segment.at += 8;
                    let range = segment.at..segment.at + u64::from(segment.stored);
                    let stored = memory.get_range(&key, range).await.unwrap_or_default();
                    segment.stored_checksum = codec::checksum(&stored);
                }
                put(&recipe_key(&first.id).unwrap(), lying.to_bytes().unwrap()).await;
            }
        }
        let writer = store.keyframe_writer("d", &first.id, vec![layer.space()]).await.unwrap();
        let second = layer.write(writer).await.unwrap();
        assert_eq!(second.stats.members.found, 0, "harm {harm}");
        layer.check(&store, &second.id).await;
        assert!(!recipe(&memory, &second.id).await.objects.contains(&own_name(&key)));
    }
}

fn own_name(key: &Key) -> String {
    key.as_str().rsplit('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_layer_names_an_object_before_it_relies_on_it() {
    let memory = MemoryStore::default();
    let store = open(&memory);
    let layer = Layer::new(noise(1, 1 << 20), noise(2, 400_000));
    let first = layer.put(&store, None).await;
    let object = own_name(&data_objects(&memory).await[0]);
    let mut writer = store.keyframe_writer("d", &first.id, vec![layer.space()]).await.unwrap();
    let source: Arc<dyn Source> = Arc::new(layer.bytes());
    let part = Part { offset: 800, bytes: 1 << 20, kind: PartKind::Member };
    writer.write(part, &source).await.unwrap();
    let mut pending = Vec::new();
    for listed in memory.list("recipes/", None, 10).await.unwrap().objects {
        let stored = memory.get(&listed.key).await.unwrap();
        let recipe = Recipe::from_bytes("x", &stored.bytes).unwrap();
        pending.extend((recipe.state == 0).then_some(recipe.objects));
    }
    assert_eq!(pending.len(), 1);
    assert!(pending[0].contains(&object));
}

#[tokio::test]
async fn chunks_that_are_all_that_is_used_of_an_object_are_moved_once() {
    let memory = MemoryStore::default();
    let store = open(&memory);
    let layer = Layer::new(noise(1, 400_000), noise(2, 300_000));
    let large = Layer::new([noise(7, 4 << 20), noise(1, 400_000)].concat(), noise(2, 300_000));
    let first = large.put(&store, None).await;
    let object = data_objects(&memory).await.remove(0);
    let mut others = Vec::new();
    for _ in 0..3 {
        let writer = store.keyframe_writer("d", &first.id, vec![layer.space()]).await.unwrap();
        others.push(layer.write(writer).await.unwrap());
    }
    assert!(others.iter().all(|other| other.stats.members.found > 400_000));
    assert_eq!(store.repack(&Watch::default()).await.unwrap(), Repacked::default());
    memory.delete(&recipe_key(&first.id).unwrap()).await.unwrap();
    let uses = store.object_uses().await.unwrap();
    let dead = uses.iter().find(|u| object.as_str().ends_with(&u.object)).unwrap();
    assert!(dead.mostly_dead() && dead.owners.is_empty() && dead.sharers.len() == 3, "{dead:?}");
    let used = dead.used_bytes;
    let repacked = store.repack(&Watch::default()).await.unwrap();
    assert_eq!((repacked.objects, repacked.recipes), (1, 3));
    assert_eq!(repacked.stored_bytes, used + 16);
    memory.delete(&object).await.unwrap();
    for other in &others {
        layer.check(&store, &other.id).await;
    }
    assert_eq!(store.repack(&Watch::default()).await.unwrap(), Repacked::default());
}

/// A gzip member, or a compressed image of CRIU's: nothing here unpacks it.
#[tokio::test]
async fn what_does_not_shrink_is_stored_as_it_is() {
    let memory = MemoryStore::default();
    let store = open(&memory);
    let mut gzip = noise(1, 500_000);
    gzip[..4].copy_from_slice(&[0x1f, 0x8b, 8, 0]);
    let layer = Layer::new(gzip.clone(), vec![0; 700_000]);
    let stored = layer.put(&store, None).await;
    let expected = MemberBytes { new: 500_000, zero: 700_000, found: 0 };
    assert_eq!(stored.stats.members, expected);
    let extents = recipe(&memory, &stored.id).await.extents;
    assert!(extents[1].segments.iter().all(|s| s.encoding == Encoding::Raw as i32));
    let object = memory.get(&data_objects(&memory).await[0]).await.unwrap().bytes;
    let at = extents[1].segments[0].at as usize;
    assert!(object[at..at + gzip.len()] == gzip);
    layer.check(&store, &stored.id).await;
}

#[tokio::test]
async fn a_damaged_chunk_is_an_error_and_never_wrong_bytes() {
    let memory = MemoryStore::default();
    let store = open(&memory);
    let layer = Layer::new(noise(1, 1 << 20), b"text ".repeat(100_000));
    let first = layer.put(&store, None).await;
    let (key, all) = (data_objects(&memory).await.remove(0), layer.bytes());
    let second = layer.put(&store, Some(&first.id)).await;
    assert_eq!(second.stats.members.new, 0);
    let good = memory.get(&key).await.unwrap().bytes;
    for at in (16..good.len()).step_by(good.len() / 40) {
        let mut bad = good.to_vec();
        bad[at] ^= 4;
        memory.put(&key, bad.into(), Precondition::None).await.unwrap();
        let read = store.open(&second.id).await.unwrap().read(0..u64::MAX).await;
        assert!(read.is_err() || read.unwrap() == all, "byte {at}");
    }
}

/// The sizes of the chunks of a member that lies anywhere.
async fn sizes(before: usize, member: &[u8]) -> Vec<usize> {
    let source: Arc<dyn Source> = Arc::new([&vec![7; before], member].concat());
    let (offset, bytes) = (before as u64, member.len() as u64);
    let part = Part { offset, bytes, kind: PartKind::Member };
    let chunks: Vec<_> = cut(part, source, Workers::Inline).collect().await;
    let mut at = 0;
    let size = |chunk: Result<Chunk>| {
        let chunk = chunk.unwrap();
        assert_eq!(chunk.offset, (before + at) as u64);
        assert!(chunk.raw[..] == member[at..at + chunk.raw.len()]);
        at += chunk.raw.len();
        chunk.raw.len()
    };
    let sizes = chunks.into_iter().map(size).collect();
    assert_eq!(at, member.len());
    sizes
}

#[tokio::test]
async fn where_is_cut_does_not_depend_on_how_it_is_read() {
    let member = [noise(5, 9_000_000), vec![0; 3_000_000], noise(6, 777)].concat();
    let cuts = sizes(0, &member).await;
    assert_eq!(sizes(12_345, &member).await, cuts);
    let whole = FastCDC::new(&member, CHUNK_MIN, CHUNK_USUAL, CHUNK_MAX);
    assert_eq!(whole.map(|cut| cut.length).collect::<Vec<_>>(), cuts);
    assert!(cuts.iter().all(|size| *size <= CHUNK_MAX));
    assert!(cuts.len() > 40 && cuts.len() < 200, "{}", cuts.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Any edits of any members come back.
    #[test]
    fn members_come_back_however_they_were_edited(
        seeds in prop::collection::vec((0u64..6, 1usize..400_000, any::<bool>()), 1..6),
        edits in prop::collection::vec((0usize..5, any::<prop::sample::Index>(), 0usize..90_000), 0..5),
    ) {
        let piece = |&(seed, bytes, flat): &(u64, usize, bool)| {
            if flat { vec![seed as u8; bytes] } else { noise(seed, bytes) }
        };
        let mut pieces: Vec<Vec<u8>> = seeds.iter().map(piece).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let memory = MemoryStore::default();
        let store = open(&memory);
        let mut base = None;
        for (what, place, bytes) in edits {
            let layer = Layer::new(pieces.concat(), pieces[0].clone());
            let stored = runtime.block_on(layer.put(&store, base.as_ref()));
            runtime.block_on(layer.check(&store, &stored.id));
            let place = place.index(pieces.len());
            match what {
                0 => pieces.insert(place, noise(bytes as u64, bytes)),
                1 => pieces[place].truncate(bytes),
                2 => pieces.rotate_left(place),
                3 => pieces[place].iter_mut().step_by(bytes + 1).for_each(|byte| *byte ^= 1),
                _ => {}
            }
            base = Some(stored.id);
        }
    }
}
