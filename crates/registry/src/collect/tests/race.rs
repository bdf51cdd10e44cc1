//! Pushes, deletes and collections, interleaved at every call of the store.
//!
//! `PAGEVAULT_SCHEDULES` says how many schedules are tried, `PAGEVAULT_SEED` which is the first: one
//! that fails is repeated with `PAGEVAULT_SCHEDULES=1` and the seed that it names.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pagevault_objects::{MemoryStore, ObjectStore};

use super::actors::{LAYERS, collect, delete, delete_blob, push_native, push_oci, store_anew};
use super::rest;
use super::schedule::{self, Draw, YieldStore};
use super::world::{LARGE, World};

/// Schedules that every test run tries.
const SCHEDULES: u64 = 1_000;

const REPOSITORIES: [&str; 3] = ["a", "a/b", "c"];

#[test]
fn nothing_that_was_acknowledged_is_lost_in_any_schedule() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse::<u64>().expect(name))
    };
    let schedules = number("PAGEVAULT_SCHEDULES", SCHEDULES);
    let first = number("PAGEVAULT_SEED", 1);
    let sums: [AtomicU64; 7] = Default::default();
    let next = AtomicU64::new(first);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= first + schedules {
                return;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| one(seed)));
            let counts = outcome.unwrap_or_else(|panic| {
                eprintln!("seed {seed}: repeat with PAGEVAULT_SCHEDULES=1 PAGEVAULT_SEED={seed}");
                next.store(u64::MAX / 2, Relaxed);
                resume_unwind(panic)
            });
            for (sum, count) in sums.iter().zip(counts) {
                sum.fetch_add(count, Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let [pushed, seen, again, gave_up, anew, rewritten, shared] = sums.map(AtomicU64::into_inner);
    println!(
        "{schedules} schedules: {pushed} pushes and deletes, {seen} pulls, {again} pushes that \
         began again, {gave_up} that gave up, {anew} layers stored anew, {rewritten} by \
         collectors, {shared} pages shared"
    );
    // It was not for want of anything to collect.
    assert!(schedules < 1_000 || again > 0 && rewritten > 0 && shared > 0);
}

/// One schedule; counts what happened in it.
fn one(seed: u64) -> [u64; 7] {
    pagevault_pagestore::names::seed(Some(seed));
    let mut draw = Draw::new(seed);
    let memory = MemoryStore::default();
    memory.advance_clock(1_000_000);
    let store: Arc<dyn ObjectStore> = Arc::new(YieldStore(memory.clone()));
    let alone = draw.one_in(4);
    // Large layers are shared from each other, and take time.
    let layers = if draw.one_in(8) { LAYERS + 3 } else { LAYERS };
    let world = World::new(memory.clone(), store, alone);
    if draw.one_in(3) {
        schedule::now(bury(&world));
    }
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for _ in 0..2 + draw.below(3) {
        let draw = Draw::new(draw.below(u64::MAX));
        tasks.push(Box::pin(client(&world, draw, layers)));
    }
    for _ in 0..1 + draw.below(2) {
        let times = 1 + draw.below(3);
        tasks.push(Box::pin(collect(&world, Draw::new(draw.below(u64::MAX)), times, alone)));
    }
    let mut seen = 0;
    schedule::run(&mut draw, tasks, |draw| {
        if draw.one_in(50) {
            memory.advance_clock(draw.below(600));
        }
        if draw.one_in(40) {
            seen += world.check_visible();
        }
    });
    world.check_visible();
    world.check_acknowledged();
    rest::only_what_is_needed_stays(&memory);
    world.check_visible();
    world.check_acknowledged();
    rest::all_goes(&memory);
    if alone {
        // Collectors leave alone what writers of their own process hold.
        assert_eq!(world.gave_up.get(), 0);
    }
    let events = world.events.borrow().values().map(|events| events.len() as u64).sum();
    [
        events,
        seen,
        world.again.get(),
        world.gave_up.get(),
        world.anew.get(),
        world.rewritten.get(),
        world.shared.get(),
    ]
}

/// Checkpoints that stand on others which are deleted, before all else.
async fn bury(world: &World) {
    for number in 0..3 {
        push_native(world, "a", number).await.unwrap();
    }
    for number in 0..2 {
        delete(world, "a", number).await.unwrap();
    }
}

/// A client: pushes and deletes, in any order.
async fn client(world: &World, mut draw: Draw, layers: u64) {
    for _ in 0..1 + draw.below(3) {
        let repository = REPOSITORIES[draw.below(3) as usize];
        // Large ones are few: mostly they.
        let number = if layers > LARGE && !draw.one_in(4) {
            LARGE + draw.below(layers - LARGE)
        } else {
            draw.below(LARGE)
        };
        let done = match draw.below(18) {
            0..7 => push_native(world, repository, number).await,
            7..9 => push_oci(world, repository, None, number).await,
            9..12 => {
                let from = REPOSITORIES[draw.below(3) as usize];
                push_oci(world, repository, Some(from), number).await
            }
            12..15 => delete(world, repository, number).await,
            15..17 => store_anew(world, repository, number).await,
            _ => delete_blob(world, repository, number).await,
        };
        done.unwrap();
    }
}
