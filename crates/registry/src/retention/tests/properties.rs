//! What holds for any checkpoints and policies.

use jiff::SignedDuration;
use pagevault_api::retention::{Limits, Period, Policy, Scope};
use pagevault_pagestore::{Sizes, Stored};
use proptest::collection::vec;
use proptest::option::of as maybe;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::super::decide::{Candidate, decide};
use super::{of, staying, taken};

const HOURS: i64 = 24 * 40;

fn checkpoint(number: usize) -> impl Strategy<Value = Candidate> {
    let place = (0..2usize, 0..2usize, 0..2usize);
    (place, 0..HOURS, 1..50u64, prop::bool::weighted(0.1), prop::bool::weighted(0.2)).prop_map(
        move |((n, p, c), hours, bytes, pinned, orphan)| {
            let digest = format!("sha256:{number:064x}").parse().unwrap();
            let (pod, container) = (["cart-0", "cart-1"][p], ["redis", "sidecar"][c]);
            let taken = taken(hours, bytes);
            let placed = of(["shop", "bank"][n], pod, container, taken);
            Candidate { digest, pinned, orphan, roots: vec![number], ..placed }
        },
    )
}

/// Up to thirty checkpoints, each with a recipe of its own that may stand on an earlier one.
fn world() -> impl Strategy<Value = (Vec<Candidate>, Sizes)> {
    (1..30usize).prop_flat_map(|number| {
        let checkpoints = (0..number).map(checkpoint).collect::<Vec<_>>();
        let stored = vec((1..20u64, maybe(any::<prop::sample::Index>())), number);
        (checkpoints, stored).prop_map(|(checkpoints, stored)| {
            let stored = stored.into_iter().enumerate().map(|(n, (bytes, base))| {
                let base = base.filter(|_| n > 0).map(|base| base.index(n.max(1)));
                Stored { bytes, needs: base.into_iter().collect() }
            });
            (checkpoints, Sizes::new(stored.collect()))
        })
    })
}

fn count() -> impl Strategy<Value = Option<u32>> {
    maybe(1..6u32)
}

fn limits() -> impl Strategy<Value = Limits> {
    (count(), maybe(1..300u64), maybe(1..150u64)).prop_map(|(max_count, logical, stored)| Limits {
        max_count,
        max_logical_size: logical,
        max_stored_size: stored,
    })
}

