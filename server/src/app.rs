//! What handlers share.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use pagevault_registry::Registry;
use tokio::sync::watch;
use utoipa::openapi::OpenApi;

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
    draining: watch::Sender<bool>,
    openapi: OnceLock<Bytes>,
}

/// How handlers get it.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(registry: Arc<Registry>, settings: ServerSettings) -> Self {
        let metrics = Metrics::default();
        let turns = Turns::new(settings.max_uploads, &metrics);
        Self {
            registry,
            settings,
            metrics,
            turns,
            draining: watch::Sender::new(false),
            openapi: OnceLock::new(),
        }
    }

    /// Keeps the description of `/api/v1`, which is made with its routes.
    pub(crate) fn describe(&self, description: &OpenApi) {
        // What cannot be written is not served; a test sees that it can.
        let _ = self.openapi.set(description.to_json().unwrap_or_default().into());
    }

    pub(crate) fn openapi(&self) -> &Bytes {
        self.openapi.get_or_init(Bytes::new)
    }

    /// From now on `/readyz` says no, so that balancers look elsewhere.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Waits until the server is about to end: what would never end by itself ends then.
    pub(crate) async fn drained(&self) {
        // The sender is in here, so it is not gone.
        let _ = self.draining.subscribe().wait_for(|draining| *draining).await;
    }
}
