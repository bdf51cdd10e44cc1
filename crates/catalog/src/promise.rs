//! Promises: a client was told that a blob is here, and may name it within a quarter of an hour.
//!
//! ```text
//! promises/<repository>/_blobs/<xx>/<algorithm>-<hex>.<time>-<random>
//! ```
//!
//! A promise is an object without content; its age is told by the store's clock. Its name is never
//! used twice, so that one that has expired can be removed while another is made. It saves clients
//! work; that nothing is lost does not rest on it.

use std::collections::HashSet;

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_objects::{Key, Meta, Precondition};

use crate::error::CatalogError;
use crate::{Catalog, Result, keys};

/// How long a promise holds, in seconds.
const HOLDS: u64 = 15 * 60;

/// A promise that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// The repository.
    pub repository: String,
    /// The blob.
    pub digest: Digest,
    /// Seconds for which it still holds; 0 once it has expired.
    pub seconds_left: u64,
    key: Key,
}

impl Catalog {
    /// Promises that a blob stays for a while. A promise of which less than half is spent is not made
    /// again.
    pub async fn promise_blob(&self, repository: &str, digest: &Digest) -> Result<()> {
        let prefix = keys::promises_of(repository, digest);
        let now = self.store.now().await?;
        let made = self.store.list(&prefix, None, 100).await?.objects;
        if made.iter().any(|promise| left(promise, now) > HOLDS / 2) {
            return Ok(());
        }
        let mut random = [0u8; 8];
        getrandom::fill(&mut random).map_err(|e| CatalogError::Internal(e.to_string()))?;
        // The time comes first, so that they are met in the order in which they were made.
        let key = Key::new(format!("{prefix}{now:012}-{}", hex::encode(random)))?;
        self.store.put(&key, Bytes::new(), Precondition::Absent).await?;
        Ok(())
    }

    /// Ends the promises about a blob.
    pub async fn end_promises(&self, repository: &str, digest: &Digest) -> Result<()> {
        for promise in self.promises_below(&keys::promises_of(repository, digest)).await? {
            self.end_promise(&promise).await?;
        }
        Ok(())
    }

    /// Ends one promise.
    pub async fn end_promise(&self, promise: &Promise) -> Result<()> {
        Ok(self.store.delete(&promise.key).await?)
    }

    /// The blobs of a repository that are promised now.
    pub async fn promised(&self, repository: &str) -> Result<HashSet<Digest>> {
        let all = self.promises_below(&keys::promises(repository)).await?;
        Ok(all.into_iter().filter(|p| p.seconds_left > 0).map(|p| p.digest).collect())
    }

    /// All promises, also those that have expired.
    pub async fn promises(&self) -> Result<Vec<Promise>> {
        self.promises_below(keys::PROMISES).await
    }

    async fn promises_below(&self, prefix: &str) -> Result<Vec<Promise>> {
        let now = self.store.now().await?;
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list(prefix, after.as_ref(), 1000).await?;
            after = page.objects.last().map(|meta| meta.key.clone());
            for meta in page.objects {
                let (repository, digest) =
                    keys::parse_promise(meta.key.as_str()).ok_or_else(|| strange(&meta.key))?;
                let seconds_left = left(&meta, now);
                all.push(Promise { repository, digest, seconds_left, key: meta.key });
            }
            if !page.more {
                return Ok(all);
            }
        }
    }
}

fn left(promise: &Meta, now: u64) -> u64 {
    promise.modified.saturating_add(HOLDS).saturating_sub(now).min(HOLDS)
}

fn strange(key: &Key) -> CatalogError {
    CatalogError::Corrupt {
        key: key.to_string(),
        what: "its name is none that this program gives".to_owned(),
    }
}
