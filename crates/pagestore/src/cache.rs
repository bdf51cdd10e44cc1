//! Decoded blocks that a reader will want again: neighbouring segments share the blocks of their
//! base.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::Result;
use crate::block::Block;

/// Names a block of a chain: level, extent, segment.
pub(crate) type BlockName = (usize, usize, usize);

type Slot = Arc<OnceCell<Arc<Block>>>;

/// A cache bounded in bytes. A block that several ask for at once is decoded once.
#[derive(Debug)]
pub(crate) struct BlockCache {
    max_bytes: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    slots: HashMap<BlockName, (Slot, u64)>,
    clock: u64,
    bytes: usize,
}

impl BlockCache {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, inner: Mutex::default() }
    }

    /// The block of that name, made by `make` if it is not there.
    pub(crate) async fn get<F>(&self, name: BlockName, make: F) -> Result<Arc<Block>>
    where
        F: Future<Output = Result<Block>>,
    {
        let slot = self.slot(name);
        let mut fresh = false;
        let block = slot
            .get_or_try_init(|| async {
                fresh = true;
                make.await.map(Arc::new)
            })
            .await?;
        let block = Arc::clone(block);
        if fresh {
            self.shrink(block.bytes());
        }
        Ok(block)
    }

    fn slot(&self, name: BlockName) -> Slot {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let clock = inner.clock;
        let (slot, used) = inner.slots.entry(name).or_default();
        *used = clock;
        Arc::clone(slot)
    }

    /// Accounts for a new block and lets the longest unused ones go.
    fn shrink(&self, added: usize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.bytes += added;
        while inner.bytes > self.max_bytes {
            let oldest = inner.slots.iter().filter(|(_, (slot, _))| slot.initialized());
            let Some(name) = oldest.min_by_key(|(_, (_, used))| *used).map(|(name, _)| *name)
            else {
                return;
            };
            let removed =
                inner.slots.remove(&name).and_then(|(slot, _)| slot.get().map(|b| b.bytes()));
            inner.bytes = inner.bytes.saturating_sub(removed.unwrap_or(0));
        }
    }
}
