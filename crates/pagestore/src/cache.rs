//! Decoded blocks that a reader will want again: neighbouring segments share the blocks of their
//! base.

use std::collections::{BTreeMap, HashMap};
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
    slots: HashMap<BlockName, Entry>,
    /// Names by when they were last used.
    by_use: BTreeMap<u64, BlockName>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Entry {
    slot: Slot,
    used: u64,
    /// What it is counted as; nothing while it is being made.
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
        if fresh {
            self.count(name, &slot, block.bytes());
        }
        Ok(Arc::clone(block))
    }

    fn slot(&self, name: BlockName) -> Slot {
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let entry = inner.slots.entry(name).or_default();
        inner.by_use.remove(&entry.used);
        entry.used = inner.clock;
        inner.by_use.insert(inner.clock, name);
        Arc::clone(&entry.slot)
    }

    /// Counts a new block, and lets those go that were not used for the longest time. One that is
    /// still being made may be among them: whoever waits for it holds its slot.
    fn count(&self, name: BlockName, slot: &Slot, bytes: usize) {
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = inner.slots.get_mut(&name).filter(|entry| Arc::ptr_eq(&entry.slot, slot));
        let Some(entry) = entry else { return };
        entry.bytes = bytes;
        inner.bytes += bytes;
        while inner.bytes > self.max_bytes {
            let Some((_, oldest)) = inner.by_use.pop_first() else { return };
            let gone = inner.slots.remove(&oldest);
            inner.bytes -= gone.map_or(0, |entry| entry.bytes);
        }
    }
}
