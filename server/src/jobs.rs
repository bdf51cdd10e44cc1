//! What the server does by itself, now and then.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pagevault_api::gc::GcTrigger;
use pagevault_registry::Registry;

/// Lets checkpoints go by the policies, and then collects what nothing needs any more, every so
/// often, for as long as it is polled. The pauses vary
/// by a tenth, so that servers which were started together do not all collect at once.
pub(crate) async fn collect(registry: Arc<Registry>, every: Duration) {
    if every.is_zero() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(every + jitter(every)).await;
        if let Err(error) = registry.retain_on_schedule().await {
            tracing::warn!("no retention by schedule: {error}");
        }
        // One that was asked for and is still at work will do.
        if let Err(error) = registry.start_collection(false, GcTrigger::Schedule) {
            tracing::debug!("no collection was started: {error}");
        }
    }
}

/// Reads all that is stored and compares it, every so often, for as long as it is polled.
pub(crate) async fn verify(registry: Arc<Registry>, every: Duration) {
    if every.is_zero() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(every + jitter(every)).await;
        if let Err(error) = registry.start_verify() {
            tracing::debug!("no scrub was started: {error}");
        }
    }
}

/// Up to a tenth of a pause.
fn jitter(every: Duration) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    every.mul_f64(f64::from(now.subsec_micros() % 1000) / 10_000.0)
}
