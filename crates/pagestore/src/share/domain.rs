//! One domain: its key, its index, and the tables of blocks that were looked at last.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pagevault_objects::ObjectStore;

use super::hooks::{ObjectHooks, hooks_key, name};
use super::index::{Hook, Index, Location};
use super::key::PageKey;
use crate::Result;
use crate::recipe::Frame;

/// Tables of blocks that are kept: some 40 bytes for each MiB of an object.
const TABLES_MAX: usize = 64;

type Table = Arc<Vec<Frame>>;

#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) key: PageKey,
    index: Mutex<Index>,
    /// Used last first.
    tables: Mutex<VecDeque<(u128, Table)>>,
}

impl Domain {
    pub(super) async fn open(objects: &dyn ObjectStore, name: &str) -> Result<Arc<Self>> {
        let key = PageKey::open(objects, name).await?;
        let (index, tables) = (Mutex::default(), Mutex::default());
        Ok(Arc::new(Self { name: name.to_owned(), key, index, tables }))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, object: u128, hooks: &[Hook]) {
        self.index().add(object, hooks);
    }

    pub(crate) fn forget(&self, object: u128) {
        self.index().forget(object);
    }

    pub(crate) fn knows(&self, object: u128) -> bool {
        self.index().knows(object)
    }

    /// Where pages of those ids may be.
    pub(crate) fn find(&self, ids: impl Iterator<Item = u64>) -> Vec<Location> {
        let index = self.index();
        ids.flat_map(|id| index.find(id)).collect()
    }

    pub(crate) fn size(&self) -> (usize, usize, usize) {
        self.index().size()
    }

    /// The blocks of an object, as its hooks say.
    pub(crate) async fn table(&self, objects: &dyn ObjectStore, object: u128) -> Result<Table> {
        if let Some(table) = self.known_table(object) {
            return Ok(table);
        }
        let name = name(object);
        let stored = objects.get(&hooks_key(&name)?).await?;
        let table = Arc::new(ObjectHooks::from_bytes(&name, &stored.bytes)?.blocks);
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.push_front((object, Arc::clone(&table)));
        tables.truncate(TABLES_MAX);
        Ok(table)
    }

    fn known_table(&self, object: u128) -> Option<Table> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let at = tables.iter().position(|(name, _)| *name == object)?;
        let found = tables.remove(at)?;
        let table = Arc::clone(&found.1);
        tables.push_front(found);
        Some(table)
    }
}
