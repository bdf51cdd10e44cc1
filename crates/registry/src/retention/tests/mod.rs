//! Tables for what each rule means, and properties that hold for all of them.

mod operator;
mod properties;
mod quota;
mod restic;
mod rules;
mod run;

use jiff::{SignedDuration, Timestamp};
use pagevault_api::retention::Policy;
use pagevault_pagestore::{Sizes, Stored};

use super::decide::{Candidate, Decision, decide};

/// The time of all these tests: noon of a Monday.
fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// A checkpoint of `shop/cart-0/redis`, taken so many hours ago, of so many bytes.
fn taken(hours_ago: i64, bytes: u64) -> Candidate {
    at(now() - SignedDuration::from_hours(hours_ago), bytes)
}

fn at(created_at: Timestamp, bytes: u64) -> Candidate {
    let digest = format!("sha256:{:064x}", created_at.as_second());
    Candidate {
        repository: "shop/cart-0/redis".to_owned(),
        digest: digest.parse().unwrap(),
        namespace: "shop".to_owned(),
        pod: "cart-0".to_owned(),
        container: "redis".to_owned(),
        workload: None,
        created_at,
        logical_bytes: bytes,
        pinned: false,
        orphan: false,
        roots: Vec::new(),
    }
}

fn of(namespace: &str, pod: &str, container: &str, checkpoint: Candidate) -> Candidate {
    Candidate {
        repository: format!("{namespace}/{pod}/{container}"),
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
        ..checkpoint
    }
}

/// A policy in JSON.
fn policy(json: &str) -> Policy {
    serde_json::from_str(json).unwrap()
}

fn decided(checkpoints: &[Candidate], policies: &[Policy]) -> Vec<Decision> {
    decide(checkpoints, policies, &Sizes::default(), now())
}

/// Numbers of those that stay.
fn kept(checkpoints: &[Candidate], policies: &[Policy]) -> Vec<usize> {
    staying(&decided(checkpoints, policies))
}

fn staying(decisions: &[Decision]) -> Vec<usize> {
    (0..decisions.len()).filter(|n| decisions[*n].keep).collect()
}

/// Things that are stored, each with its bytes and what it needs.
fn sizes(stored: &[(u64, &[usize])]) -> Sizes {
    let stored =
        stored.iter().map(|(bytes, needs)| Stored { bytes: *bytes, needs: needs.to_vec() });
    Sizes::new(stored.collect())
}
