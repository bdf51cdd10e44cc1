//! What handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pagevault_registry::Registry;

use crate::metrics::Metrics;
use crate::settings::ServerSettings;
use crate::turns::Turns;

/// The registry, the settings, and whether the server is about to end.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) registry: Arc<Registry>,
    pub(crate) settings: ServerSettings,
    pub(crate) metrics: Metrics,
    pub(crate) turns: Turns,
    draining: AtomicBool,
}

/// How handlers get it.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(registry: Arc<Registry>, settings: ServerSettings) -> Self {
        let metrics = Metrics::default();
        let turns = Turns::new(settings.max_uploads, &metrics);
        Self { registry, settings, metrics, turns, draining: AtomicBool::new(false) }
    }

    /// From now on `/readyz` says no, so that balancers look elsewhere.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
