//! When to try again, and when to stop.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use crate::{ClientError, ClientSettings, Progress, Result};

const DELAY_MAX: Duration = Duration::from_secs(5);
/// Faults of the server in a row: a restart may cure one, a bug stays.
const FAULTS_MAX: u32 = 3;

/// The patience of one transfer: by time without progress, not by number of tries.
#[derive(Debug)]
pub(crate) struct Retry {
    settings: ClientSettings,
    since: Instant,
    tries: u32,
    faults: u32,
    reached: bool,
}

impl Retry {
    pub(crate) fn new(settings: ClientSettings) -> Self {
        Self { settings, since: Instant::now(), tries: 0, faults: 0, reached: false }
    }

    /// The server answered: from now on it is waited for when it goes away.
    pub(crate) fn reached(&mut self) {
        self.reached = true;
    }

    /// Bytes went through: patience is whole again.
    pub(crate) fn progress(&mut self) {
        (self.since, self.tries, self.faults) = (Instant::now(), 0, 0);
    }

    /// Waits before another try, or gives the error back for good.
    pub(crate) async fn again(&mut self, error: ClientError, show: &dyn Progress) -> Result<()> {
        // A server that never was there is a wrong address more often than a restart.
        let never_there = !self.reached && matches!(error, ClientError::Unreachable { .. });
        self.faults += u32::from(error.is_fault());
        if !error.is_passing() || never_there || self.faults >= FAULTS_MAX {
            return Err(error);
        }
        if self.since.elapsed() >= self.settings.retry_for {
            let after = self.since.elapsed();
            return Err(ClientError::GaveUp { after, last: Box::new(error) });
        }
        let pause = self.pause();
        show.retry(&error, pause);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Exponential, with jitter so that many clients do not come back all at once.
    fn pause(&mut self) -> Duration {
        let longest = self.settings.first_delay.saturating_mul(1 << self.tries.min(10));
        self.tries = self.tries.saturating_add(1);
        // std seeds its hashers with random numbers: enough for this.
        let random = RandomState::new().build_hasher().finish() % 512;
        longest.min(DELAY_MAX).mul_f64(0.5 + random as f64 / 1024.0)
    }
}
