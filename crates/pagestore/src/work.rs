//! Where work that takes more than a moment runs.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use crate::Result;
use crate::error::PageStoreError;

/// Where compression, comparison and checksums run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Workers {
    /// On the runtime's threads, in parallel.
    #[default]
    Pool,
    /// Where they are waited for, one after the other: needs no runtime, and every run of a test is
    /// the same.
    Inline,
}

impl Workers {
    /// Runs work off the async threads.
    pub(crate) async fn offload<T, F>(self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        match self {
            Self::Pool => tokio::task::spawn_blocking(work).await.map_err(cut_short)?,
            Self::Inline => work(),
        }
    }

    /// Begins a task, which goes on while its caller is busy elsewhere, and ends when what is returned
    /// is dropped.
    pub(crate) fn spawn<T, F>(self, task: F) -> BoxFuture<'static, Result<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        match self {
            Self::Pool => {
                let mut task = UnderWay(tokio::spawn(task));
                async move { (&mut task.0).await.map_err(cut_short)? }.boxed()
            }
            Self::Inline => task.boxed(),
        }
    }
}

/// Segments that are worked on at once for one stream: enough for all cores, as far as its memory
/// goes. `of_each` is what one takes, in segments.
pub(crate) fn at_once(window_bytes: usize, of_each: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (window_bytes / (of_each * crate::SEGMENT_MAX as usize)).clamp(1, 2 * cores + 2)
}

/// A task that nobody needs without whoever waits for it.
struct UnderWay<T>(JoinHandle<Result<T>>);

impl<T> Drop for UnderWay<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn cut_short(error: tokio::task::JoinError) -> PageStoreError {
    PageStoreError::Task(error.to_string())
}
