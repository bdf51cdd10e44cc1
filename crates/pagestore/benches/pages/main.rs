//! How fast real memory pages are encoded, decoded and hashed: `cargo bench -p pagevault-pagestore`.
//!
//! Everything goes through the public interface, over a store in memory: what is timed is what a push and a pull
//! do to bytes, without disk and HTTP. Encoding includes decoding again and comparing.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

mod fixture;

use std::hint::black_box;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
};
use futures_util::StreamExt as _;
use pagevault_objects::MemoryStore;
use pagevault_pagestore::{PageStore, PageStoreOptions, RecipeId};
use sha2::Digest as _;
use tokio::runtime::Runtime;

use self::fixture::{Layer, series};

criterion_group!(benches, encode, decode, hash);
criterion_main!(benches);

fn store() -> PageStore {
    PageStore::new(Arc::new(MemoryStore::default()), PageStoreOptions::default())
}

fn group<'c>(
    criterion: &'c mut Criterion,
    name: &str,
    layer: &Layer,
) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(layer.bytes.len() as u64)).sample_size(20);
    group
}

/// The first checkpoint of a container, and one that is compared with the one before.
fn encode(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let layers = series().unwrap();
    let mut group = group(criterion, "encode", &layers[0]);
    group.bench_function("keyframe", |bencher| {
        // A fresh store each time: a store in memory forgets nothing.
        let run = |store: PageStore| runtime.block_on(layers[0].put(&store, None)).unwrap();
        bencher.iter_batched(store, run, BatchSize::PerIteration);
    });
    group.bench_function("delta", |bencher| {
        let store = store();
        let base = runtime.block_on(layers[0].put(&store, None)).unwrap().id;
        bencher.iter(|| runtime.block_on(layers[1].put(&store, Some(&base))).unwrap());
    });
}

/// A keyframe, and the newest of a chain.
fn decode(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let layers = series().unwrap();
    let mut group = group(criterion, "decode", &layers[0]);
    let store = store();
    let mut chain: Vec<RecipeId> = Vec::new();
    for layer in &layers {
        let stored = runtime.block_on(layer.put(&store, chain.last())).unwrap();
        chain.push(stored.id);
    }
    for (name, id) in [("keyframe", chain.first()), ("delta of three", chain.last())] {
        let id = id.unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(read(&store, id)));
        });
    }
}

async fn read(store: &PageStore, id: &RecipeId) {
    let mut stream = store.open(id).await.unwrap().stream(0..u64::MAX);
    while let Some(bytes) = stream.next().await {
        black_box(bytes.unwrap());
    }
}

/// The digest of a layer, and the checksum of its segments: one thread each.
fn hash(criterion: &mut Criterion) {
    let layers = series().unwrap();
    let mut group = group(criterion, "hash", &layers[0]);
    let bytes = layers[0].bytes.as_slice();
    group.bench_function("sha256", |bencher| bencher.iter(|| sha2::Sha256::digest(bytes)));
    group.bench_function("xxh3", |bencher| bencher.iter(|| xxhash_rust::xxh3::xxh3_64(bytes)));
}