fn rules() -> impl Strategy<Value = Policy> {
    let hours = || maybe((1..HOURS).prop_map(|h| Period(h.unsigned_abs() * 3600)));
    let keep = (count(), hours(), count(), count(), count());
    (keep, count(), any::<bool>(), hours(), maybe(10..60u64)).prop_map(
        |((last, within, hourly, daily, weekly), min_keep, retain_orphan, max_age, largest)| {
            Policy {
                keep_last: last,
                keep_within: within,
                keep_hourly: hourly,
                keep_daily: daily,
                keep_weekly: weekly,
                min_keep,
                retain_orphan,
                max_age,
                max_checkpoint_size: largest,
                ..Policy::default()
            }
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    (rules(), limits(), limits(), limits(), limits()).prop_map(|(rules, whole, n, p, c)| Policy {
        max_count: whole.max_count,
        max_logical_size: whole.max_logical_size,
        max_stored_size: whole.max_stored_size,
        per_namespace: n,
        per_pod: p,
        per_container: c,
        ..rules
    })
}

fn scopes() -> Vec<Scope> {
    let scope = |namespace: &str, pod: Option<&str>, container: Option<&str>| Scope {
        namespace: Some(namespace.to_owned()),
        pod: pod.map(str::to_owned),
        container: container.map(str::to_owned),
    };
    vec![
        Scope::default(),
        scope("shop", None, None),
        scope("shop", Some("cart-0"), None),
        scope("shop", None, Some("redis")),
        scope("shop", Some("cart-0"), Some("redis")),
        scope("bank", None, None),
    ]
}

/// Policies of some scopes.
fn policies() -> impl Strategy<Value = Vec<Policy>> {
    (subsequence(scopes(), 0..=6), vec(policy(), 6)).prop_map(|(scopes, policies)| {
        let scoped = scopes.into_iter().zip(policies);
        scoped.map(|(scope, policy)| Policy { scope, ..policy }).collect()
    })
}

fn now() -> jiff::Timestamp {
    super::now() + SignedDuration::from_mins(1)
}

fn kept(checkpoints: &[Candidate], policies: &[Policy], sizes: &Sizes) -> Vec<usize> {
    staying(&decide(checkpoints, policies, sizes, now()))
}

fn is_within(few: &[usize], many: &[usize]) -> bool {
    few.iter().all(|number| many.contains(number))
}

/// Policies that are looser in what can only let more stay: larger limits over all that a policy
/// governs, a higher age, more that always stay.
fn loosened(policy: &Policy, by: u32) -> Policy {
    let more = |value: Option<u64>| value.map(|value| value + u64::from(by) * 10);
    Policy {
        min_keep: Some(policy.min_keep.unwrap_or_default() + by),
        max_age: policy.max_age.map(|age| Period(age.0 + u64::from(by) * 86_400)),
        max_count: policy.max_count.map(|max| max + by),
        max_logical_size: more(policy.max_logical_size),
        max_stored_size: more(policy.max_stored_size),
        ..policy.clone()
    }
}

/// The same with keep rules that choose more.
fn choosing_more(policy: &Policy, by: u32) -> Policy {
    let more = |count: Option<u32>| count.map(|count| count + by);
    Policy {
        keep_last: more(policy.keep_last),
        keep_hourly: more(policy.keep_hourly),
        keep_daily: more(policy.keep_daily),
        keep_weekly: more(policy.keep_weekly),
        keep_within: policy.keep_within.map(|within| Period(within.0 + u64::from(by) * 3600)),
        max_checkpoint_size: policy.max_checkpoint_size.map(|max| max + u64::from(by)),
        retain_orphan: true,
        ..loosened(policy, by)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn pinned_ones_never_go((checkpoints, sizes) in world(), policies in policies()) {
        let decisions = decide(&checkpoints, &policies, &sizes, now());
        for (checkpoint, decision) in checkpoints.iter().zip(decisions) {
            prop_assert!(decision.keep || !checkpoint.pinned);
            prop_assert!(!decision.reasons.is_empty());
        }
    }

    #[test]
    fn so_many_of_each_history_always_stay(
        (checkpoints, sizes) in world(),
        rules in policy(),
        min_keep in 1..4u32,
    ) {
        let rules = Policy { min_keep: Some(min_keep), ..rules };
        let stay = kept(&checkpoints, &[rules], &sizes);
        let history = |c: &Candidate| (c.namespace.clone(), c.pod.clone(), c.container.clone());
        for checkpoint in &checkpoints {
            let same = |n: &usize| history(&checkpoints[*n]) == history(checkpoint);
            let all = (0..checkpoints.len()).filter(same).count();
            let left = stay.iter().copied().filter(same).count();
            prop_assert!(left >= all.min(min_keep as usize), "{left} of {all}");
        }
    }

    #[test]
    fn the_order_does_not_matter(
        (checkpoints, sizes) in world(),
        policies in policies(),
        by in any::<usize>(),
    ) {
        let number = checkpoints.len();
        let moved = |n: usize| (n + by % number) % number;
        let mut other: Vec<Candidate> = (0..number).map(|n| checkpoints[moved(n)].clone()).collect();
        other.reverse();
        let mut reversed = policies.clone();
        reversed.reverse();
        let one = decide(&checkpoints, &policies, &sizes, now());
        let mut two = decide(&other, &reversed, &sizes, now());
        two.reverse();
        for (n, two) in two.iter().enumerate() {
            let one = &one[moved(n)];
            prop_assert_eq!((one.keep, &one.reasons), (two.keep, &two.reasons));
        }
    }

    #[test]
    fn a_second_time_nothing_goes((checkpoints, sizes) in world(), policies in policies()) {
        let stay = kept(&checkpoints, &policies, &sizes);
        let left: Vec<_> = stay.iter().map(|n| checkpoints[*n].clone()).collect();
        prop_assert_eq!(kept(&left, &policies, &sizes).len(), left.len());
    }

    #[test]
    fn looser_limits_let_nothing_go(
        (checkpoints, sizes) in world(),
        rules in policy(),
        by in 1..4u32,
    ) {
        let stay = kept(&checkpoints, std::slice::from_ref(&rules), &sizes);
        let more = kept(&checkpoints, &[loosened(&rules, by)], &sizes);
        prop_assert!(is_within(&stay, &more), "{stay:?} {more:?}");
    }

    #[test]
    fn keep_rules_that_choose_more_let_nothing_go(
        (checkpoints, sizes) in world(),
        rules in rules(),
        by in 1..4u32,
    ) {
        let stay = kept(&checkpoints, std::slice::from_ref(&rules), &sizes);
        let more = kept(&checkpoints, &[choosing_more(&rules, by)], &sizes);
        prop_assert!(is_within(&stay, &more), "{stay:?} {more:?}");
    }

    #[test]
    fn below_a_number_keep_rules_that_choose_more_let_no_more_go(
        (checkpoints, sizes) in world(),
        rules in rules(),
        max in 1..20u32,
        by in 1..4u32,
    ) {
        let rules = Policy { max_count: Some(max), min_keep: None, ..rules };
        let more = Policy { min_keep: None, ..choosing_more(&rules, by) };
        let stay = kept(&checkpoints, &[rules], &sizes).len();
        prop_assert!(stay <= kept(&checkpoints, &[more], &sizes).len());
    }
}
