//! What is Pagevault's own: age, what always stays, stored bytes, words.

use pagevault_api::retention::RetentionRule;

use super::super::decide::{Candidate, Group, Limit, Reason, decide};
use super::super::tell::tell;
use super::{decided, kept, now, policy, sizes, staying, taken};

#[test]
fn age_and_what_always_stays() {
    let series: Vec<_> = [1, 5, 25, 49, 73].map(|hours| taken(hours, 10)).into();
    for (rules, expected) in [
        (r#"{"maxAge": "2d"}"#, &[0, 1, 2][..]),
        (r#"{"maxAge": "49h"}"#, &[0, 1, 2, 3]),
        (r#"{"maxAge": "30m"}"#, &[]),
        (r#"{"maxAge": "30m", "minKeep": 2}"#, &[0, 1]),
        (r#"{"maxLogicalSize": 9, "minKeep": 1}"#, &[0]),
        (r#"{"keepDaily": 2, "minKeep": 3}"#, &[0, 1, 2]),
        // A limit wins over what the keep rules choose.
        (r#"{"keepLast": 4, "maxAge": "2d"}"#, &[0, 1, 2]),
        (r#"{"keepDaily": 3, "maxCount": 2}"#, &[0, 2]),
    ] {
        assert_eq!(kept(&series, &[policy(rules)]), expected, "{rules}");
    }
    let decisions = decided(&series, &[policy(r#"{"maxAge": "30m", "minKeep": 1}"#)]);
    assert_eq!(decisions[0].reasons[..2], [Reason::MinKeep, Reason::MaxAge]);
}

#[test]
fn copies_in_other_repositories_take_no_turn_and_share_the_fate() {
    let copy = |c: &Candidate| Candidate { repository: "golden/redis".to_owned(), ..c.clone() };
    let newer: Vec<_> = [1, 25, 49].map(|hours| taken(hours, 10)).into();
    let both: Vec<_> = newer.iter().flat_map(|c| [c.clone(), copy(c)]).collect();
    for rules in [r#"{"keepLast": 2}"#, r#"{"keepDaily": 2}"#, r#"{"maxAge": "1s", "minKeep": 2}"#]
    {
        assert_eq!(kept(&newer, &[policy(rules)]), [0, 1], "{rules}");
        assert_eq!(kept(&both, &[policy(rules)]), [0, 1, 2, 3], "{rules}");
    }
}

#[test]
fn a_clock_that_is_ahead_makes_no_other_old() {
    let series: Vec<_> = [-9, 1, 2, 8].map(|hours| taken(hours, 10)).into();
    assert_eq!(kept(&series, &[policy(r#"{"keepWithin": "6h"}"#)]), [0, 1, 2]);
}

#[test]
fn what_is_stored_counts_once() {
    // Each stands on the one before it, and all on a keyframe of 1,000 bytes.
    let graph = sizes(&[(1000, &[]), (10, &[0]), (10, &[1]), (10, &[2])]);
    let series: Vec<Candidate> =
        (0..4).map(|n| Candidate { roots: vec![3 - n], ..taken(n as i64 + 1, 5000) }).collect();
    let stored = |max: u64| {
        let rules = policy(&format!(r#"{{"maxStoredSize": {max}}}"#));
        staying(&decide(&series, &[rules], &graph, now()))
    };
    // The newest cannot be read without what is under it: letting those go would free nothing.
    assert_eq!(stored(1030), [0, 1, 2, 3]);
    assert!(stored(1029).is_empty());
    // A second keyframe adds all its bytes.
    let graph = sizes(&[(1000, &[]), (10, &[0]), (500, &[]), (10, &[2])]);
    let stored = |max: u64| {
        let rules = policy(&format!(r#"{{"maxStoredSize": {max}}}"#));
        staying(&decide(&series, &[rules], &graph, now()))
    };
    assert_eq!(stored(1519), [0, 1]);
    assert_eq!(stored(1520), [0, 1, 2, 3]);
}

#[test]
fn in_words() {
    let rules = policy(r#"{"maxAge": "2d", "keepDaily": 7, "perPod": {"maxStoredSize": "1GiB"}}"#);
    for (reason, rule, text) in [
        (Reason::MaxAge, RetentionRule::MaxAge, "taken more than 2d ago"),
        (Reason::KeepDaily(false), RetentionRule::KeepDaily, "one of 7 daily ones"),
        (
            Reason::KeepDaily(true),
            RetentionRule::KeepDaily,
            "the oldest, while there are not 7 daily ones",
        ),
        (
            Reason::Exceeds(Group::Pod, Limit::StoredSize),
            RetentionRule::MaxStoredSize,
            "with newer ones its pod would exceed 1.0 GiB stored",
        ),
    ] {
        let told = tell(reason, Some(&rules));
        assert_eq!((told.rule, told.text.as_str()), (rule, text));
    }
}
