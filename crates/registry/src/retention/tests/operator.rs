//! Limits and precedence mean what they mean to checkpoint-restore-operator.

use super::super::decide::{Group, Limit, Reason};
use super::{decided, kept, of, policy, taken};
use crate::retention::decide::Candidate;

fn series(bytes: &[u64]) -> Vec<Candidate> {
    bytes.iter().enumerate().map(|(n, bytes)| taken(n as i64 + 1, *bytes)).collect()
}

fn pinned(checkpoint: Candidate) -> Candidate {
    Candidate { pinned: true, ..checkpoint }
}

#[test]
fn the_oldest_go_until_the_rest_fits() {
    let five = series(&[10, 10, 10, 10, 10]);
    for (rules, expected) in [
        (r#"{"maxCount": 3}"#, &[0, 1, 2][..]),
        (r#"{"maxCount": 5}"#, &[0, 1, 2, 3, 4]),
        (r#"{"maxLogicalSize": 25}"#, &[0, 1]),
        (r#"{"maxLogicalSize": 30}"#, &[0, 1, 2]),
        (r#"{"maxLogicalSize": 9}"#, &[]),
        (r#"{"maxCount": 4, "maxLogicalSize": 20}"#, &[0, 1]),
        (r#"{"maxCount": 1, "maxLogicalSize": 20}"#, &[0]),
        (r#"{"perContainer": {"maxCount": 2}}"#, &[0, 1]),
    ] {
        assert_eq!(kept(&five, &[policy(rules)]), expected, "{rules}");
    }
    // No older one stays in the place of a large one.
    let uneven = series(&[10, 100, 1]);
    assert_eq!(kept(&uneven, &[policy(r#"{"maxLogicalSize": 50}"#)]), [0]);
}

#[test]
fn one_that_is_too_large_goes_and_does_not_count() {
    let uneven = series(&[10, 100, 10, 10]);
    let rules = policy(r#"{"maxCheckpointSize": 99, "maxCount": 2}"#);
    let decisions = decided(&uneven, &[rules]);
    assert_eq!(super::staying(&decisions), [0, 2]);
    assert_eq!(decisions[1].reasons[0], Reason::MaxCheckpointSize);
    assert_eq!(decisions[3].reasons[0], Reason::Exceeds(Group::Policy, Limit::Count));
}

#[test]
fn pinned_ones_count_and_never_go() {
    let mut five = series(&[10, 10, 10, 10, 10]);
    five[4] = pinned(five[4].clone());
    assert_eq!(kept(&five, &[policy(r#"{"maxCount": 2}"#)]), [0, 4]);
    assert_eq!(kept(&five, &[policy(r#"{"maxLogicalSize": 30}"#)]), [0, 1, 4]);
    // Also where they alone are too much or too large.
    five[3] = pinned(five[3].clone());
    assert_eq!(kept(&five, &[policy(r#"{"maxCount": 1}"#)]), [3, 4]);
    assert_eq!(kept(&five, &[policy(r#"{"maxCheckpointSize": 1}"#)]), [3, 4]);
}

#[test]
fn orphans_go_where_they_are_not_retained() {
    let mut two = series(&[1, 1, 1]);
    two[0].orphan = true;
    two[1] = pinned(Candidate { orphan: true, ..two[1].clone() });
    assert_eq!(kept(&two, &[policy("{}")]), [0, 1, 2]);
    assert_eq!(kept(&two, &[policy(r#"{"retainOrphan": false}"#)]), [1, 2]);
}

/// Two containers of one pod, one of another, one of another namespace; newest first.
fn cluster() -> Vec<Candidate> {
    let place = [
        ("shop", "cart-0", "redis"),
        ("shop", "cart-0", "sidecar"),
        ("shop", "cart-1", "redis"),
        ("bank", "ledger-0", "db"),
    ];
    let numbered = (0..12).map(|n| {
        let (namespace, pod, container) = place[n % 4];
        of(namespace, pod, container, taken(n as i64 + 1, 10))
    });
    numbered.collect()
}

#[test]
fn the_narrowest_policy_governs_alone() {
    let all = policy(r#"{"perContainer": {"maxCount": 1}}"#);
    let container = policy(
        r#"{"scope": {"namespace": "shop", "pod": "cart-0", "container": "redis"}, "maxCount": 2}"#,
    );
    let pod = policy(r#"{"scope": {"namespace": "shop", "pod": "cart-0"}, "maxCount": 1}"#);
    let namespace = policy(r#"{"scope": {"namespace": "shop"}, "maxCount": 2}"#);
    let anywhere =
        policy(r#"{"scope": {"namespace": "shop", "container": "redis"}, "maxCount": 3}"#);
    let cluster = cluster();
    assert_eq!(kept(&cluster, std::slice::from_ref(&all)), [0, 1, 2, 3]);
    // What the container's policy governs does not count in the pod's, nor that in the namespace's.
    let policies = [all.clone(), namespace.clone(), pod.clone(), container.clone()];
    assert_eq!(kept(&cluster, &policies), [0, 1, 2, 3, 4, 6]);
    // A container of any pod is narrower than a pod.
    let policies = [all, namespace, pod, anywhere];
    assert_eq!(kept(&cluster, &policies), [0, 1, 2, 3, 4]);
    let policy = decided(&cluster, &policies)[0].policy;
    assert_eq!(policy, Some(3));
}

#[test]
fn each_level_counts_what_the_narrower_ones_left() {
    let rules = policy(
        r#"{"perContainer": {"maxCount": 2}, "perPod": {"maxCount": 3}, "perNamespace": {"maxCount": 4}}"#,
    );
    let decisions = decided(&cluster(), &[rules]);
    assert_eq!(super::staying(&decisions), [0, 1, 2, 3, 4, 7]);
    let reason = |n: usize| decisions[n].reasons[0];
    assert_eq!(reason(8), Reason::Exceeds(Group::Container, Limit::Count));
    assert_eq!(reason(5), Reason::Exceeds(Group::Pod, Limit::Count));
    assert_eq!(reason(6), Reason::Exceeds(Group::Namespace, Limit::Count));
}
