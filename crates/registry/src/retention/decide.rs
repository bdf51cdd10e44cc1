//! The decision: checkpoints, policies and the time go in, what stays and why comes out. No clock and
//! no store; the order of what goes in does not matter.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use pagevault_api::Digest;
use pagevault_api::retention::{Policy, Scope};
use pagevault_pagestore::{Counted, Sizes};

use super::{keep, limits};

/// A checkpoint that is decided on.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) repository: String,
    pub(crate) digest: Digest,
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) workload: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) logical_bytes: u64,
    pub(crate) pinned: bool,
    pub(crate) orphan: bool,
    /// Numbers of the recipes that it names.
    pub(crate) roots: Vec<usize>,
}

/// What is decided of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) keep: bool,
    /// Number of the policy that governs it.
    pub(crate) policy: Option<usize>,
    /// The decisive one first.
    pub(crate) reasons: Vec<Reason>,
}

/// Why a checkpoint stays or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Pinned,
    NoPolicy,
    NoKeepRule,
    /// True where it is kept as the oldest of its history. So are the next three.
    KeepLast(bool),
    KeepHourly(bool),
    KeepDaily(bool),
    KeepWeekly(bool),
    KeepWithin,
    MinKeep,
    NotChosen,
    Orphan,
    MaxAge,
    MaxCheckpointSize,
    Exceeds(Group, Limit),
    /// It has changed since it was chosen.
    Spared,
}

/// What a limit is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Container,
    Pod,
    Namespace,
    Policy,
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Count,
    LogicalSize,
    StoredSize,
}

/// Decides on each checkpoint. `sizes` is what their `roots` are numbers of.
pub(crate) fn decide(
    checkpoints: &[Candidate],
    policies: &[Policy],
    sizes: &Sizes,
    now: Timestamp,
) -> Vec<Decision> {
    let scopes: HashMap<&Scope, usize> =
        policies.iter().enumerate().map(|(n, policy)| (&policy.scope, n)).collect();
    let undecided = || Decision { keep: true, policy: None, reasons: vec![Reason::NoPolicy] };
    let mut decisions: Vec<Decision> = checkpoints.iter().map(|_| undecided()).collect();
    let mut governed: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for number in newest_first(checkpoints) {
        let policy = governing(&checkpoints[number], &scopes);
        decisions[number].policy = policy;
        if let Some(policy) = policy {
            governed.entry(policy).or_default().push(number);
        }
    }
    let mut counted = sizes.count();
    for (number, members) in governed {
        govern(&policies[number], checkpoints, members, now, &mut counted, &mut decisions);
    }
    for (decision, _) in decisions.iter_mut().zip(checkpoints).filter(|(_, c)| c.pinned) {
        decision.keep = true;
        decision.reasons = vec![Reason::Pinned];
    }
    decisions
}

fn newest_first(checkpoints: &[Candidate]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..checkpoints.len()).collect();
    order.sort_by_key(|number| {
        let checkpoint = &checkpoints[*number];
        Reverse((checkpoint.created_at, checkpoint.digest.as_ref(), &checkpoint.repository))
    });
    order
}

/// The narrowest policy that fits.
fn governing(checkpoint: &Candidate, scopes: &HashMap<&Scope, usize>) -> Option<usize> {
    let (pod, container) = (Some(checkpoint.pod.clone()), Some(checkpoint.container.clone()));
    let namespace = Some(checkpoint.namespace.clone());
    let mut scope = Scope { namespace, pod: pod.clone(), container };
    let found = |scope: &Scope| scopes.get(scope).copied();
    found(&scope)
        .or_else(|| {
            scope.pod = None;
            found(&scope)
        })
        .or_else(|| {
            (scope.pod, scope.container) = (pod, None);
            found(&scope)
        })
        .or_else(|| {
            scope.pod = None;
            found(&scope)
        })
        .or_else(|| found(&Scope::default()))
}

