//! The `keep…` rules over one history, as `restic forget` has them.

use jiff::Timestamp;
use pagevault_api::retention::Policy;

use super::decide::Reason;

/// A rule that keeps the newest of each of so many spans of time.
struct Bucket {
    left: u32,
    last: Option<i64>,
    of: fn(Timestamp, usize) -> i64,
    reason: fn(bool) -> Reason,
}

/// Whether a policy chooses at all.
pub(super) fn chooses(policy: &Policy) -> bool {
    policy.keep_within.is_some() || buckets(policy).iter().any(|bucket| bucket.left > 0)
}

/// Why each checkpoint of a history is chosen, newest first; nothing for those that are not.
pub(super) fn choose(
    policy: &Policy,
    newest_first: &[Timestamp],
    now: Timestamp,
) -> Vec<Vec<Reason>> {
    let mut buckets = buckets(policy);
    // A clock that is ahead must not make all others old.
    let newest = newest_first.iter().find(|time| **time <= now).copied().unwrap_or(now);
    let reasons = |(nr, time): (usize, &Timestamp)| {
        let mut reasons = Vec::new();
        if policy.keep_within.is_some_and(|within| seconds(newest, *time) < within.0) {
            reasons.push(Reason::KeepWithin);
        }
        // The oldest stays while there is one left to choose: the history is as long as it can be.
        let oldest = nr + 1 == newest_first.len();
        for bucket in buckets.iter_mut().filter(|bucket| bucket.left > 0) {
            let span = Some((bucket.of)(*time, nr));
            if span != bucket.last || oldest {
                reasons.push((bucket.reason)(span == bucket.last));
                bucket.last = span;
                bucket.left -= 1;
            }
        }
        reasons
    };
    newest_first.iter().enumerate().map(reasons).collect()
}

fn buckets(policy: &Policy) -> [Bucket; 4] {
    let bucket = |count: Option<u32>, of, reason| Bucket {
        left: count.unwrap_or_default(),
        last: None,
        of,
        reason,
    };
    [
        bucket(policy.keep_last, |_, nr| i64::try_from(nr).unwrap_or(i64::MAX), Reason::KeepLast),
        bucket(policy.keep_hourly, |time, _| time.as_second().div_euclid(3600), Reason::KeepHourly),
        bucket(policy.keep_daily, |time, _| time.as_second().div_euclid(86_400), Reason::KeepDaily),
        bucket(policy.keep_weekly, |time, _| week(time), Reason::KeepWeekly),
    ]
}

/// A number for each week from Monday to Sunday, as ISO 8601 has them. The epoch was a Thursday.
fn week(time: Timestamp) -> i64 {
    (time.as_second().div_euclid(86_400) + 3).div_euclid(7)
}

/// Seconds from one time to a later one; 0 if it is not later.
pub(super) fn seconds(later: Timestamp, earlier: Timestamp) -> u64 {
    u64::try_from(later.duration_since(earlier).as_secs()).unwrap_or_default()
}
