//! Ingests under way: each with a turn of its own, so that their memory is bounded.

use std::fs::File;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::{Ingest, Ingested};
use crate::Result;
use crate::folder::Folder;
use crate::growing::Growing;

/// Ingests that read along with their senders, at most, and as many again of what is there whole.
/// Each takes a window, what it keeps of its archive, and a thread.
const INGESTS: usize = 4;

/// Turns to ingest. Senders may be slow, or stop: they have turns of their own, and never keep an
/// upload waiting that is there whole.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    along: Arc<Semaphore>,
    whole: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { along: Arc::new(Semaphore::new(INGESTS)), whole: Arc::new(Semaphore::new(INGESTS)) }
    }
}

/// A turn to ingest. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits for a turn to ingest what is there whole.
    pub(crate) async fn whole(&self) -> Turn {
        // Only a closed semaphore fails, and this one is never closed.
        Turn { _permit: Arc::clone(&self.whole).acquire_owned().await.ok() }
    }

    /// A turn to read along, if there is one left.
    fn along(&self) -> Option<Turn> {
        Arc::clone(&self.along)
            .try_acquire_owned()
            .ok()
            .map(|permit| Turn { _permit: Some(permit) })
    }
}

/// An ingest that may begin before the end of its upload.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) ingest: Ingest,
    pub(crate) workload: Option<String>,
    /// Where the hint is: without it there is nothing to do before the end.
    pub(crate) folder: Folder,
}

impl Early {
    /// Begins to read along. If too many do, this one waits for the end of its upload.
    pub(crate) fn start(&self, file: &Arc<File>, available: u64) -> Option<IngestTask> {
        let turn = self.ingest.turns.along()?;
        let growing = Arc::new(Growing::new(Arc::clone(file), available));
        let (ingest, workload) = (self.ingest.clone(), self.workload.clone());
        Some(ingest.start(growing, workload, Some(self.folder.clone()), turn))
    }
}

impl Ingest {
    /// Starts to ingest a file that is whole.
    pub(crate) fn whole(self, file: Growing, workload: Option<String>, turn: Turn) -> IngestTask {
        self.start(Arc::new(file), workload, None, turn)
    }

    fn start(
        self,
        growing: Arc<Growing>,
        workload: Option<String>,
        hint: Option<Folder>,
        turn: Turn,
    ) -> IngestTask {
        let read = Arc::clone(&growing);
        let background = self.background.clone();
        let ingesting = async move {
            let _turn = turn;
            self.run(read, workload, hint).await
        };
        // A trace of its own: it goes on from one request that sends to the next.
        let span = tracing::info_span!(parent: None, "ingest");
        span.follows_from(tracing::Span::current());
        let task = background.spawn(ingesting.instrument(span));
        IngestTask { growing, task }
    }
}

/// An ingest under way. It waits for bytes; dropping this ends it, and whoever goes on with the
/// upload starts another one, with a view of the file of its own.
#[derive(Debug)]
pub(crate) struct IngestTask {
    growing: Arc<Growing>,
    task: JoinHandle<Result<Ingested>>,
}

impl IngestTask {
    /// More has arrived.
    pub(crate) fn advance(&self, available: u64) {
        self.growing.advance(available);
    }

    /// Nothing more will arrive.
    pub(crate) fn end(&self) {
        self.growing.end();
    }

    /// Whether the outcome is there; before the end of the upload that can only be an error.
    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the outcome.
    pub(crate) async fn outcome(mut self) -> Result<Ingested> {
        (&mut self.task).await.unwrap_or_else(|e| Err(crate::task_error(&e)))
    }
}

impl Drop for IngestTask {
    fn drop(&mut self) {
        self.growing.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_ingest_that_is_dropped_ends_and_leaves_the_file_to_the_next() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let start = || {
            let growing = Arc::new(Growing::new(Arc::clone(&file), 0));
            let read = Arc::clone(&growing);
            let task = tokio::spawn(async move {
                read.reached(10).await.map_err(|e| crate::folder::spool_error("reading", e))?;
                Err(crate::RegistryError::new(crate::Kind::Internal, "the bytes are there"))
            });
            (IngestTask { growing: Arc::clone(&growing), task }, growing)
        };
        let (first, view) = start();
        drop(first);
        assert!(view.reached(10).await.is_err());
        let (second, _) = start();
        second.advance(10);
        let outcome = second.outcome().await.unwrap_err();
        assert_eq!(outcome.to_string(), "the bytes are there");
    }

    #[tokio::test]
    async fn slow_senders_keep_no_whole_upload_waiting() {
        let turns = Turns::default();
        let along: Vec<_> = (0..INGESTS).map(|_| turns.along().unwrap()).collect();
        assert!(turns.along().is_none());
        let whole = turns.whole().await;
        drop(along);
        assert!(turns.along().is_some());
        drop(whole);
    }
}
