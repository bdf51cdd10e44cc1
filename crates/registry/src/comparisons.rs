//! Comparisons of the memory of checkpoints: few at once, each made once, and remembered.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pagevault_api::Digest;
use pagevault_pagestore::ComparedRun;
use tokio::sync::{Semaphore, oneshot};

use crate::Result;
use crate::background::Background;
use crate::error::{RegistryError, RegistryErrorKind as Kind};

/// Comparisons at once: each reads two checkpoints.
const AT_ONCE: usize = 2;
/// Runs of pages in all comparisons that are remembered, of 24 bytes each: pages about one checkpoint
/// ask for the same again and again.
const RUNS_MAX: usize = 2 << 20;

/// What became of the pages of each process.
pub(crate) type Compared = Arc<BTreeMap<u32, Vec<ComparedRun>>>;

/// The digests of two layers: what is compared with, and what is looked at.
pub(crate) type Pair = (Digest, Digest);

/// Comparisons of checkpoints.
#[derive(Debug)]
pub(crate) struct Comparisons {
    turns: Arc<Semaphore>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Newest first.
    last: VecDeque<(Pair, Compared)>,
    /// Held by the comparison of a pair that is being made.
    making: HashMap<Pair, Weak<tokio::sync::Mutex<()>>>,
}

impl Known {
    fn find(&self, pair: &Pair) -> Option<Compared> {
        let found = self.last.iter().find(|(known, _)| known == pair);
        found.map(|(_, compared)| Arc::clone(compared))
    }

    /// Remembers a comparison that has room, and forgets the oldest for which there is none then.
    fn remember(&mut self, pair: Pair, compared: Compared, runs_max: usize) {
        let size = |compared: &Compared| {
            // One without runs takes room too.
            compared.values().map(Vec::len).sum::<usize>() + 1
        };
        if size(&compared) > runs_max {
            return;
        }
        self.last.push_front((pair, compared));
        let mut sum = 0;
        let fits = self.last.iter().take_while(|(_, compared)| {
            sum += size(compared);
            sum <= runs_max
        });
        let fits = fits.count();
        self.last.truncate(fits);
    }

    fn turn(&mut self, pair: &Pair) -> Arc<tokio::sync::Mutex<()>> {
        if let Some(turn) = self.making.get(pair).and_then(Weak::upgrade) {
            return turn;
        }
        self.making.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        self.making.insert(pair.clone(), Arc::downgrade(&turn));
        turn
    }
}

impl Default for Comparisons {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), known: Mutex::default() }
    }
}

impl Comparisons {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The comparison of a pair, if it is remembered.
    pub(crate) fn find(&self, pair: &Pair) -> Option<Compared> {
        self.lock().find(pair)
    }

    /// The comparison of a pair, made by `compare` if it is not remembered. Once it has begun it goes on to
    /// its end, whoever still waits; those who ask for it meanwhile wait for it too.
    pub(crate) async fn get<F>(
        self: &Arc<Self>,
        pair: Pair,
        background: &Background,
        compare: F,
    ) -> Result<Compared>
    where
        F: Future<Output = Result<Compared>> + Send + 'static,
    {
        let own = self.lock().turn(&pair);
        let own = own.lock_owned().await;
        if let Some(compared) = self.find(&pair) {
            return Ok(compared);
        }
        // Only a closed semaphore fails, and this one is never closed.
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok();
        let (sender, receiver) = oneshot::channel();
        let comparisons = Arc::clone(self);
        background.spawn_endless(async move {
            let compared = compare.await;
            if let Ok(compared) = &compared {
                comparisons.lock().remember(pair, Arc::clone(compared), RUNS_MAX);
            }
            drop((own, turn));
            // Whoever asked may have gone.
            let _ = sender.send(compared);
        });
        let ending = |_| RegistryError::new(Kind::Unavailable, "the server ends: ask again");
        receiver.await.map_err(ending)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use pagevault_pagestore::PageState;
    use tokio::sync::Notify;

    use super::*;

    fn pair(number: usize) -> Pair {
        let digest: Digest = format!("sha256:{number:064x}").parse().unwrap();
        (digest.clone(), digest)
    }

    fn compared(runs: usize) -> Compared {
        let run = ComparedRun { address: 0, pages: 1, state: PageState::Same };
        Arc::new(BTreeMap::from([(1, vec![run; runs])]))
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many_runs() {
        let mut known = Known::default();
        let found = |known: &Known| -> Vec<usize> {
            (0..6).filter(|number| known.find(&pair(*number)).is_some()).collect()
        };
        for (number, runs) in [2, 3, 1].into_iter().enumerate() {
            known.remember(pair(number), compared(runs), 9);
        }
        assert_eq!(found(&known), [0, 1, 2]);
        known.remember(pair(3), compared(2), 9);
        assert_eq!(found(&known), [1, 2, 3]);
        known.remember(pair(4), compared(9), 9);
        assert_eq!(found(&known), [1, 2, 3], "it would leave no room for others");
        (0..99).for_each(|_| known.remember(pair(5), compared(0), 9));
        assert_eq!(known.last.len(), 9);
    }

    #[tokio::test]
    async fn who_asks_for_the_same_waits_for_the_one_that_is_made() {
        let (comparisons, background) = (Arc::<Comparisons>::default(), Background::default());
        let made = Arc::new(AtomicUsize::new(0));
        let ask = |number: usize| {
            let made = Arc::clone(&made);
            comparisons.get(pair(number), &background, async move {
                made.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(compared(number))
            })
        };
        let all = join_all((0..40).map(|number| ask(number % 4))).await;
        for (number, found) in all.into_iter().enumerate() {
            assert_eq!(found.unwrap(), compared(number % 4));
        }
        assert_eq!(made.load(Ordering::Relaxed), 4);
        assert!(comparisons.lock().making.values().all(|turn| turn.strong_count() == 0));
    }

    #[tokio::test]
    async fn what_has_begun_goes_on_when_the_client_leaves() {
        let (comparisons, background) = (Arc::<Comparisons>::default(), Background::default());
        let go = Arc::new(Notify::new());
        let goes = Arc::clone(&go);
        let asked = comparisons.get(pair(1), &background, async move {
            goes.notified().await;
            Ok(compared(1))
        });
        assert!(asked.now_or_never().is_none());
        go.notify_one();
        let again = comparisons.get(pair(1), &background, async { unreachable!("made twice") });
        assert_eq!(again.await.unwrap(), compared(1));
    }

    #[tokio::test]
    async fn a_comparison_that_fails_is_tried_again() {
        let (comparisons, background) = (Arc::<Comparisons>::default(), Background::default());
        let fails = async { Err(RegistryError::new(Kind::Damaged, "damaged")) };
        let failed = comparisons.get(pair(1), &background, fails).await.unwrap_err();
        assert_eq!(failed.kind(), Kind::Damaged);
        let made = comparisons.get(pair(1), &background, async { Ok(compared(1)) });
        made.await.unwrap();
        background.end().await;
        let late = comparisons.get(pair(2), &background, std::future::pending());
        assert_eq!(late.await.unwrap_err().kind(), Kind::Unavailable);
    }
}
