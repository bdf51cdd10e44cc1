//! A store that stops at a chosen write, for crash tests.
//!
//! A store promises that what has returned `Ok` is durable, so a crash can only lose or keep the
//! write that was on its way: both are to be tried, at every write.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{ErrorKind, ObjectError};
use crate::key::Key;
use crate::{Listing, MemoryStore, Meta, Object, ObjectStore, ObjectWriter, Precondition, Version};

/// What becomes of the write at which a store stops. Its caller is told of a failure either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastWrite {
    /// It did not reach the disk.
    Lost,
    /// It did; only the answer was lost.
    Kept,
}

/// A store in memory that can be stopped. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct FaultStore {
    inner: MemoryStore,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    writes: u64,
    stop: Option<(u64, LastWrite)>,
    stopped: bool,
}

impl FaultStore {
    /// A store that goes on from what another holds.
    pub fn over(image: &MemoryStore) -> Self {
        Self { inner: image.snapshot(), state: Arc::default() }
    }

    /// Stops at the write of this number, counted from 0: then every call fails with
    /// [`ErrorKind::Unavailable`].
    pub fn stop_at(&self, write: u64, last: LastWrite) {
        self.state().stop = Some((write, last));
    }

    /// Writes so far: finished objects and deletions.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Whether the store has stopped.
    pub fn stopped(&self) -> bool {
        self.state().stopped
    }

    /// What a crash at this moment would leave.
    pub fn durable_image(&self) -> MemoryStore {
        self.inner.snapshot()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self) -> Result<(), ObjectError> {
        if self.stopped() { Err(stopped()) } else { Ok(()) }
    }

    /// Counts a write; tells what is to become of it if it is the last.
    fn count(&self) -> Result<Option<LastWrite>, ObjectError> {
        let mut state = self.state();
        if state.stopped {
            return Err(stopped());
        }
        let number = state.writes;
        state.writes += 1;
        let last = state.stop.filter(|(write, _)| *write <= number).map(|(_, last)| last);
        state.stopped = last.is_some();
        Ok(last)
    }

    async fn write<T>(
        &self,
        work: impl Future<Output = Result<T, ObjectError>> + Send,
    ) -> Result<T, ObjectError> {
        match self.count()? {
            None => work.await,
            Some(LastWrite::Lost) => Err(stopped()),
            Some(LastWrite::Kept) => work.await.and(Err(stopped())),
        }
    }
}

fn stopped() -> ObjectError {
    ObjectError::told(ErrorKind::Unavailable, "the store was stopped by a test")
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        when: Precondition,
    ) -> Result<Version, ObjectError> {
        self.write(self.inner.put(key, bytes, when)).await
    }

    async fn put_file(&self, key: &Key, file: &Path) -> Result<u64, ObjectError> {
        self.write(self.inner.put_file(key, file)).await
    }

    async fn writer(&self, key: &Key) -> Result<Box<dyn ObjectWriter>, ObjectError> {
        self.check()?;
        Ok(Box::new(Writer { store: self.clone(), inner: self.inner.writer(key).await? }))
    }

    async fn get(&self, key: &Key) -> Result<Object, ObjectError> {
        self.check()?;
        self.inner.get(key).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.check()?;
        self.inner.get_range(key, range).await
    }

    async fn head(&self, key: &Key) -> Result<Meta, ObjectError> {
        self.check()?;
        self.inner.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        self.write(self.inner.delete(key)).await
    }

    async fn delete_if(&self, key: &Key, version: &Version) -> Result<(), ObjectError> {
        self.write(self.inner.delete_if(key, version)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Listing, ObjectError> {
        self.check()?;
        self.inner.list(prefix, after, limit).await
    }

    async fn now(&self) -> Result<u64, ObjectError> {
        self.check()?;
        self.inner.now().await
    }
}

/// Writes one object; nothing of it is durable before it is finished.
struct Writer {
    store: FaultStore,
    inner: Box<dyn ObjectWriter>,
}

#[async_trait]
impl ObjectWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<u64, ObjectError> {
        self.store.check()?;
        self.inner.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<u64, ObjectError> {
        let Self { store, inner } = *self;
        store.write(inner.finish()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passes_the_suite_while_nothing_fails() {
        crate::suite::run(&FaultStore::default()).await;
    }

    #[tokio::test]
    async fn stops_at_a_write_that_is_lost_or_kept() {
        for (last, left) in [(LastWrite::Lost, 1), (LastWrite::Kept, 2)] {
            let store = FaultStore::default();
            store.stop_at(1, last);
            let keys = ["a", "b", "c"].map(|name| Key::new(name).unwrap());
            let mut outcomes = Vec::new();
            for key in &keys {
                outcomes.push(store.put(key, Bytes::new(), Precondition::Absent).await.is_ok());
            }
            assert_eq!(outcomes, [true, false, false]);
            let refused = store.get(&keys[0]).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
            let image = store.durable_image();
            assert_eq!(image.list("", None, 9).await.unwrap().objects.len(), left);
            assert!(FaultStore::over(&image).get(&keys[0]).await.is_ok());
        }
    }

    #[tokio::test]
    async fn an_unfinished_object_is_not_in_the_image() {
        let store = FaultStore::default();
        let mut writer = store.writer(&Key::new("a").unwrap()).await.unwrap();
        writer.write(Bytes::from_static(b"x")).await.unwrap();
        store.stop_at(0, LastWrite::Lost);
        writer.finish().await.unwrap_err();
        assert!(store.durable_image().list("", None, 9).await.unwrap().objects.is_empty());
    }
}
