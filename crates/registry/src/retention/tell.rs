//! Reasons, in words.

use pagevault_api::retention::{Limits, Period, Policy, RetentionReason, RetentionRule as Rule};
use pagevault_api::size::ByteSize;

use super::decide::{Group, Limit, Reason};

/// A reason for people and programs. `policy` is the one that governs.
pub(super) fn tell(reason: Reason, policy: Option<&Policy>) -> RetentionReason {
    let ended = Policy::default();
    let policy = policy.unwrap_or(&ended);
    let (rule, text) = match reason {
        Reason::Pinned => (Rule::Pinned, "it is pinned".to_owned()),
        Reason::NoPolicy => (Rule::NoPolicy, "no policy governs it".to_owned()),
        Reason::NoKeepRule => (Rule::NoKeepRule, "its policy has no keep rule".to_owned()),
        Reason::KeepLast(oldest) => kept(Rule::KeepLast, "last", policy.keep_last, oldest),
        Reason::KeepHourly(oldest) => kept(Rule::KeepHourly, "hourly", policy.keep_hourly, oldest),
        Reason::KeepDaily(oldest) => kept(Rule::KeepDaily, "daily", policy.keep_daily, oldest),
        Reason::KeepWeekly(oldest) => kept(Rule::KeepWeekly, "weekly", policy.keep_weekly, oldest),
        Reason::KeepWithin => {
            let text = format!("within {} of the newest", period(policy.keep_within));
            (Rule::KeepWithin, text)
        }
        Reason::MinKeep => {
            let number = policy.min_keep.unwrap_or_default();
            (Rule::MinKeep, format!("of its history the newest {number} always stay"))
        }
        Reason::NotChosen => (Rule::NotChosen, "no keep rule chooses it".to_owned()),
        Reason::Orphan => {
            (Rule::RetainOrphan, "its pod and workload are gone, and orphans go".to_owned())
        }
        Reason::MaxAge => (Rule::MaxAge, format!("taken more than {} ago", period(policy.max_age))),
        Reason::MaxCheckpointSize => {
            let text = format!("larger than {}", bytes(policy.max_checkpoint_size));
            (Rule::MaxCheckpointSize, text)
        }
        Reason::Exceeds(group, limit) => exceeds(policy, group, limit),
        Reason::Spared => (Rule::Spared, "it has changed since it was chosen".to_owned()),
    };
    RetentionReason { rule, text }
}

fn kept(rule: Rule, which: &str, count: Option<u32>, oldest: bool) -> (Rule, String) {
    let count = count.unwrap_or_default();
    let text = match oldest {
        true => format!("the oldest, while there are not {count} {which} ones"),
        false => format!("one of {count} {which} ones"),
    };
    (rule, text)
}

fn exceeds(policy: &Policy, group: Group, limit: Limit) -> (Rule, String) {
    let (limits, of): (Limits, _) = match group {
        Group::Container => (policy.per_container, "its container"),
        Group::Pod => (policy.per_pod, "its pod"),
        Group::Namespace => (policy.per_namespace, "its namespace"),
        Group::Policy => (policy.whole(), "what its policy governs"),
    };
    match limit {
        Limit::Count => {
            let max = limits.max_count.unwrap_or_default();
            (Rule::MaxCount, format!("{of} may have {max}, and newer ones are as many"))
        }
        Limit::LogicalSize => {
            let max = bytes(limits.max_logical_size);
            (Rule::MaxLogicalSize, format!("with newer ones {of} would exceed {max}"))
        }
        Limit::StoredSize => {
            let max = bytes(limits.max_stored_size);
            (Rule::MaxStoredSize, format!("with newer ones {of} would exceed {max} stored"))
        }
    }
}

fn period(period: Option<Period>) -> String {
    period.unwrap_or_default().to_string()
}

fn bytes(size: Option<u64>) -> String {
    ByteSize(size.unwrap_or_default()).human()
}
