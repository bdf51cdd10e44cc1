//! Writers of one key take turns: between looking at an object and replacing it, nobody else may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::key::Key;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// The keys that are being written.
#[derive(Debug, Default)]
pub(super) struct Turns {
    busy: Mutex<HashMap<Key, Lock>>,
}

/// The right to write a key. It goes with the work, so that a caller who no longer waits does not
/// let the next one in before the work is done.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    key: Key,
    lock: Option<Lock>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else writes the key.
    pub(super) async fn take(self: &Arc<Self>, key: &Key) -> Turn {
        let lock = Arc::clone(self.busy().entry(key.clone()).or_default());
        let (turns, waits) = (Arc::clone(self), Arc::clone(&lock));
        // Made before waiting: it also cleans up after a caller who gives up.
        let mut turn = Turn { turns, key: key.clone(), lock: Some(lock), held: None };
        turn.held = Some(waits.lock_owned().await);
        turn
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<Key, Lock>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut busy = self.turns.busy();
        drop(self.lock.take());
        if busy.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            busy.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_kept_of_turns_that_are_over_or_given_up() {
        let turns = Arc::new(Turns::default());
        let key = Key::new("a").unwrap();
        let first = turns.take(&key).await;
        let second = tokio::time::timeout(std::time::Duration::ZERO, turns.take(&key)).await;
        assert!(second.is_err());
        assert_eq!(turns.busy().len(), 1);
        drop(first);
        assert!(turns.busy().is_empty());
        drop(turns.take(&key).await);
        assert!(turns.busy().is_empty());
    }
}
