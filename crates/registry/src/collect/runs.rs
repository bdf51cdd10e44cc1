//! The collections of this process: one at a time, and what became of the last ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use pagevault_api::gc::{GcProgress, GcResult, GcRun, GcState, GcTrigger};
use pagevault_pagestore::{PageStoreError, Phase, Watch};

use super::running;
use crate::{RegistryError, Result};

/// Runs that are remembered.
const REMEMBERED: usize = 50;

/// What is known of collections.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    started: u64,
    /// Newest first.
    runs: VecDeque<GcRun>,
    /// The one at work.
    current: Option<Arc<Watch>>,
}

impl Runs {
    /// Begins a run, if there is none.
    pub(super) fn begin(&self, dry_run: bool, trigger: GcTrigger) -> Result<(GcRun, Arc<Watch>)> {
        let mut state = self.lock();
        if state.current.is_some() {
            return Err(running());
        }
        state.started += 1;
        let run = GcRun {
            id: state.started,
            dry_run,
            trigger,
            state: GcState::Running,
            started_at: Timestamp::now(),
            finished_at: None,
            progress: None,
            result: None,
            error: None,
        };
        let watch = Arc::new(Watch::default());
        state.current = Some(Arc::clone(&watch));
        state.runs.push_front(run.clone());
        state.runs.truncate(REMEMBERED);
        Ok((run, watch))
    }

    pub(super) fn end(&self, id: u64, outcome: Result<GcResult>) {
        let mut state = self.lock();
        state.current = None;
        let Some(run) = state.runs.iter_mut().find(|run| run.id == id) else { return };
        run.finished_at = Some(Timestamp::now());
        match outcome {
            Ok(result) => {
                tracing::info!(
                    gc.dry_run = run.dry_run,
                    gc.freed_bytes = result.freed_bytes,
                    gc.recipes = result.freed.recipes,
                    gc.data_objects = result.freed.data_objects,
                    gc.blobs = result.freed.blobs,
                    "collected what nothing needs"
                );
                run.state = GcState::Done;
                run.result = Some(result);
            }
            Err(error) if was_cancelled(&error) => run.state = GcState::Cancelled,
            Err(error) => {
                tracing::error!(%error, "a collection has failed; nothing has to be undone");
                run.state = GcState::Failed;
                run.error = Some(error.to_string());
            }
        }
    }

    pub(super) fn all(&self) -> Vec<GcRun> {
        let state = self.lock();
        let mut runs: Vec<GcRun> = state.runs.iter().cloned().collect();
        if let (Some(watch), Some(run)) = (&state.current, runs.first_mut()) {
            run.progress = Some(progress(watch));
        }
        runs
    }

    pub(super) fn cancel(&self) {
        if let Some(watch) = &self.lock().current {
            watch.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn progress(watch: &Watch) -> GcProgress {
    let progress = watch.progress();
    let phase = match progress.phase {
        Phase::Begin => "begin",
        Phase::Records => "records",
        Phase::Recipes => "recipes",
        Phase::Data => "data",
        Phase::Condemn => "condemn",
        Phase::Remove => "remove",
    };
    GcProgress { phase: phase.to_owned(), done: progress.done, total: progress.total }
}

fn was_cancelled(error: &RegistryError) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(PageStoreError::Cancelled)) {
            return true;
        }
        cause = error.source();
    }
    false
}