/// Decides on what one policy governs, newest first.
fn govern(
    policy: &Policy,
    checkpoints: &[Candidate],
    members: Vec<usize>,
    now: Timestamp,
    counted: &mut Counted<'_>,
    decisions: &mut [Decision],
) {
    let histories = histories(checkpoints, &members);
    for history in histories.values() {
        let times: Vec<_> =
            history.iter().map(|copies| checkpoints[copies[0]].created_at).collect();
        let chosen = keep::choose(policy, &times, now);
        for (copies, reasons) in history.iter().zip(chosen) {
            for number in copies {
                decisions[*number].reasons.clone_from(&reasons);
            }
        }
    }
    let chooses = keep::chooses(policy);
    for number in &members {
        let decision = &mut decisions[*number];
        if !chooses {
            decision.reasons = vec![Reason::NoKeepRule];
        }
        let against = alone(policy, &checkpoints[*number], now);
        let against = against.or(decision.reasons.is_empty().then_some(Reason::NotChosen));
        if let Some(reason) = against {
            go(decision, reason);
        }
    }
    let mut left = members;
    left.retain(|number| decisions[*number].keep || checkpoints[*number].pinned);
    fit(policy, checkpoints, left, counted, decisions);
    for number in histories.values().flat_map(|h| h.iter().take(min_keep(policy)).flatten()) {
        let decision = &mut decisions[*number];
        if !decision.keep {
            decision.keep = true;
            decision.reasons.insert(0, Reason::MinKeep);
        }
    }
}

/// The checkpoints of one container of a workload or pod, newest first: of each the copies, as it may
/// be in several repositories.
fn histories<'a>(
    checkpoints: &'a [Candidate],
    members: &[usize],
) -> BTreeMap<(&'a str, &'a str, &'a str), Vec<Vec<usize>>> {
    let mut histories: BTreeMap<_, Vec<Vec<usize>>> = BTreeMap::new();
    for number in members {
        let of = &checkpoints[*number];
        let owner = of.workload.as_deref().unwrap_or(&of.pod);
        let history = (of.namespace.as_str(), owner, of.container.as_str());
        let history = histories.entry(history).or_default();
        match history.last_mut().filter(|copies| checkpoints[copies[0]].digest == of.digest) {
            Some(copies) => copies.push(*number),
            None => history.push(vec![*number]),
        }
    }
    histories
}

/// Why a checkpoint goes, whatever others there are.
fn alone(policy: &Policy, checkpoint: &Candidate, now: Timestamp) -> Option<Reason> {
    if checkpoint.orphan && !policy.retain_orphan {
        return Some(Reason::Orphan);
    }
    if policy.max_age.is_some_and(|max| keep::seconds(now, checkpoint.created_at) > max.0) {
        return Some(Reason::MaxAge);
    }
    let too_large = policy.max_checkpoint_size.is_some_and(|max| checkpoint.logical_bytes > max);
    too_large.then_some(Reason::MaxCheckpointSize)
}

/// Applies the limits, the narrowest first.
fn fit(
    policy: &Policy,
    checkpoints: &[Candidate],
    mut left: Vec<usize>,
    counted: &mut Counted<'_>,
    decisions: &mut [Decision],
) {
    let mut gone = |number: usize, reason| go(&mut decisions[number], reason);
    let (container, pod, namespace) = (Group::Container, Group::Pod, Group::Namespace);
    let of = checkpoints;
    let key = |c: &Candidate| (c.namespace.clone(), c.pod.clone(), c.container.clone());
    limits::apply(&policy.per_container, container, of, &mut left, key, counted, &mut gone);
    let key = |c: &Candidate| (c.namespace.clone(), c.pod.clone());
    limits::apply(&policy.per_pod, pod, of, &mut left, key, counted, &mut gone);
    let key = |c: &Candidate| c.namespace.clone();
    limits::apply(&policy.per_namespace, namespace, of, &mut left, key, counted, &mut gone);
    limits::apply(&policy.whole(), Group::Policy, of, &mut left, |_| (), counted, &mut gone);
}

fn go(decision: &mut Decision, reason: Reason) {
    decision.keep = false;
    decision.reasons.insert(0, reason);
}

fn min_keep(policy: &Policy) -> usize {
    usize::try_from(policy.min_keep.unwrap_or_default()).unwrap_or(usize::MAX)
}
