//! Runs of one kind of work: one at a time in a process, and what became of the last ones.

mod kept;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use pagevault_api::run::{Run, RunProgress, RunState, RunTrigger};
use pagevault_pagestore::{PageStoreError, Phase, Watch};

use crate::Result;
use crate::error::{RegistryError, RegistryErrorKind as Kind};

/// Runs that are remembered.
pub(crate) const REMEMBERED: usize = 50;

/// What is known of the runs of one kind; `R` is what one of them does.
#[derive(Debug)]
pub(crate) struct Runs<R> {
    /// With its article, for messages.
    what: &'static str,
    state: Mutex<State<R>>,
}

#[derive(Debug)]
struct State<R> {
    started: u64,
    /// Newest first.
    runs: VecDeque<Run<R>>,
    /// The one at work.
    current: Option<Arc<Watch>>,
}

impl<R: Clone> Runs<R> {
    pub(crate) fn new(what: &'static str) -> Self {
        let state = State { started: 0, runs: VecDeque::new(), current: None };
        Self { what, state: Mutex::new(state) }
    }

    /// Remembers what became of runs before this process, newest first.
    pub(crate) fn restore(&self, runs: Vec<Run<R>>) {
        let mut state = self.lock();
        state.started = runs.iter().map(|run| run.id).max().unwrap_or(0);
        state.runs = runs.into();
    }

    /// Begins a run, if there is none.
    pub(crate) fn begin(&self, dry_run: bool, trigger: RunTrigger) -> Result<(Run<R>, Arc<Watch>)> {
        let mut state = self.lock();
        if state.current.is_some() {
            let message = format!("{} is running already; look at it or wait for it", self.what);
            return Err(RegistryError::new(Kind::Conflict, message));
        }
        state.started += 1;
        let run = Run {
            id: state.started,
            dry_run,
            trigger,
            state: RunState::Running,
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

    /// Notes what a run has done so far: that stays, however it ends.
    pub(crate) fn note(&self, id: u64, result: R) {
        if let Some(run) = self.lock().runs.iter_mut().find(|run| run.id == id) {
            run.result = Some(result);
        }
    }

    /// Ends a run.
    pub(crate) fn end(&self, id: u64, outcome: Result<R>) {
        let mut state = self.lock();
        state.current = None;
        let Some(run) = state.runs.iter_mut().find(|run| run.id == id) else { return };
        run.finished_at = Some(Timestamp::now());
        match outcome {
            Ok(result) => {
                run.state = RunState::Done;
                run.result = Some(result);
            }
            Err(error) if was_cancelled(&error) => run.state = RunState::Cancelled,
            Err(error) => {
                tracing::error!(%error, "{} has failed; nothing has to be undone", self.what);
                run.state = RunState::Failed;
                run.error = Some(error.to_string());
            }
        }
    }

    /// All that are remembered, newest first; the current one with its progress.
    pub(crate) fn all(&self) -> Vec<Run<R>> {
        let state = self.lock();
        let mut runs: Vec<Run<R>> = state.runs.iter().cloned().collect();
        if let (Some(watch), Some(run)) = (&state.current, runs.first_mut()) {
            run.progress = Some(progress(watch));
        }
        runs
    }

    /// One of them.
    pub(crate) fn one(&self, id: u64) -> Result<Run<R>> {
        let found = self.all().into_iter().find(|run| run.id == id);
        found.ok_or_else(|| {
            let message = format!("no run {id}: the last {REMEMBERED} are known");
            RegistryError::new(Kind::RunUnknown, message)
        })
    }

    /// Asks the one at work to end.
    pub(crate) fn cancel(&self) {
        if let Some(watch) = &self.lock().current {
            watch.cancel();
        }
    }

    /// Asks a run to end; one that has ended stays as it is.
    pub(crate) fn cancel_one(&self, id: u64) -> Result<Run<R>> {
        let run = self.one(id)?;
        if run.state == RunState::Running {
            self.cancel();
        }
        Ok(run)
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn progress(watch: &Watch) -> RunProgress {
    let progress = watch.progress();
    let phase = match progress.phase {
        Phase::Begin => "begin",
        Phase::Records => "records",
        Phase::Recipes => "recipes",
        Phase::Data => "data",
        Phase::Condemn => "condemn",
        Phase::Remove => "remove",
        Phase::Rebase => "rebase",
        Phase::Repack => "repack",
    };
    RunProgress { phase: phase.to_owned(), done: progress.done, total: progress.total }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_last_ones_are_remembered() {
        let runs: Runs<u32> = Runs::new("a test");
        let (first, watch) = runs.begin(false, RunTrigger::Request).unwrap();
        let refused = runs.begin(true, RunTrigger::Schedule).unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        runs.note(first.id, 7);
        runs.cancel_one(first.id).unwrap();
        let cancelled = crate::store_error(watch.step().unwrap_err());
        runs.end(first.id, Err(cancelled));
        let ended = runs.one(first.id).unwrap();
        assert_eq!((ended.state, ended.result), (RunState::Cancelled, Some(7)));
        for n in 0..REMEMBERED {
            let (run, watch) = runs.begin(true, RunTrigger::Schedule).unwrap();
            // That one has ended: its number cancels nothing.
            let _ = runs.cancel_one(first.id);
            watch.step().unwrap();
            runs.end(run.id, Ok(u32::try_from(n).unwrap()));
        }
        assert_eq!(runs.all().len(), REMEMBERED);
        assert_eq!(runs.one(first.id).unwrap_err().kind(), Kind::RunUnknown);
    }
}
