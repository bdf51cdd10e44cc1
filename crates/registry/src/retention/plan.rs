//! The plan of a run: what there is, what is decided of it, and what that frees.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use pagevault_api::reference::Reference;
use pagevault_api::retention::{
    ORPHAN_LABEL, Policy, RetentionAction, RetentionDecision, RetentionResult,
};
use pagevault_catalog::{Catalog, ListedKind, RetainedCheckpoint};
use pagevault_pagestore::{PageStore, Phase, Sizes, Watch};

use super::decide::{Candidate, Decision, Reason, decide};
use super::tell::tell;
use crate::{Result, catalog_error, collect, store_error};

/// Records of one list.
const PAGE: usize = 1000;

/// What is decided of all checkpoints. The four lists have the same order: by namespace, pod and
/// container, newest first.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) rows: Vec<RetainedCheckpoint>,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) decisions: Vec<Decision>,
    /// Bytes that would go if each alone went.
    freeable: Vec<u64>,
    /// Bytes that go with all that go.
    freed: u64,
    policies: Vec<Policy>,
    etag: String,
}

/// Checkpoints by repository and digest.
pub(crate) type Keys = HashSet<(String, String)>;

/// The repository and the digest of a checkpoint.
pub(crate) fn key(row: &RetainedCheckpoint) -> (String, String) {
    (row.repository.clone(), row.summary.digest.to_string())
}

/// What is stored, and which of it somebody names who is no checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Weighed {
    pub(crate) sizes: Arc<Sizes>,
    others: Vec<usize>,
}

impl Weighed {
    /// Reads what is stored, and the manifests that are none of these checkpoints.
    pub(crate) async fn read(
        pages: &PageStore,
        catalog: &Catalog,
        checkpoints: &Keys,
        watch: &Watch,
    ) -> Result<Self> {
        let sizes = pages.sizes(watch).await.map_err(store_error)?;
        let (mut others, mut after) = (sizes.pending().to_vec(), None);
        watch.begin(Phase::Records, None);
        loop {
            let listed = catalog.records(after.as_ref(), PAGE).await;
            let (listed, more) = listed.map_err(catalog_error)?;
            for record in &listed {
                watch.step().map_err(store_error)?;
                let ListedKind::Manifest(digest) = &record.kind else { continue };
                let key = (record.repository.clone(), digest.to_string());
                if checkpoints.contains(&key) {
                    continue;
                }
                let entry = catalog.manifest_entry(&record.repository, digest).await;
                let manifest = entry.map_err(catalog_error)?.record;
                let recipes = manifest.as_ref().map(collect::recipes).unwrap_or_default();
                others.extend(recipes.iter().filter_map(|recipe| sizes.recipe(recipe)));
            }
            after = listed.into_iter().next_back().map(|record| record.key);
            if !more {
                return Ok(Self { sizes: Arc::new(sizes), others });
            }
        }
    }
}

/// What a decision needs to know of each checkpoint.
pub(crate) fn candidates(rows: &[RetainedCheckpoint], sizes: &Sizes) -> Vec<Candidate> {
    let candidate = |row: &RetainedCheckpoint| {
        let summary = &row.summary;
        Candidate {
            repository: row.repository.clone(),
            digest: summary.digest.clone(),
            namespace: summary.namespace.clone(),
            pod: summary.pod.clone(),
            container: summary.container.clone(),
            workload: summary.workload.clone(),
            created_at: summary.created_at,
            logical_bytes: summary.logical_bytes,
            pinned: summary.pinned,
            orphan: summary.labels.get(ORPHAN_LABEL).is_some_and(|value| value == "true"),
            roots: sizes.recipe(&row.recipe).into_iter().collect(),
        }
    };
    rows.iter().map(candidate).collect()
}

