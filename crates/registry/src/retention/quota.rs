//! Quotas: what a namespace may take. A push that would exceed one is refused, before anything of it
//! exists.
//!
//! Number and bytes of tars are what the view says. Stored bytes, each object counted once, take a
//! look at all recipes; between two looks they are what the last one found and what was pushed since.
//! Nobody is refused by that estimate: there is another look first, if anything has changed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pagevault_api::retention::Quota;
use pagevault_api::size::ByteSize;
use pagevault_catalog::Catalog;
use pagevault_pagestore::{PageStore, Watch};
use tokio::sync::Semaphore;

use super::policies::PolicySource;
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::{Result, blocking, catalog_error, store_error};

/// What checkpoints take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) count: u64,
    pub(crate) logical_bytes: u64,
    pub(crate) stored_bytes: u64,
}

/// The quotas of a registry. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Quotas {
    pub(crate) source: PolicySource,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) pages: PageStore,
    pub(crate) books: Arc<Books>,
}

/// What is known between two looks.
#[derive(Debug)]
pub(crate) struct Books {
    namespaces: Mutex<HashMap<String, Account>>,
    /// Counts whatever may change what is stored.
    changes: AtomicU64,
    /// Pushes that were refused.
    refused: AtomicU64,
    /// Looks are taken one at a time.
    looking: Semaphore,
}

impl Default for Books {
    fn default() -> Self {
        Self {
            namespaces: Mutex::default(),
            changes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            looking: Semaphore::new(1),
        }
    }
}

#[derive(Debug, Default)]
struct Account {
    /// Of pushes that are under way.
    reserved: Taken,
    /// Stored bytes, and the changes that there had been when they were looked up.
    stored: Option<(u64, u64)>,
}

impl Books {
    /// Notes that what is stored may be less than it was.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Pushes that were refused since the start.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that a push has been given. It is given back when this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Admitted(Option<Reserved>);

#[derive(Debug)]
struct Reserved {
    books: Arc<Books>,
    namespace: String,
    taken: Taken,
}

impl Admitted {
    /// Notes that what the room was for is there.
    pub(crate) fn used(self) {
        let Some(reserved) = &self.0 else { return };
        let mut accounts = reserved.books.lock();
        let account = accounts.get_mut(&reserved.namespace);
        if let Some((stored, _)) = account.and_then(|account| account.stored.as_mut()) {
            *stored += reserved.taken.stored_bytes;
        }
        reserved.books.changed();
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut accounts = self.books.lock();
        let Some(account) = accounts.get_mut(&self.namespace) else { return };
        let (held, taken) = (&mut account.reserved, self.taken);
        held.count = held.count.saturating_sub(taken.count);
        held.logical_bytes = held.logical_bytes.saturating_sub(taken.logical_bytes);
        held.stored_bytes = held.stored_bytes.saturating_sub(taken.stored_bytes);
    }
}

impl Quotas {
    /// Room for one more checkpoint of a namespace; an error that says what is used where there is
    /// none.
    pub(crate) async fn admit(&self, namespace: &str, more: Taken) -> Result<Admitted> {
        let quotas = self.source.read().await?.config.quotas;
        let Some(quota) = quotas.into_iter().find(|quota| quota.namespace == namespace) else {
            return Ok(Admitted(None));
        };
        let admitted = self.fit(&quota, more).await;
        if admitted.as_ref().is_err_and(|error| error.kind() == Kind::Quota) {
            self.books.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    async fn fit(&self, quota: &Quota, more: Taken) -> Result<Admitted> {
        let namespace = quota.namespace.as_str();
        // Reserved before anything is counted: of two that come at once, one sees the other.
        let (admitted, reserved) = self.reserve(namespace, more);
        let held = self.catalog.namespace_use(namespace).await.map_err(catalog_error)?;
        let count = held.checkpoints + reserved.count;
        if quota.max_count.is_some_and(|max| count > u64::from(max)) {
            let used = format!("{} checkpoints", count - more.count);
            let max = quota.max_count.unwrap_or_default();
            return Err(exceeded(quota, "maxCount", &used, &max.to_string()));
        }
        let logical = held.logical_bytes.saturating_add(reserved.logical_bytes);
        if let Some(max) = quota.max_logical_size.filter(|max| logical > *max) {
            let used = used(logical - more.logical_bytes, more.logical_bytes, "tars");
            return Err(exceeded(quota, "maxLogicalSize", &used, &ByteSize(max).human()));
        }
        if let Some(max) = quota.max_stored_size {
            let stored = self.stored(namespace, max.saturating_sub(reserved.stored_bytes)).await?;
            if stored.saturating_add(reserved.stored_bytes) > max {
                let others = reserved.stored_bytes - more.stored_bytes;
                let used = used(stored + others, more.stored_bytes, "stored data");
                return Err(exceeded(quota, "maxStoredSize", &used, &ByteSize(max).human()));
            }
        }
        Ok(admitted)
    }

    /// Notes room that is about to be taken; also tells all that is.
    fn reserve(&self, namespace: &str, taken: Taken) -> (Admitted, Taken) {
        let mut accounts = self.books.lock();
        let held = &mut accounts.entry(namespace.to_owned()).or_default().reserved;
        held.count += taken.count;
        held.logical_bytes = held.logical_bytes.saturating_add(taken.logical_bytes);
        held.stored_bytes = held.stored_bytes.saturating_add(taken.stored_bytes);
        let (books, namespace) = (Arc::clone(&self.books), namespace.to_owned());
        (Admitted(Some(Reserved { books, namespace, taken })), *held)
    }

    /// Bytes that are stored of a namespace: exactly, if they are more than `max`.
    async fn stored(&self, namespace: &str, max: u64) -> Result<u64> {
        if let Some(known) = self.known(namespace, max) {
            return Ok(known);
        }
        // Only a closed semaphore fails, and this one is never closed.
        let _turn = self.books.looking.acquire().await.ok();
        if let Some(known) = self.known(namespace, max) {
            return Ok(known);
        }
        let changes = self.books.changes.load(Ordering::Relaxed);
        let stored = self.look(namespace).await?;
        if let Some(account) = self.books.lock().get_mut(namespace) {
            account.stored = Some((stored, changes));
        }
        Ok(stored)
    }

    /// What is known, where that will do.
    fn known(&self, namespace: &str, max: u64) -> Option<u64> {
        let (stored, at) = self.books.lock().get(namespace)?.stored?;
        let exact = at == self.books.changes.load(Ordering::Relaxed);
        (exact || stored <= max).then_some(stored)
    }

    async fn look(&self, namespace: &str) -> Result<u64> {
        let rows = self.catalog.retained(Some(namespace)).await.map_err(catalog_error)?;
        let sizes = self.pages.sizes(&Watch::default()).await.map_err(store_error)?;
        blocking(move || {
            let mut counted = sizes.count();
            let roots = rows.iter().filter_map(|row| sizes.recipe(&row.recipe));
            Ok(roots.map(|root| counted.add(root)).sum())
        })
        .await
    }
}

fn used(used: u64, more: u64, of: &str) -> String {
    let (used, more) = (ByteSize(used).human(), ByteSize(more).human());
    format!("{used} of {of}, and this push would add {more}")
}

fn exceeded(quota: &Quota, limit: &str, used: &str, max: &str) -> RegistryError {
    let message = format!(
        "namespace {} has used up its quota: it has {used}, and may have {max}; delete checkpoints \
         of it, by hand or by a retention policy, or raise {limit} of its quota",
        quota.namespace
    );
    RegistryError::new(Kind::Quota, message)
}
