//! All records in the order of their keys: what collection goes through.

use pagevault_api::Digest;
use pagevault_objects::{Key, Stamp};

use crate::error::CatalogError;
use crate::keys::{self, Name};
use crate::{Catalog, Result};

/// A record that was listed.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The repository.
    pub repository: String,
    /// What it is a record of.
    pub kind: ListedKind,
    /// When it was last written, by the store's clock.
    pub modified: u64,
    /// Which writing of it was listed.
    pub stamp: Stamp,
    /// Its key; lists go on after it.
    pub key: Key,
}

/// What a record is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListedKind {
    /// A manifest.
    Manifest(Digest),
    /// A blob.
    Blob(Digest),
    /// What is known of a checkpoint, by the digest of its manifest.
    Detail(Digest),
    /// A tag.
    Tag(String),
}

impl Catalog {
    /// Records after a key, at most `limit`, and whether there are more. The records of a repository
    /// follow each other: its blobs, its details, its manifests, its tags. A key that is not understood is an
    /// error: what it names is not known.
    pub async fn records(&self, after: Option<&Key>, limit: usize) -> Result<(Vec<Listed>, bool)> {
        self.records_below(keys::ROOT, after, limit).await
    }

    /// The manifests of one repository.
    pub async fn manifests_of(&self, repository: &str) -> Result<Vec<Listed>> {
        let prefix = format!("{}{repository}/_manifests/", keys::ROOT);
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (found, more) = self.records_below(&prefix, after.as_ref(), 1000).await?;
            after = found.last().map(|listed| listed.key.clone());
            all.extend(found);
            if !more {
                return Ok(all);
            }
        }
    }

    /// The store's time, in seconds since the epoch.
    pub async fn now(&self) -> Result<u64> {
        Ok(self.store.now().await?)
    }

    async fn records_below(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<(Vec<Listed>, bool)> {
        let page = self.store.list(prefix, after, limit).await?;
        let listed = page.objects.into_iter().map(|meta| {
            let name = Name::parse(meta.key.as_str()).ok_or_else(|| CatalogError::Corrupt {
                key: meta.key.to_string(),
                what: "it is no record that this program knows".to_owned(),
            })?;
            let (repository, kind) = match name {
                Name::Manifest { repository, digest } => (repository, ListedKind::Manifest(digest)),
                Name::Blob { repository, digest } => (repository, ListedKind::Blob(digest)),
                Name::Detail { repository, digest } => (repository, ListedKind::Detail(digest)),
                Name::Tag { repository, tag } => (repository, ListedKind::Tag(tag)),
            };
            let (modified, stamp, key) = (meta.modified, meta.stamp, meta.key);
            Ok(Listed { repository, kind, modified, stamp, key })
        });
        Ok((listed.collect::<Result<_>>()?, page.more))
    }
}
