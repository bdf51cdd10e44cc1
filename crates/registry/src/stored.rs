//! What the page store takes, added up by a walk through it: one at a time, and not again until
//! something was written or removed.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use pagevault_objects::{
    Key, Listing, Meta, Object, ObjectError, ObjectStore, ObjectWriter, Precondition, Version,
};
use tokio::sync::Semaphore;

use crate::Result;

/// How long a sum is kept at most: others may write to the store.
const KEPT: Duration = Duration::from_secs(60);

/// Counts the writes and deletions that have ended.
#[derive(Debug, Clone, Default)]
struct Changes(Arc<AtomicU64>);

impl Changes {
    fn number(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Counts one when it is dropped: a write that nobody waits for any more may have happened.
    fn begin(&self) -> Change {
        Change(self.clone())
    }
}

#[derive(Debug)]
struct Change(Changes);

impl Drop for Change {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The sum.
#[derive(Debug)]
pub(crate) struct StoredSum {
    changes: Changes,
    turn: Semaphore,
    last: Mutex<Option<Sum>>,
}

#[derive(Debug, Clone, Copy)]
struct Sum {
    bytes: u64,
    /// Changes before the walk began.
    changes: u64,
    at: Instant,
}

impl StoredSum {
    /// The sum over a store, and the store through which it is to be changed.
    pub(crate) fn over(store: Arc<dyn ObjectStore>) -> (Self, Arc<dyn ObjectStore>) {
        let changes = Changes::default();
        let counted = Counted { inner: store, changes: changes.clone() };
        (Self { changes, turn: Semaphore::new(1), last: Mutex::default() }, Arc::new(counted))
    }

    fn last(&self) -> MutexGuard<'_, Option<Sum>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sum with all that had changed when it was asked for; `walk` adds up if that is not known.
    pub(crate) async fn get(&self, walk: impl Future<Output = Result<u64>>) -> Result<u64> {
        let asked = self.changes.number();
        // Only a closed semaphore fails, and this one is never closed.
        let _turn = self.turn.acquire().await.ok();
        let known = *self.last();
        if let Some(sum) = known.filter(|sum| sum.changes >= asked && sum.at.elapsed() < KEPT) {
            return Ok(sum.bytes);
        }
        let (changes, at) = (self.changes.number(), Instant::now());
        let bytes = walk.await?;
        *self.last() = Some(Sum { bytes, changes, at });
        Ok(bytes)
    }
}

/// A store whose changes are counted.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn ObjectStore>,
    changes: Changes,
}

struct CountedWriter {
    inner: Box<dyn ObjectWriter>,
    changes: Changes,
}

#[async_trait]
impl ObjectWriter for CountedWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<u64, ObjectError> {
        self.inner.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<u64, ObjectError> {
        let _change = self.changes.begin();
        self.inner.finish().await
    }
}

#[async_trait]
impl ObjectStore for Counted {
    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        when: Precondition,
    ) -> Result<Version, ObjectError> {
        let _change = self.changes.begin();
        self.inner.put(key, bytes, when).await
    }

    async fn put_file(&self, key: &Key, file: &Path) -> Result<u64, ObjectError> {
        let _change = self.changes.begin();
        self.inner.put_file(key, file).await
    }

    async fn writer(&self, key: &Key) -> Result<Box<dyn ObjectWriter>, ObjectError> {
        let inner = self.inner.writer(key).await?;
        Ok(Box::new(CountedWriter { inner, changes: self.changes.clone() }))
    }

    async fn get(&self, key: &Key) -> Result<Object, ObjectError> {
        self.inner.get(key).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.inner.get_range(key, range).await
    }

    async fn head(&self, key: &Key) -> Result<Meta, ObjectError> {
        self.inner.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        let _change = self.changes.begin();
        self.inner.delete(key).await
    }

    async fn delete_if(&self, key: &Key, version: &Version) -> Result<(), ObjectError> {
        let _change = self.changes.begin();
        self.inner.delete_if(key, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Listing, ObjectError> {
        self.inner.list(prefix, after, limit).await
    }

    async fn now(&self) -> Result<u64, ObjectError> {
        self.inner.now().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use pagevault_objects::MemoryStore;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new(name).unwrap()
    }

    /// The sum, and how many walks there have been.
    async fn ask(sum: &StoredSum, walks: &AtomicU64) -> u64 {
        let walk = async {
            tokio::task::yield_now().await;
            Ok(walks.fetch_add(1, Ordering::Relaxed) + 1)
        };
        sum.get(walk).await.unwrap()
    }

    #[tokio::test]
    async fn every_change_needs_a_walk_and_nothing_else_does() {
        let (sum, store) = StoredSum::over(Arc::new(MemoryStore::default()));
        let walks = AtomicU64::new(0);
        let (a, b) = (key("data/a"), key("data/b"));
        let is_new = async || {
            let before = walks.load(Ordering::Relaxed);
            ask(&sum, &walks).await > before
        };
        assert!(is_new().await);
        assert!(!is_new().await);
        let version = store.put(&a, Bytes::from_static(b"a"), Precondition::None).await.unwrap();
        assert!(is_new().await, "put");
        store.get(&a).await.unwrap();
        store.get_range(&a, 0..1).await.unwrap();
        store.head(&a).await.unwrap();
        store.list("data/", None, 9).await.unwrap();
        let mut writer = store.writer(&b).await.unwrap();
        writer.write(Bytes::from_static(b"b")).await.unwrap();
        assert!(!is_new().await, "nothing has changed");
        writer.finish().await.unwrap();
        assert!(is_new().await, "finish");
        store.delete_if(&a, &version).await.unwrap();
        assert!(is_new().await, "delete_if");
        store.delete(&b).await.unwrap();
        assert!(is_new().await, "delete");
        let file = tempfile::NamedTempFile::new().unwrap();
        store.put_file(&a, file.path()).await.unwrap();
        assert!(is_new().await, "put_file");
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_a_walk() {
        let (sum, store) = StoredSum::over(Arc::new(MemoryStore::default()));
        let walks = AtomicU64::new(0);
        join_all((0..50).map(|_| ask(&sum, &walks))).await;
        assert_eq!(walks.load(Ordering::Relaxed), 1);
        // What changes during a walk is not in its sum.
        let walk = async {
            store.put(&key("data/a"), Bytes::new(), Precondition::None).await.unwrap();
            Ok(7)
        };
        sum.changes.begin();
        assert_eq!(sum.get(walk).await.unwrap(), 7);
        assert_eq!(ask(&sum, &walks).await, 2);
    }
}
