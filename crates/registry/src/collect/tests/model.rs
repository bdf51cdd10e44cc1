//! Any sequence of pushes, deletes, collections and crashes agrees with a set of names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pagevault_objects::{FaultStore, LastWrite, MemoryStore};
use pagevault_pagestore::Watch;
use proptest::prelude::*;

use super::actors::{LAYERS, delete, push_native, push_oci, store_anew, tag, untag, upkeep};
use super::rest::{all_goes, keys, only_what_is_needed_stays};
use super::schedule::now;
use super::world::{Plain, World, manifest_digest};
use crate::Result;
use crate::collect::CollectSettings;

const REPOSITORIES: [&str; 2] = ["a", "a/b"];
const TAGS: [&str; 2] = ["latest", "v1"];

/// Manifests by repository; and what tags point to.
type Manifests = BTreeSet<(String, String)>;
type Tags = BTreeMap<(usize, usize), u64>;

#[derive(Debug, Clone)]
enum Step {
    Push(usize, u64),
    PushOci(usize, u64),
    Delete(usize, u64),
    /// A layer is stored anew in its place, as one that landed is.
    Anew(usize, u64),
    /// A tag is set, or moved, to a manifest that is there.
    Tag(usize, usize, u64),
    Untag(usize, usize),
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
        2 => place().prop_map(|(repository, number)| Step::Anew(repository, number)),
        4 => (place(), 0..TAGS.len()).prop_map(|((repository, number), tag)| Step::Tag(repository, tag, number)),
        1 => (0..REPOSITORIES.len(), 0..TAGS.len()).prop_map(|(r, tag)| Step::Untag(r, tag)),
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
        Step::Anew(repository, number) => store_anew(world, REPOSITORIES[repository], number).await,
        Step::Tag(repository, name, number) => {
            tag(world, REPOSITORIES[repository], TAGS[name], number).await
        }
        Step::Untag(repository, name) => untag(world, REPOSITORIES[repository], TAGS[name]).await,
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
fn seen(memory: &MemoryStore) -> Manifests {
    let plain = Plain::over(memory);
    let manifests = plain.manifests();
    for (repository, record) in &manifests {
        plain.check(repository, record, &BTreeSet::new());
    }
    manifests.into_iter().map(|(repository, m)| (repository, m.digest.to_string())).collect()
}

/// The tags that there are.
fn tags(memory: &MemoryStore) -> Tags {
    let plain = Plain::over(memory);
    let mut found = Tags::new();
    for (repository, name) in
        (0..REPOSITORIES.len()).flat_map(|r| (0..TAGS.len()).map(move |t| (r, t)))
    {
        let tag = now(plain.catalog.find_tag(REPOSITORIES[repository], TAGS[name])).unwrap();
        let digest = tag.map(|tag| tag.digest);
        let number = digest.and_then(|digest| (0..LAYERS).find(|n| manifest_digest(*n) == digest));
        found.extend(number.map(|number| ((repository, name), number)));
    }
    found
}

/// What a step that has come to its end does to tags.
fn apply(step: &Step, live: &Manifests, tags: &mut Tags) {
    match *step {
        Step::Tag(r, name, number) if live.contains(&target(r, number)) => {
            tags.insert((r, name), number);
        }
        Step::Untag(r, name) => drop(tags.remove(&(r, name))),
        Step::Delete(r, number) => tags.retain(|(of, _), to| (*of, *to) != (r, number)),
        _ => {}
    }
}

fn target(repository: usize, number: u64) -> (String, String) {
    (REPOSITORIES[repository].to_owned(), manifest_digest(number).to_string())
}

fn model(steps: &[Step]) {
    let mut memory = MemoryStore::default();
    memory.advance_clock(1_000_000);
    let (mut live, mut named) = (Manifests::new(), Tags::new());
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
        let (name, expected) = match *step {
            Step::Push(r, n) | Step::PushOci(r, n) => (Some(target(r, n)), true),
            Step::Delete(r, n) => (Some(target(r, n)), false),
            _ => (None, false),
        };
        let found = seen(&memory);
        let (before, pointed) = (named.clone(), tags(&memory));
        apply(step, &live, &mut named);
        if outcome.is_err() {
            // Each tag is as it was or as it was to be; one that points to nothing is nobody's.
            for place in before.keys().chain(named.keys()) {
                let is = pointed.get(place);
                assert!(is == before.get(place) || is == named.get(place), "{place:?} {step:?}");
            }
            named.clone_from(&pointed);
        }
        assert_eq!(pointed, named, "tags after {step:?}");
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
