//! Layers that wait to be looked into, and what is known of those that cannot be.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pagevault_api::Digest;
use tokio::sync::{Notify, mpsc};

use super::Landed;
use crate::error::{RegistryError, RegistryErrorKind as Kind};

/// Layers that wait at most; those beyond are taken in when they are looked for again.
const QUEUE: usize = 1024;
/// Failures after which an image is not read again, where the next try might have gone better.
const TRIES: u32 = 3;
/// Images that are known to have failed. An image beyond them costs reading another one again.
const FAILED_MAX: usize = 16 << 10;

/// Where layers wait.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Landed>,
    known: Mutex<Known>,
    missed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Known {
    /// What waits or is being read: who asks for it again changes nothing.
    waiting: HashSet<Landed>,
    /// By manifest: what is in it is the same in every repository.
    failed: HashMap<Digest, Failed>,
}

#[derive(Debug)]
struct Failed {
    tries: u32,
    reason: String,
}

impl Known {
    fn refusal(&self, manifest: &Digest) -> Option<&str> {
        let failed = self.failed.get(manifest).filter(|failed| failed.tries >= TRIES);
        failed.map(|failed| failed.reason.as_str())
    }

    /// Whether a layer has to be taken in; from then on it waits.
    fn takes(&mut self, layer: &Landed) -> bool {
        self.refusal(&layer.manifest).is_none() && self.waiting.insert(layer.clone())
    }

    fn failed(&mut self, manifest: &Digest, error: &RegistryError) {
        let tries = match error.kind() {
            // There will be room again.
            Kind::Full => return,
            Kind::Unavailable | Kind::Collected | Kind::BlobUnknown | Kind::Internal => 1,
            _ => TRIES,
        };
        if self.failed.len() >= FAILED_MAX
            && !self.failed.contains_key(manifest)
            && let Some(other) = self.failed.keys().next().cloned()
        {
            self.failed.remove(&other);
        }
        let failed = self.failed.entry(manifest.clone());
        let failed = failed.or_insert_with(|| Failed { tries: 0, reason: String::new() });
        failed.tries = failed.tries.saturating_add(tries);
        failed.reason = error.to_string();
    }
}

impl Queue {
    /// A queue, and its work, which is done by the task that gets it. What came before is missed.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Landed>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let missed = Arc::new(Notify::new());
        missed.notify_one();
        (Self { sender, known: Mutex::default(), missed }, receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the layer of a checkpoint image, or notes that it is missed.
    pub(crate) fn take_in(&self, layer: Landed) {
        let mut known = self.lock();
        if known.takes(&layer)
            && let Err(error) = self.sender.try_send(layer.clone())
        {
            tracing::debug!(%error, "a layer stays as it landed for now");
            known.waiting.remove(&layer);
            self.missed.notify_one();
        }
    }

    /// The same, once there is room.
    pub(super) async fn take_in_later(&self, layer: Landed) {
        let Ok(place) = self.sender.reserve().await else { return };
        if self.lock().takes(&layer) {
            place.send(layer);
        }
    }

    /// Told when something was missed.
    pub(crate) fn missed(&self) -> Arc<Notify> {
        Arc::clone(&self.missed)
    }

    /// Why an image is not read again.
    pub(super) fn refusal(&self, manifest: &Digest) -> Option<String> {
        self.lock().refusal(manifest).map(str::to_owned)
    }

    /// Notes that a layer was looked into, and what was wrong with it.
    pub(super) fn done(&self, layer: &Landed, failed: Option<&RegistryError>) {
        let mut known = self.lock();
        known.waiting.remove(layer);
        match failed {
            None => {
                known.failed.remove(&layer.manifest);
            }
            Some(error) => {
                known.failed(&layer.manifest, error);
                if known.refusal(&layer.manifest).is_none() {
                    self.missed.notify_one();
                }
            }
        }
    }

    /// Reads again what could not be read: what is stored was put right.
    pub(crate) fn forgive(&self) {
        self.lock().failed.clear();
        self.missed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn layer(number: usize) -> Landed {
        let digest: Digest = format!("sha256:{number:064x}").parse().unwrap();
        Landed { repository: "a".into(), manifest: digest.clone(), layer: digest }
    }

    fn error(kind: Kind) -> RegistryError {
        RegistryError::new(kind, format!("{kind:?}"))
    }

    /// Whether something was missed since the last look.
    fn missed(queue: &Queue) -> bool {
        queue.missed().notified_owned().now_or_never().is_some()
    }

    #[test]
    fn what_has_no_room_is_missed_and_can_be_taken_in_later() {
        let (queue, mut waiting) = Queue::new();
        assert!(missed(&queue), "what came before the start");
        (0..QUEUE).for_each(|number| queue.take_in(layer(number)));
        queue.take_in(layer(0));
        assert!(!missed(&queue), "it waits already");
        queue.take_in(layer(QUEUE));
        assert!(missed(&queue));
        assert!(queue.take_in_later(layer(QUEUE)).now_or_never().is_none());
        waiting.try_recv().unwrap();
        queue.take_in_later(layer(QUEUE)).now_or_never().unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| waiting.try_recv().ok()).collect();
        assert_eq!((rest.len(), rest.last()), (QUEUE, Some(&layer(QUEUE))));
    }

    #[test]
    fn what_cannot_be_read_is_not_read_again() {
        let (queue, mut waiting) = Queue::new();
        let mut fails = |number: usize, kind: Kind| {
            queue.take_in(layer(number));
            let layer = waiting.try_recv().unwrap();
            queue.done(&layer, Some(&error(kind)));
            queue.refusal(&layer.manifest)
        };
        assert!(missed(&queue));
        assert_eq!(fails(1, Kind::Archive).as_deref(), Some("Archive"));
        assert!(!missed(&queue), "another look would be in vain");
        (0..2 * TRIES).for_each(|_| assert_eq!(fails(2, Kind::Full), None));
        (1..TRIES).for_each(|_| assert_eq!(fails(3, Kind::Unavailable), None));
        assert!(missed(&queue));
        assert!(fails(3, Kind::Unavailable).is_some());
        queue.take_in(layer(1));
        assert!(waiting.try_recv().is_err());
        queue.forgive();
        queue.take_in(layer(1));
        assert!(waiting.try_recv().is_ok());
    }

    #[test]
    fn failures_are_bounded() {
        let mut known = Known::default();
        for number in 0..FAILED_MAX + 9 {
            known.failed(&layer(number).manifest, &error(Kind::Archive));
        }
        assert_eq!(known.failed.len(), FAILED_MAX);
        assert!(known.refusal(&layer(FAILED_MAX + 8).manifest).is_some());
    }
}
