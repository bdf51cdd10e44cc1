//! What the server does by itself, now and then.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pagevault_api::gc::GcTrigger;
use pagevault_registry::Registry;

/// When a store is read that never was.
const FIRST_AFTER: Duration = Duration::from_secs(3600);

/// When work begins whose time has passed while nothing ran.
const SETTLED_AFTER: Duration = Duration::from_secs(300);

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

/// Reads all that is stored and compares it, every so often, for as long as it is polled. The pause
/// goes on where a restart cut it short.
pub(crate) async fn verify(registry: Arc<Registry>, every: Duration) {
    if every.is_zero() {
        return std::future::pending().await;
    }
    let last = registry.last_verify().and_then(|run| run.finished_at);
    let last = last.and_then(|at| u64::try_from(at.as_second()).ok());
    let last = last.map(|second| SystemTime::UNIX_EPOCH + Duration::from_secs(second));
    let mut pause = left(every, last, SystemTime::now());
    loop {
        tokio::time::sleep(pause + jitter(pause)).await;
        pause = every;
        if let Err(error) = registry.start_verify() {
            tracing::debug!("no scrub was started: {error}");
        }
    }
}

/// What is left of a pause that began at that time, if it is known: at least as long as a server needs
/// to get under way.
fn left(every: Duration, since: Option<SystemTime>, now: SystemTime) -> Duration {
    let gone = since.and_then(|since| now.duration_since(since).ok());
    let left = gone.map_or(every.min(FIRST_AFTER), |gone| every.saturating_sub(gone));
    left.max(every.min(SETTLED_AFTER))
}

/// Up to a tenth of a pause.
fn jitter(every: Duration) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    every.mul_f64(f64::from(now.subsec_micros() % 1000) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_goes_on_after_a_restart() {
        let (hour, week) = (Duration::from_secs(3600), Duration::from_secs(7 * 24 * 3600));
        let now = SystemTime::UNIX_EPOCH + 10 * week;
        assert_eq!(left(week, Some(now - 30 * hour), now), week - 30 * hour);
        assert_eq!(left(week, Some(now - 2 * week), now), SETTLED_AFTER);
        // A clock that was put back.
        assert_eq!(left(week, Some(now + hour), now), FIRST_AFTER);
        assert_eq!(left(week, None, now), FIRST_AFTER);
        let second = Duration::from_secs(1);
        assert_eq!(left(second, None, now), second);
        assert_eq!(left(second, Some(now - hour), now), second);
    }
}
