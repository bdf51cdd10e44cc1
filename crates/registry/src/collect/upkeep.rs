//! What a collection cannot free by itself: layers and objects that are written anew where that frees
//! more than it takes. The next collection removes what they leave behind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pagevault_api::gc::GcRewritten;
use pagevault_pagestore::{PageStoreError, Phase, Rebase, Watch};

use super::Collector;

/// Rest after each layer, as many times as long as the work on it took: uploads and pulls come first.
const REST: u32 = 1;

/// Layers that turned out not to be worth it, and what they would have freed.
#[derive(Debug, Default)]
pub(crate) struct Vain(Mutex<HashMap<String, u64>>);

impl Vain {
    /// Whether it is worth a try: the first, or with a quarter more to be freed than at the last.
    fn may_try(&self, rebase: &Rebase) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = known.get(&rebase.recipe.0);
        last.is_none_or(|bytes| rebase.frees_bytes > bytes.saturating_add(bytes / 4))
    }

    fn note(&self, rebase: &Rebase) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(rebase.recipe.0.clone(), rebase.frees_bytes);
    }

    /// Forgets layers that are none any more.
    fn keep(&self, rebases: &[Rebase]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|recipe, _| rebases.iter().any(|rebase| rebase.recipe.0 == *recipe));
    }
}

/// What was written anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Upkeep {
    pub(crate) rebased: GcRewritten,
    pub(crate) repacked: GcRewritten,
}

/// What storing those layers anew is expected to come to.
pub(crate) fn expected(rebases: &[Rebase]) -> GcRewritten {
    let mut sum = GcRewritten::default();
    rebases.iter().for_each(|r| add(&mut sum, 1, r.writes_bytes, r.frees_bytes));
    sum
}

fn add(sum: &mut GcRewritten, number: u64, written_bytes: u64, frees_bytes: u64) {
    sum.number += number;
    sum.written_bytes += written_bytes;
    sum.frees_bytes += frees_bytes;
}

impl Collector {
    /// Writes anew what is worth it. It may be told to end at any time, and what fails stays as it was:
    /// the collection before it is none the worse.
    pub(crate) async fn upkeep(
        &self,
        rebases: &[Rebase],
        vain: &Vain,
        watch: &Arc<Watch>,
        rests: bool,
    ) -> Upkeep {
        let mut upkeep = Upkeep::default();
        vain.keep(rebases);
        let done = async {
            self.rebase(rebases, vain, watch, rests, &mut upkeep.rebased).await?;
            let done = self.pages.repack(watch).await?;
            add(&mut upkeep.repacked, done.objects, done.stored_bytes, done.frees_bytes);
            Ok(())
        };
        match done.await {
            Ok(()) | Err(PageStoreError::Cancelled) => {}
            Err(error) => tracing::warn!(%error, "what is mostly unused stays for now"),
        }
        upkeep
    }

    async fn rebase(
        &self,
        rebases: &[Rebase],
        vain: &Vain,
        watch: &Arc<Watch>,
        rests: bool,
        sum: &mut GcRewritten,
    ) -> Result<(), PageStoreError> {
        watch.begin(Phase::Rebase, Some(rebases.len() as u64));
        for rebase in rebases {
            watch.step()?;
            if !vain.may_try(rebase) {
                continue;
            }
            let begun = Instant::now();
            match Box::pin(self.pages.rebase(rebase, watch)).await {
                Ok(Some(done)) => add(sum, 1, done.stored_bytes, done.frees_bytes),
                Ok(None) => vain.note(rebase),
                // A full disk, say, is one for all of them.
                Err(error @ (PageStoreError::Cancelled | PageStoreError::Store(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(recipe = %rebase.recipe.0, %error, "a layer stays as it is stored");
                    vain.note(rebase);
                }
            }
            if rests {
                rest(begun.elapsed() * REST, watch).await?;
            }
        }
        Ok(())
    }
}

/// Rests, unless all is to end.
async fn rest(time: Duration, watch: &Watch) -> Result<(), PageStoreError> {
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        watch.check()?;
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
    }
    watch.check()
}
