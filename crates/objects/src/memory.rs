//! A store in memory, for tests.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{ErrorKind, ObjectError};
use crate::key::Key;
use crate::{
    Listing, Meta, Object, ObjectStore, ObjectWriter, Precondition, Version, check_range,
    content_version,
};

/// A store in memory. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, (Bytes, u64)>,
    /// Seconds since the epoch, moved by hand.
    clock: u64,
}

impl MemoryStore {
    /// Moves the store's clock on.
    pub fn advance_clock(&self, seconds: u64) {
        self.lock().clock += seconds;
    }

    /// A store of its own that holds what this one holds now.
    pub fn snapshot(&self) -> Self {
        let state = self.lock();
        let state = State { objects: state.objects.clone(), clock: state.clock };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, key: &Key, bytes: Bytes) {
        let mut state = self.lock();
        let clock = state.clock;
        state.objects.insert(key.clone(), (bytes, clock));
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        when: Precondition,
    ) -> Result<Version, ObjectError> {
        let mut state = self.lock();
        let current = state.objects.get(key).map(|(bytes, _)| content_version(bytes));
        when.check(key, current.as_ref())?;
        let (version, clock) = (content_version(&bytes), state.clock);
        state.objects.insert(key.clone(), (bytes, clock));
        Ok(version)
    }

    async fn put_file(&self, key: &Key, file: &Path) -> Result<u64, ObjectError> {
        let bytes = std::fs::read(file).map_err(|e| ObjectError::io(file.display(), e))?;
        std::fs::remove_file(file).map_err(|e| ObjectError::io(file.display(), e))?;
        let len = bytes.len() as u64;
        self.insert(key, bytes.into());
        Ok(len)
    }

    async fn writer(&self, key: &Key) -> Result<Box<dyn ObjectWriter>, ObjectError> {
        Ok(Box::new(Writer { store: self.clone(), key: key.clone(), bytes: Vec::new() }))
    }

    async fn get(&self, key: &Key) -> Result<Object, ObjectError> {
        let found = self.lock().objects.get(key).map(|(bytes, _)| bytes.clone());
        let bytes = found.ok_or_else(|| ObjectError::new(ErrorKind::NotFound, key))?;
        Ok(Object { version: content_version(&bytes), bytes })
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let bytes = self.get(key).await?.bytes;
        let range = check_range(key, &range, bytes.len() as u64)?;
        Ok(bytes.slice(range))
    }

    async fn head(&self, key: &Key) -> Result<Meta, ObjectError> {
        let state = self.lock();
        let (bytes, modified) =
            state.objects.get(key).ok_or_else(|| ObjectError::new(ErrorKind::NotFound, key))?;
        Ok(Meta { key: key.clone(), bytes: bytes.len() as u64, modified: *modified })
    }

    async fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        self.lock().objects.remove(key);
        Ok(())
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Listing, ObjectError> {
        let state = self.lock();
        // A prefix that is a key begins there; any other is met on the way.
        let first = Key::new(prefix.trim_end_matches('/')).ok();
        let from = match (after, &first) {
            (Some(after), Some(first)) if after < first => Bound::Included(first),
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(first)) => Bound::Included(first),
            (None, None) => Bound::Unbounded,
        };
        let mut found = state
            .objects
            .range((from, Bound::Unbounded))
            .skip_while(|(key, _)| key.as_str() < prefix)
            .take_while(|(key, _)| key.as_str().starts_with(prefix))
            .map(|(key, (bytes, modified))| Meta {
                key: key.clone(),
                bytes: bytes.len() as u64,
                modified: *modified,
            });
        let objects = found.by_ref().take(limit).collect();
        let more = found.next().is_some();
        Ok(Listing { objects, more })
    }
}

struct Writer {
    store: MemoryStore,
    key: Key,
    bytes: Vec<u8>,
}

#[async_trait]
impl ObjectWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<u64, ObjectError> {
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&bytes);
        Ok(at)
    }

    async fn finish(self: Box<Self>) -> Result<u64, ObjectError> {
        let len = self.bytes.len() as u64;
        self.store.insert(&self.key, self.bytes.into());
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passes_the_suite() {
        crate::suite::run(&MemoryStore::default()).await;
    }
}
