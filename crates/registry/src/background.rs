//! Tasks that go on by themselves, and end with the registry.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of a registry. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Background {
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl Background {
    /// Begins a task that comes to an end by itself, or is told to in its own way.
    pub(crate) fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Begins a task that is dropped where it stands when the registry is closed: it must leave
    /// nothing half done that a crash may not leave.
    pub(crate) fn spawn_endless(&self, task: impl Future<Output = ()> + Send + 'static) {
        let ending = self.ending.clone();
        self.tasks.spawn(async move {
            ending.run_until_cancelled(task).await;
        });
    }

    /// Ends what is endless, and waits for all tasks.
    pub(crate) async fn end(&self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
