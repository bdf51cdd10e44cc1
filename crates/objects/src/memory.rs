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
    Listing, Meta, Object, ObjectStore, ObjectWriter, Precondition, Stamp, Version, check_range,
    content_version,
};

/// A store in memory. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, Stored>,
    /// Seconds since the epoch, moved by hand.
    clock: u64,
    /// Writes so far.
    writes: u64,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    modified: u64,
    write: u64,
}

impl State {
    fn insert(&mut self, key: &Key, bytes: Bytes) {
        self.writes += 1;
        let stored = Stored { bytes, modified: self.clock, write: self.writes };
        self.objects.insert(key.clone(), stored);
    }
}

impl Stored {
    fn meta(&self, key: &Key) -> Meta {
        let stamp = Stamp(u128::from(self.write));
        let (bytes, modified) = (self.bytes.len() as u64, self.modified);
        Meta { key: key.clone(), bytes, modified, stamp }
    }
}

impl MemoryStore {
    /// Moves the store's clock on.
    pub fn advance_clock(&self, seconds: u64) {
        self.lock().clock += seconds;
    }

    /// A store of its own that holds what this one holds now.
    pub fn snapshot(&self) -> Self {
        let state = self.lock();
        let (objects, clock, writes) = (state.objects.clone(), state.clock, state.writes);
        let state = State { objects, clock, writes };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, key: &Key, bytes: Bytes) {
        self.lock().insert(key, bytes);
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
        let current = state.objects.get(key).map(|found| content_version(&found.bytes));
        when.check(key, current.as_ref())?;
        let version = content_version(&bytes);
        state.insert(key, bytes);
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
        let found = self.lock().objects.get(key).map(|found| found.bytes.clone());
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
        let found = state.objects.get(key);
        Ok(found.ok_or_else(|| ObjectError::new(ErrorKind::NotFound, key))?.meta(key))
    }

    async fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        self.lock().objects.remove(key);
        Ok(())
    }

    async fn delete_if(&self, key: &Key, version: &Version) -> Result<(), ObjectError> {
        let mut state = self.lock();
        let current = state.objects.get(key).map(|found| content_version(&found.bytes));
        Precondition::Matches(version.clone()).check(key, current.as_ref())?;
        state.objects.remove(key);
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
            .map(|(key, stored)| stored.meta(key));
        let objects = found.by_ref().take(limit).collect();
        let more = found.next().is_some();
        Ok(Listing { objects, more })
    }

    async fn now(&self) -> Result<u64, ObjectError> {
        Ok(self.lock().clock)
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
