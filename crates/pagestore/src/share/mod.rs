//! Pages shared between lineages of one domain: replicas, other pods of one image.
//!
//! Of the pages that are stored whole, one in 64 is a *hook*: its id is in the index of its domain.
//! A new page that is a hook with a known id names a block in which its neighbours may be as well.
//! That block's literals are read and compared with the new pages byte by byte; what is equal in
//! runs of 16 pages or more is not stored again, but named. Hashes propose, bytes decide.
//!
//! The index is a cache: without it pages are stored again, and nothing is lost.

mod budget;
mod domain;
mod find;
mod hooks;
mod index;
mod key;
mod load;
mod matching;
mod read;
mod repack;
mod session;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use self::domain::Domain;
use crate::Result;
use crate::store::PageStore;

pub(crate) use self::find::{Finder, Shares};
pub(crate) use self::hooks::{PREFIX as HOOKS, hooks_key};
pub use self::load::Loaded;
pub(crate) use self::read::{SharedWant, fill};
pub use self::repack::Repacked;
pub(crate) use self::session::{Indexed, Session, Sources, index_block};
pub use self::usage::ObjectUse;

/// What the index of stored pages takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Data objects in it.
    pub objects: u64,
    /// Pages in it: about one in 64 of those stored whole.
    pub entries: u64,
    /// Memory that it takes.
    pub memory_bytes: u64,
}

/// The domains that this process has come across.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    domains: Mutex<HashMap<String, Arc<OnceCell<Arc<Domain>>>>>,
}

impl PageStore {
    /// What the index of stored pages takes now.
    pub fn index_stats(&self) -> IndexStats {
        let mut sum = IndexStats::default();
        for domain in self.sharing.opened() {
            let (objects, entries, bytes) = domain.size();
            sum.objects += objects as u64;
            sum.entries += entries as u64;
            sum.memory_bytes += bytes as u64;
        }
        sum
    }

    /// The domain of that name, with its key.
    pub(crate) async fn domain(&self, name: &str) -> Result<Arc<Domain>> {
        let slot = {
            let mut domains = self.sharing.domains.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(domains.entry(name.to_owned()).or_default())
        };
        let opened = slot.get_or_try_init(|| Domain::open(self.objects.as_ref(), name)).await?;
        Ok(Arc::clone(opened))
    }
}

impl Sharing {
    fn opened(&self) -> Vec<Arc<Domain>> {
        let domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        domains.values().filter_map(|slot| slot.get().cloned()).collect()
    }
}
