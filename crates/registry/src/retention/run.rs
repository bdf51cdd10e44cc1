//! Runs: a plan, and what it lets go deleted by the same way as a client's DELETE.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use pagevault_api::event::EventKind;
use pagevault_api::page::Page;
use pagevault_api::retention::{RetentionAction, RetentionDecision, RetentionResult, RetentionRun};
use pagevault_api::run::RunTrigger;
use pagevault_catalog::{RetainedCheckpoint, RunKind};
use pagevault_pagestore::{Phase, Watch};

use super::decide::decide;
use super::plan::{Keys, Plan, Weighed, candidates, key};
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::runs::Runs;
use crate::{Registry, Result, blocking, catalog_error, store_error};

/// Checkpoints that are deleted before all is looked at again, at least.
const ROUND: usize = 256;

/// Times that all is looked at again, at most: that grows with what there is.
const ROUNDS: usize = 16;

/// The runs of this process, and the plan of the newest.
#[derive(Debug)]
pub(crate) struct Retention {
    runs: Runs<RetentionResult>,
    plan: Mutex<Option<(u64, Arc<Plan>)>>,
    /// Checkpoints that were deleted.
    deleted: AtomicU64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            runs: Runs::new("a run of retention"),
            plan: Mutex::new(None),
            deleted: AtomicU64::new(0),
        }
    }
}

impl Retention {
    /// Remembers what became of runs before this process.
    pub(crate) fn restore(&self, runs: Vec<RetentionRun>) {
        self.runs.restore(runs);
    }

    /// Asks the run that is at work to end.
    pub(crate) fn cancel(&self) {
        self.runs.cancel();
    }

    /// Checkpoints that were deleted since the start.
    pub(crate) fn deleted(&self) -> u64 {
        self.deleted.load(Ordering::Relaxed)
    }

    fn remember(&self, id: u64, plan: Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, Arc::new(plan)));
    }

    fn plan(&self, id: u64) -> Option<Arc<Plan>> {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.as_ref().filter(|(of, _)| *of == id).map(|(_, plan)| Arc::clone(plan))
    }
}

impl Registry {
    /// Starts a run of retention, which goes on by itself.
    pub fn start_retention(self: &Arc<Self>, dry_run: bool) -> Result<RetentionRun> {
        let (run, watch) = self.begin_retention(dry_run, RunTrigger::Request)?;
        let (registry, id) = (Arc::clone(self), run.id);
        self.background.spawn(async move { registry.retain(id, dry_run, &watch).await });
        Ok(run)
    }

    /// Runs retention to its end, as its time has come; nothing where there are no policies.
    pub async fn retain_on_schedule(self: &Arc<Self>) -> Result<()> {
        if self.policies().await?.config.policies.is_empty() {
            return Ok(());
        }
        let (run, watch) = self.begin_retention(false, RunTrigger::Schedule)?;
        let registry = Arc::clone(self);
        // By itself: whoever waits for it may go away, and a run must come to its end.
        let run = async move { registry.retain(run.id, false, &watch).await };
        self.background.spawn(run).await.map_err(|e| crate::task_error(&e))
    }

    fn begin_retention(
        &self,
        dry_run: bool,
        trigger: RunTrigger,
    ) -> Result<(RetentionRun, Arc<Watch>)> {
        let (run, watch) = self.retention.runs.begin(dry_run, trigger)?;
        self.events.tell(EventKind::RetentionStarted { run: Box::new(run.clone()) });
        Ok((run, watch))
    }

    /// The last runs, newest first; the current one with its progress.
    pub fn retention_runs(&self) -> Vec<RetentionRun> {
        self.retention.runs.all()
    }

    /// One of them.
    pub fn retention_run(&self, id: u64) -> Result<RetentionRun> {
        self.retention.runs.one(id)
    }

    /// Asks a run to end, if it has not.
    pub fn cancel_retention_run(&self, id: u64) -> Result<RetentionRun> {
        self.retention.runs.cancel_one(id)
    }

    /// What the newest run has decided, with the reasons. `cursor` is where the page before ended.
    pub fn retention_plan(
        &self,
        id: u64,
        action: Option<RetentionAction>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<RetentionDecision>> {
        self.retention.runs.one(id)?;
        let plan = self.retention.plan(id).ok_or_else(|| {
            let message =
                format!("no plan of run {id}: it is not made yet, or a newer run has one");
            RegistryError::new(Kind::RunUnknown, message)
        })?;
        let from = match cursor.map(str::parse) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => {
                let message = "the cursor is not one of this server's";
                return Err(RegistryError::new(Kind::Invalid, message));
            }
        };
        let (items, next) = plan.page(action, from, limit);
        Ok(Page { items, next: next.map(|number| number.to_string()) })
    }

