//! Whose body is read: as many at once as there are turns, the others wait.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::{Counted, Metrics};

/// The turns of a server.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    room: Arc<Semaphore>,
    open: Gauge,
    waiting: Gauge,
}

/// The right to have a body read, until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
    _counted: Counted,
}

impl Turns {
    pub(crate) fn new(at_once: usize, metrics: &Metrics) -> Self {
        Self {
            room: Arc::new(Semaphore::new(at_once.max(1))),
            open: metrics.uploads_open.clone(),
            waiting: metrics.uploads_waiting.clone(),
        }
    }

    /// Waits until another body may be read. A client that is not read from waits too, and is not
    /// refused: refused ones come back at once, all of them.
    pub(crate) async fn take(&self) -> Turn {
        let waiting = Counted::in_(&self.waiting);
        // Only a closed semaphore fails, and this one is never closed.
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        drop(waiting);
        Turn { _permit: permit, _counted: Counted::in_(&self.open) }
    }
}
