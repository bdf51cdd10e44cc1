//! Room on the disk, above the reserve that pushes leave untouched.

use std::fmt;
use std::sync::Arc;

use pagevault_objects::DiskStore;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::{Result, object_error};

/// Bytes after which the room is looked at again, at the latest.
const LOOK_EVERY: u64 = 64 << 20;
/// Part of what is left that one stream may take between two looks.
const SHARE: u64 = 16;

type Free = dyn Fn() -> Result<u64> + Send + Sync;

/// The room on one disk.
#[derive(Clone)]
pub(crate) struct Room {
    free: Arc<Free>,
    reserve: u64,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("reserve", &self.reserve).finish_non_exhaustive()
    }
}

impl Room {
    pub(crate) fn of(disk: Arc<DiskStore>, reserve: u64) -> Self {
        Self::new(move || disk.space().map(|space| space.free).map_err(object_error), reserve)
    }

    fn new(free: impl Fn() -> Result<u64> + Send + Sync + 'static, reserve: u64) -> Self {
        Self { free: Arc::new(free), reserve }
    }

    /// Bytes that may still be written before the reserve is touched.
    pub(crate) fn left(&self) -> Result<u64> {
        Ok((self.free)()?.saturating_sub(self.reserve))
    }

    /// Refuses what there is no room for.
    pub(crate) fn check(&self, bytes: u64) -> Result<()> {
        self.left_after(bytes).map(drop)
    }

    fn left_after(&self, bytes: u64) -> Result<u64> {
        let left = self.left()?;
        if left > 0 && bytes <= left {
            return Ok(left - bytes);
        }
        let message = format!(
            "no room: {left} bytes are free above the reserve of {} bytes; make room on \
             that disk, or lower --reserve",
            self.reserve
        );
        Err(RegistryError::new(Kind::Full, message))
    }

    /// For one stream of writes of unknown length.
    pub(crate) fn gauge(&self) -> Gauge {
        Gauge { room: self.clone(), unseen: 0 }
    }
}

/// Looks at the room again and again while a stream is written: others write at the same time, and
/// nobody knows how much is to come.
#[derive(Debug)]
pub(crate) struct Gauge {
    room: Room,
    /// Bytes that may be written before the next look.
    unseen: u64,
}

impl Gauge {
    /// Asks for room before bytes are written.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<()> {
        if let Some(unseen) = self.unseen.checked_sub(bytes) {
            self.unseen = unseen;
            return Ok(());
        }
        // The less is left, the sooner the next look: what is written between two looks, by several
        // at once, is not to reach far into the reserve.
        self.unseen = LOOK_EVERY.min(self.room.left_after(bytes)? / SHARE);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A disk on which every look finds this much less.
    pub(crate) fn shrinking(free: u64, by: u64, reserve: u64) -> Room {
        let free = AtomicU64::new(free);
        let look = move || {
            let now = free.load(Ordering::Relaxed);
            free.store(now.saturating_sub(by), Ordering::Relaxed);
            Ok(now)
        };
        Room::new(look, reserve)
    }

    #[test]
    fn streams_end_at_the_reserve() {
        // Two streams that were both promised all of it: each look sees what the other has taken.
        let room = shrinking(2 << 30, 64 << 20, 256 << 20);
        let (mut one, mut other) = (room.gauge(), room.gauge());
        let mut written = 0u64;
        let error = loop {
            let batch = one.take(1 << 20).and_then(|()| other.take(1 << 20));
            match batch {
                Ok(()) => written += 2 << 20,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), Kind::Full);
        assert!((1 << 30..=(2 << 30) - (256 << 20)).contains(&written), "{written}");
        assert!(room.check(0).is_err());
    }
}