    async fn retain(&self, id: u64, dry_run: bool, watch: &Watch) {
        let outcome = match self.plan(watch).await {
            Ok((plan, _)) if dry_run => {
                let result = plan.result();
                self.retention.remember(id, plan);
                Ok(result)
            }
            Ok((mut plan, weighed)) => {
                let outcome = self.carry_out(id, &mut plan, &weighed, watch).await;
                self.retention.remember(id, plan);
                outcome
            }
            Err(error) => Err(error),
        };
        if let Ok(result) = &outcome {
            tracing::info!(
                retention.dry_run = dry_run,
                retention.examined = result.examined,
                retention.deleted = result.deleted,
                retention.spared = result.spared,
                retention.freeable_bytes = result.freeable_bytes,
                "went through the checkpoints by the policies"
            );
        }
        self.retention.runs.end(id, outcome);
        if let Ok(run) = self.retention.runs.one(id) {
            self.keep_run(RunKind::Retention, &run).await;
            self.events.tell(EventKind::RetentionFinished { run: Box::new(run) });
        }
    }

    pub(super) async fn plan(&self, watch: &Watch) -> Result<(Plan, Weighed)> {
        let policies = self.policies().await?;
        let rows = self.catalog.retained(None).await.map_err(catalog_error)?;
        let (rows, keys) = blocking(move || {
            let keys: Keys = rows.iter().map(key).collect();
            Ok((rows, keys))
        })
        .await?;
        let weighed = Weighed::read(&self.pages, &self.catalog, &keys, watch).await?;
        let make = move || {
            let now = Timestamp::now();
            let plan = Plan::make(rows, &weighed, policies.config.policies, policies.etag, now);
            Ok((plan, weighed))
        };
        blocking(make).await
    }

    /// Deletes what a plan lets go, in rounds. Before each, all is decided again by what is there
    /// and by the policies of then: what they would not let go now stays.
    pub(super) async fn carry_out(
        &self,
        id: u64,
        plan: &mut Plan,
        weighed: &Weighed,
        watch: &Watch,
    ) -> Result<RetentionResult> {
        let going = plan.going();
        let mut result = RetentionResult { deleted: 0, logical_bytes: 0, ..plan.result() };
        let mut deleted = Vec::new();
        watch.begin(Phase::Remove, Some(going.len() as u64));
        for round in going.chunks(ROUND.max(going.len().div_ceil(ROUNDS))) {
            let chosen = self.chosen(&deleted, weighed).await?;
            for number in round {
                watch.step().map_err(store_error)?;
                let row = plan.rows[*number].clone();
                if chosen.contains(&key(&row)) && self.let_go(&row).await? {
                    result.deleted += 1;
                    result.logical_bytes += row.summary.logical_bytes;
                    deleted.push(row);
                } else {
                    plan.spare(*number);
                    result.spared += 1;
                }
                result.kept = result.examined - result.deleted;
                // After each: a run that is cancelled, or fails, has done what it has done.
                self.retention.runs.note(id, result.clone());
            }
        }
        Ok(result)
    }

    /// What the policies let go now. What this run has deleted counts as if it were there: without it
    /// the rest would be another history, of which other checkpoints stay.
    async fn chosen(&self, deleted: &[RetainedCheckpoint], weighed: &Weighed) -> Result<Keys> {
        let policies = self.policies().await?.config.policies;
        let mut rows = self.catalog.retained(None).await.map_err(catalog_error)?;
        rows.extend(deleted.iter().cloned());
        let now = Timestamp::now();
        let sizes = Arc::clone(&weighed.sizes);
        blocking(move || {
            let candidates = candidates(&rows, &sizes);
            let decisions = decide(&candidates, &policies, &sizes, now);
            let going = rows.iter().zip(decisions).filter(|(_, decision)| !decision.keep);
            Ok(going.map(|(row, _)| key(row)).collect())
        })
        .await
    }

    /// Deletes a checkpoint, with what is said about it; false if it is gone already, or pinned.
    async fn let_go(&self, row: &RetainedCheckpoint) -> Result<bool> {
        match self.delete_image(&row.repository, &row.summary.digest).await {
            Ok(()) => {
                self.retention.deleted.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), Kind::ManifestUnknown | Kind::Conflict) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
