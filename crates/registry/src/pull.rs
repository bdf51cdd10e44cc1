//! Blobs, read.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use pagevault_api::Digest;
use pagevault_catalog::{BlobLocation, BlobRecord};
use pagevault_pagestore::{LayerReader, RecipeId};

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::{Registry, Result, catalog_error, names, store_error};

/// A blob that can be read.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Inline(Bytes),
    Layer(LayerReader),
}

impl Registry {
    /// The blob of a digest, within a repository.
    pub async fn blob(&self, repository: &str, digest: &Digest) -> Result<Blob> {
        let record = self.blob_record(repository, digest).await?;
        let content = match record.location {
            BlobLocation::Inline(bytes) => Content::Inline(bytes.into()),
            BlobLocation::Recipe(id) => {
                Content::Layer(self.pages.open(&RecipeId(id)).await.map_err(store_error)?)
            }
        };
        Ok(Blob { digest: digest.clone(), bytes: record.bytes, content })
    }

    /// Bytes of a blob, without a look at what it is made of: that grows with the blob. Whoever is
    /// told them will not send it, so it is promised to stay for a while.
    pub async fn blob_bytes(&self, repository: &str, digest: &Digest) -> Result<u64> {
        names::check(repository)?;
        let record = self.publisher().head(repository, digest).await?;
        Ok(record.ok_or_else(|| unknown(repository, digest))?.bytes)
    }

    async fn blob_record(&self, repository: &str, digest: &Digest) -> Result<BlobRecord> {
        names::check(repository)?;
        let record = self.catalog.find_blob(repository, digest).await.map_err(catalog_error)?;
        record.ok_or_else(|| unknown(repository, digest))
    }
}

fn unknown(repository: &str, digest: &Digest) -> RegistryError {
    RegistryError::new(Kind::BlobUnknown, format!("no blob {digest} in {repository}"))
}

impl Blob {
    /// Its first bytes, as many as there are.
    pub(crate) async fn read(&self, bytes: u64) -> Result<Vec<u8>> {
        let parts: Vec<Bytes> = self.stream(0..bytes.min(self.bytes)).try_collect().await?;
        Ok(parts.concat())
    }

    /// The whole blob as a zstd stream, if most of it is stored as frames that can be sent as they are.
    pub fn zstd(&self) -> Option<BoxStream<'static, Result<Bytes>>> {
        match &self.content {
            Content::Inline(_) => None,
            Content::Layer(layer) => {
                Some(layer.zstd()?.map(|part| part.map_err(store_error)).boxed())
            }
        }
    }

    /// The bytes of a range, decoded as they are read, in bounded memory.
    pub fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        match &self.content {
            Content::Inline(bytes) => {
                let place = |at: u64| usize::try_from(at.min(self.bytes)).unwrap_or(bytes.len());
                let (start, end) = (place(range.start), place(range.end));
                let part = bytes.get(start..end).map(Bytes::copy_from_slice).unwrap_or_default();
                stream::iter((!part.is_empty()).then_some(Ok(part))).boxed()
            }
            Content::Layer(layer) => {
                layer.stream(range).map(|part| part.map_err(store_error)).boxed()
            }
        }
    }
}