impl Plan {
    /// Decides. Takes its time: not for an async thread.
    pub(crate) fn make(
        mut rows: Vec<RetainedCheckpoint>,
        weighed: &Weighed,
        policies: Vec<Policy>,
        etag: String,
        now: Timestamp,
    ) -> Self {
        rows.sort_by(|a, b| place(a).cmp(&place(b)));
        let sizes = &weighed.sizes;
        let candidates = candidates(&rows, sizes);
        let decisions = decide(&candidates, &policies, sizes, now);
        let owners: Vec<Vec<usize>> = candidates.iter().map(|c| c.roots.clone()).collect();
        let freeable = sizes.only(&owners, &weighed.others);
        let mut counted = sizes.count();
        let staying = candidates.iter().zip(&decisions).filter(|(_, decision)| decision.keep);
        for root in staying.flat_map(|(candidate, _)| &candidate.roots).chain(&weighed.others) {
            counted.add(*root);
        }
        let going = candidates.iter().flat_map(|candidate| &candidate.roots);
        let freed = going.map(|root| counted.add(*root)).sum();
        Self { rows, candidates, decisions, freeable, freed, policies, etag }
    }

    /// Those that go, the oldest first: a run that breaks off has let the oldest go.
    pub(crate) fn going(&self) -> Vec<usize> {
        let mut going: Vec<usize> =
            (0..self.rows.len()).filter(|number| !self.decisions[*number].keep).collect();
        going.sort_by_key(|number| self.candidates[*number].created_at);
        going
    }

    /// Lets one stay that was to go.
    pub(crate) fn spare(&mut self, number: usize) {
        let decision = &mut self.decisions[number];
        decision.keep = true;
        decision.reasons.insert(0, Reason::Spared);
    }

    /// What it comes to, if all of it is done.
    pub(crate) fn result(&self) -> RetentionResult {
        let going = self.candidates.iter().zip(&self.decisions).filter(|(_, d)| !d.keep);
        let deleted = going.clone().count() as u64;
        RetentionResult {
            policies: self.etag.clone(),
            examined: self.rows.len() as u64,
            kept: self.rows.len() as u64 - deleted,
            deleted,
            spared: 0,
            logical_bytes: going.map(|(candidate, _)| candidate.logical_bytes).sum(),
            freeable_bytes: self.freed,
        }
    }

    /// What is decided of some checkpoints, from the one of that number on, and the number of the
    /// next if there are more.
    pub(crate) fn page(
        &self,
        action: Option<RetentionAction>,
        from: usize,
        limit: usize,
    ) -> (Vec<RetentionDecision>, Option<usize>) {
        let wanted = |number: &usize| {
            action.is_none_or(|a| (a == RetentionAction::Keep) == self.decisions[*number].keep)
        };
        let mut numbers = (from..self.rows.len()).filter(wanted);
        let items = numbers.by_ref().take(limit).map(|number| self.decision(number)).collect();
        (items, numbers.next())
    }

    fn decision(&self, number: usize) -> RetentionDecision {
        let (row, decision) = (&self.rows[number], &self.decisions[number]);
        let policy = decision.policy.and_then(|policy| self.policies.get(policy));
        let summary = &row.summary;
        RetentionDecision {
            reference: Reference::digest(row.repository.clone(), summary.digest.clone()),
            digest: summary.digest.clone(),
            namespace: summary.namespace.clone(),
            pod: summary.pod.clone(),
            container: summary.container.clone(),
            created_at: summary.created_at,
            logical_bytes: summary.logical_bytes,
            stored_bytes: summary.stored_bytes,
            freeable_bytes: self.freeable[number],
            action: if decision.keep { RetentionAction::Keep } else { RetentionAction::Delete },
            scope: policy.map(|policy| policy.scope.clone()),
            reasons: decision.reasons.iter().map(|reason| tell(*reason, policy)).collect(),
        }
    }
}

type Place<'a> = (&'a str, &'a str, &'a str, std::cmp::Reverse<(Timestamp, &'a str)>, &'a str);

fn place(row: &RetainedCheckpoint) -> Place<'_> {
    let summary = &row.summary;
    let newest_first = std::cmp::Reverse((summary.created_at, summary.digest.as_ref()));
    (&summary.namespace, &summary.pod, &summary.container, newest_first, &row.repository)
}
