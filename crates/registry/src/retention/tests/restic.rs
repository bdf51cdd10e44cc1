//! The keep rules mean what they mean to `restic forget`. Cases in the manner of its own tests.

use jiff::Timestamp;

use super::super::decide::Reason;
use super::{at, decided, kept, policy};

fn times(texts: &[&str]) -> Vec<super::Candidate> {
    let time = |text: &&str| format!("{}Z", text.replace(' ', "T")).parse::<Timestamp>().unwrap();
    texts.iter().map(|text| at(time(text), 1)).collect()
}

const SERIES: [&str; 12] = [
    "2026-11-23 11:20:00", // Monday
    "2026-11-23 11:05:00",
    "2026-11-23 10:40:00",
    "2026-11-22 23:59:59", // Sunday
    "2026-11-22 08:00:00",
    "2026-11-20 08:00:00",
    "2026-11-16 08:00:00", // Monday
    "2026-11-15 08:00:00", // Sunday
    "2026-11-08 08:00:00",
    "2026-11-01 08:00:00",
    "2025-12-31 08:00:00", // week 1 of 2026, as is 2026-01-01
    "2025-12-28 08:00:00",
];

#[test]
fn which_stay() {
    for (rules, expected) in [
        (r#"{"keepLast": 2}"#, &[0, 1][..]),
        (r#"{"keepLast": 99}"#, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        (r#"{"keepHourly": 3}"#, &[0, 2, 3]),
        (r#"{"keepDaily": 3}"#, &[0, 3, 5]),
        // The oldest stays while there is one left to choose.
        (r#"{"keepDaily": 9}"#, &[0, 3, 5, 6, 7, 8, 9, 10, 11]),
        // Monday to Sunday, by ISO 8601: the 22nd and the 16th are of one week.
        (r#"{"keepWeekly": 4}"#, &[0, 3, 7, 8]),
        (r#"{"keepWeekly": 6}"#, &[0, 3, 7, 8, 9, 10]),
        // Seen from the newest one, and a span that is open at its end.
        (r#"{"keepWithin": "41m"}"#, &[0, 1, 2]),
        (r#"{"keepWithin": "40m"}"#, &[0, 1]),
        (r#"{"keepWithin": "2d"}"#, &[0, 1, 2, 3, 4]),
        (r#"{"keepLast": 2, "keepDaily": 2, "keepWeekly": 3}"#, &[0, 1, 3, 7]),
        (r#"{}"#, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ] {
        assert_eq!(kept(&times(&SERIES), &[policy(rules)]), expected, "{rules}");
    }
}

#[test]
fn the_year_of_a_week() {
    // 2026-01-01 is a Thursday: it and New Year's Eve are of one week.
    let series = times(&["2026-01-05 08:00:00", "2026-01-01 08:00:00", "2025-12-31 08:00:00"]);
    assert_eq!(kept(&series, &[policy(r#"{"keepWeekly": 2}"#)]), [0, 1]);
}

#[test]
fn all_the_reasons_are_told() {
    let decisions = decided(&times(&SERIES[..4]), &[policy(r#"{"keepLast": 2, "keepDaily": 5}"#)]);
    assert_eq!(decisions[0].reasons, [Reason::KeepLast(false), Reason::KeepDaily(false)]);
    assert_eq!(decisions[1].reasons, [Reason::KeepLast(false)]);
    assert_eq!(decisions[2].reasons, [Reason::NotChosen]);
    assert_eq!(decisions[3].reasons, [Reason::KeepDaily(false)]);
    let decisions = decided(&times(&SERIES[..3]), &[policy(r#"{"keepDaily": 5}"#)]);
    assert_eq!(decisions[2].reasons, [Reason::KeepDaily(true)]);
}

#[test]
fn each_history_has_its_own() {
    let mut series = times(&SERIES[..4]);
    series[1].container = "sidecar".to_owned();
    // A pod that replaces another one of the same workload goes on with its history.
    for (n, pod) in [(0, "web-7d9f-x"), (2, "web-7d9f-y"), (3, "web-7d9f-z")] {
        series[n].pod = pod.to_owned();
        series[n].workload = Some("web".to_owned());
    }
    assert_eq!(kept(&series, &[policy(r#"{"keepLast": 1}"#)]), [0, 1]);
    series[3].workload = None;
    assert_eq!(kept(&series, &[policy(r#"{"keepLast": 1}"#)]), [0, 1, 3]);
}
