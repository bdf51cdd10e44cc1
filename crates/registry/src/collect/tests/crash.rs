//! A crash at every write of every operation, with that write lost or kept: nothing that was
//! acknowledged is lost, and what is left over is collected.

use std::sync::Arc;

use pagevault_objects::{FaultStore, LastWrite, MemoryStore};
use pagevault_pagestore::Watch;

use super::actors::{delete, push_native, push_oci, upkeep};
use super::rest::{all_goes, keys, only_what_is_needed_stays};
use super::schedule::now;
use super::world::{Plain, World, manifest_digest};
use crate::Result;
use crate::collect::CollectSettings;

/// What may be stopped half way.
#[derive(Debug, Clone, Copy)]
enum Operation {
    /// A native push of a checkpoint that is stored against another.
    Push,
    /// One of a checkpoint that was there and is deleted, whose blobs still are.
    PushAgain,
    /// An image over OCI: its blob, then its manifest.
    PushOci,
    /// One whose blob another repository has.
    Mount,
    Delete,
    Collect,
}

/// The registry before: a keyframe and a delta, an image over OCI, and things to collect.
fn before() -> MemoryStore {
    let memory = MemoryStore::default();
    memory.advance_clock(1_000_000);
    let world = World::new(memory.clone(), Arc::new(memory.clone()), true);
    let done = async {
        for number in [0, 1, 2] {
            push_native(&world, "a", number).await?;
        }
        push_oci(&world, "c", None, 3).await?;
        delete(&world, "a", 0).await?;
        delete(&world, "a", 2).await
    };
    now(done).unwrap();
    memory.advance_clock(10_000);
    memory
}

async fn run(world: &World, operation: Operation) -> Result<()> {
    match operation {
        Operation::Push => push_native(world, "a", 4).await,
        Operation::PushAgain => push_native(world, "a", 2).await,
        Operation::PushOci => push_oci(world, "a", None, 4).await,
        Operation::Mount => push_oci(world, "a/b", Some("c"), 3).await,
        Operation::Delete => delete(world, "a", 1).await,
        Operation::Collect => {
            let settings = CollectSettings {
                dry_run: false,
                grace_seconds: 3600,
                alone_since: None,
                rebase_gain: 0,
            };
            let (collector, watch) = (world.collector(), Arc::new(Watch::default()));
            let outcome = collector.run(settings, &watch).await?;
            upkeep(world, &collector, &outcome.pages.rebases, &watch).await;
            Ok(())
        }
    }
}

/// Whether a manifest is there.
fn is_there(plain: &Plain, repository: &str, number: u64) -> bool {
    now(plain.catalog.find_manifest(repository, &manifest_digest(number))).unwrap().is_some()
}

/// Looks at what a crash has left.
fn check(operation: Operation, acknowledged: bool, image: &MemoryStore) {
    let plain = Plain::over(image);
    let there = |repository, number| is_there(&plain, repository, number);
    assert!(there("c", 3));
    match operation {
        Operation::Delete => assert!(!acknowledged || !there("a", 1)),
        _ => assert!(there("a", 1)),
    }
    match operation {
        Operation::Push | Operation::PushOci => assert!(!acknowledged || there("a", 4)),
        Operation::PushAgain => assert!(!acknowledged || there("a", 2)),
        Operation::Mount => assert!(!acknowledged || there("a/b", 3)),
        Operation::Delete | Operation::Collect => {}
    }
    only_what_is_needed_stays(image);
    assert_eq!(keys(image, "tombstones/"), Vec::<String>::new());
    all_goes(image);
}

#[test]
fn a_crash_at_any_write_loses_nothing_that_was_acknowledged() {
    let image = before();
    for operation in [
        Operation::Push,
        Operation::PushAgain,
        Operation::PushOci,
        Operation::Mount,
        Operation::Delete,
        Operation::Collect,
    ] {
        for last in [LastWrite::Lost, LastWrite::Kept] {
            let mut write = 0;
            loop {
                let store = FaultStore::over(&image);
                let world = World::new(image.clone(), Arc::new(store.clone()), true);
                store.stop_at(write, last);
                let outcome = now(run(&world, operation));
                drop(world);
                check(operation, outcome.is_ok(), &store.durable_image());
                if !store.stopped() {
                    outcome.unwrap();
                    break;
                }
                write += 1;
            }
            // Each has several writes: a number that shrinks to nothing would prove nothing.
            assert!(write >= if matches!(operation, Operation::Delete) { 1 } else { 4 });
        }
    }
}

#[test]
fn a_push_that_crashed_can_be_repeated_and_a_collection_goes_on() {
    let image = before();
    for write in 0.. {
        let store = FaultStore::over(&image);
        let world = World::new(image.clone(), Arc::new(store.clone()), true);
        store.stop_at(write, LastWrite::Kept);
        let stopped = [Operation::Collect, Operation::Push];
        let outcome = now(async {
            for operation in stopped {
                run(&world, operation).await?;
            }
            Ok::<_, crate::RegistryError>(())
        });
        let image = store.durable_image();
        let world = World::new(image.clone(), Arc::new(image.clone()), true);
        for operation in stopped {
            now(run(&world, operation)).unwrap();
        }
        check(Operation::Push, true, &image);
        if outcome.is_ok() {
            return;
        }
    }
}
