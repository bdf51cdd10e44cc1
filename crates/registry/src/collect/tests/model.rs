//! Any sequence of pushes, deletes, collections and crashes agrees with a set of names.

use std::collections::BTreeSet;
use std::sync::Arc;

use pagevault_objects::{FaultStore, LastWrite, MemoryStore};
use pagevault_pagestore::Watch;
use proptest::prelude::*;

use super::actors::{LAYERS, delete, push_native, push_oci, upkeep};
use super::rest::{all_goes, keys, only_what_is_needed_stays};
use super::schedule::now;
use super::world::{Plain, World, manifest_digest};
use crate::Result;
use crate::collect::CollectSettings;

const REPOSITORIES: [&str; 2] = ["a", "a/b"];

#[derive(Debug, Clone)]
enum Step {
    Push(usize, u64),
    PushOci(usize, u64),
    Delete(usize, u64),
    Collect {
        dry_run: bool,
    },
    /// The next step is stopped at this write, and the store opened anew.
    Crash(u64, bool),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..REPOSITORIES.len(), 0..LAYERS);
    prop_oneof![
        5 => place().prop_map(|(repository, number)| Step::Push(repository, number)),
        2 => place().prop_map(|(repository, number)| Step::PushOci(repository, number)),
        4 => place().prop_map(|(repository, number)| Step::Delete(repository, number)),
        3 => any::<bool>().prop_map(|dry_run| Step::Collect { dry_run }),
        2 => (0..30u64, any::<bool>()).prop_map(|(write, kept)| Step::Crash(write, kept)),
        2 => (0..2_000u64).prop_map(Step::Pass),
    ]
}

async fn run(world: &World, step: &Step) -> Result<()> {
    match *step {
        Step::Push(repository, number) => {
            push_native(world, REPOSITORIES[repository], number).await
        }
        Step::PushOci(repository, number) => {
            let from = REPOSITORIES[1 - repository];
            push_oci(world, REPOSITORIES[repository], Some(from), number).await
        }
        Step::Delete(repository, number) => delete(world, REPOSITORIES[repository], number).await,
        Step::Collect { dry_run } => {
            let settings =
                CollectSettings { dry_run, grace_seconds: 3600, alone_since: None, rebase_gain: 0 };
            let (collector, watch) = (world.collector(), Arc::new(Watch::default()));
            let outcome = collector.run(settings, &watch).await?;
            if !dry_run {
                upkeep(world, &collector, &outcome.pages.rebases, &watch).await;
            }
            Ok(())
        }
        Step::Crash(..) | Step::Pass(_) => Ok(()),
    }
}

/// The manifests that there are, each of which can be pulled.
fn seen(memory: &MemoryStore) -> BTreeSet<(String, String)> {
    let plain = Plain::over(memory);
    let manifests = plain.manifests();
    for (repository, record) in &manifests {
        plain.check(repository, record, &BTreeSet::new());
    }
    manifests.into_iter().map(|(repository, m)| (repository, m.digest.to_string())).collect()
}

fn model(steps: &[Step]) {
    let mut memory = MemoryStore::default();
    memory.advance_clock(1_000_000);
    let mut live = BTreeSet::new();
    let mut crash = None;
    for step in steps {
        match *step {
            Step::Crash(write, kept) => {
                crash = Some((write, if kept { LastWrite::Kept } else { LastWrite::Lost }));
                continue;
            }
            Step::Pass(seconds) => memory.advance_clock(seconds),
            _ => {}
        }
        let store = FaultStore::over(&memory);
        if let Some((write, last)) = crash.take() {
            store.stop_at(write, last);
        }
        let world = World::new(memory.clone(), Arc::new(store.clone()), true);
        let outcome = now(run(&world, step));
        drop(world);
        memory = store.durable_image();
        let target = |repository: usize, number| {
            (REPOSITORIES[repository].to_owned(), manifest_digest(number).to_string())
        };
        let (name, expected) = match *step {
            Step::Push(r, n) | Step::PushOci(r, n) => (Some(target(r, n)), true),
            Step::Delete(r, n) => (Some(target(r, n)), false),
            _ => (None, false),
        };
        let found = seen(&memory);
        match name {
            Some(name) if outcome.is_err() => {
                // What a crash has cut off has happened, or has not.
                assert!(store.stopped());
                live.remove(&name);
                live.extend(found.contains(&name).then_some(name));
            }
            Some(name) if expected => drop(live.insert(name)),
            Some(name) => drop(live.remove(&name)),
            None => assert!(outcome.is_ok() || store.stopped()),
        }
        assert_eq!(found, live, "after {step:?}");
    }
    let before = bytes(&memory);
    only_what_is_needed_stays(&memory);
    assert!(bytes(&memory) <= before);
    assert_eq!(seen(&memory), live);
    all_goes(&memory);
    assert_eq!(bytes(&memory), 0);
    let allowed = ["repos/", "domains/"];
    let left = keys(&memory, "").into_iter();
    let left: Vec<String> =
        left.filter(|key| !allowed.iter().any(|a| key.starts_with(a))).collect();
    assert_eq!(left, Vec::<String>::new());
}

fn bytes(memory: &MemoryStore) -> u64 {
    now(Plain::over(memory).pages.stored_bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_agrees_with_the_model(steps in prop::collection::vec(step(), 1..25)) {
        model(&steps);
    }
}
