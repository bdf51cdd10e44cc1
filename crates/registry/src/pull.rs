//! Blobs, read.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use pagevault_api::Digest;
use pagevault_catalog::{BlobLocation, BlobRecord, Catalog};
use pagevault_pagestore::{Framed, LayerReader, PageStore, PageStoreError, RecipeId};

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
    Layer(LayerReader, Source),
}

/// Where a blob is found again: what it is read from may be stored anew under way, and a collection
/// then removes what it was.
#[derive(Debug, Clone)]
struct Source {
    catalog: Arc<Catalog>,
    pages: PageStore,
    repository: String,
    digest: Digest,
}

/// As what a layer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Zstd,
}

/// A layer that is being read.
struct Reading {
    source: Source,
    form: Form,
    parts: BoxStream<'static, Result<Framed, PageStoreError>>,
    /// What is to be read yet.
    left: Range<u64>,
    /// Where it was looked for again, the last time.
    found_again_at: Option<u64>,
}

impl Registry {
    /// The blob of a digest, within a repository.
    pub async fn blob(&self, repository: &str, digest: &Digest) -> Result<Blob> {
        names::check(repository)?;
        let source = Source {
            catalog: Arc::clone(&self.catalog),
            pages: self.pages.clone(),
            repository: repository.to_owned(),
            digest: digest.clone(),
        };
        match source.open().await {
            // Stored anew since its record was read, or else damaged.
            Err(error) if error.kind() == Kind::Damaged => source.open().await,
            opened => opened,
        }
    }

    /// Bytes of a blob. Whoever is told them will not send it: so it is seen to that all of it is
    /// there, without reading it, and promised to stay for a while.
    pub async fn blob_bytes(&self, repository: &str, digest: &Digest) -> Result<u64> {
        names::check(repository)?;
        let record = self.publisher().head(repository, digest).await?;
        Ok(record.ok_or_else(|| unknown(repository, digest))?.bytes)
    }
}

impl Source {
    async fn open(&self) -> Result<Blob> {
        let (repository, digest) = (&self.repository, &self.digest);
        let record = self.catalog.find_blob(repository, digest).await.map_err(catalog_error)?;
        let BlobRecord { bytes, location, .. } =
            record.ok_or_else(|| unknown(repository, digest))?;
        let content = match location {
            BlobLocation::Inline(bytes) => Content::Inline(bytes.into()),
            BlobLocation::Recipe(id) => {
                let layer = self.pages.open(&RecipeId(id)).await.map_err(store_error)?;
                Content::Layer(layer, self.clone())
            }
        };
        Ok(Blob { digest: digest.clone(), bytes, content })
    }
}

impl Form {
    /// What is sent of a layer, with the bytes of it that are in each part.
    fn parts(
        self,
        layer: &LayerReader,
        range: Range<u64>,
    ) -> BoxStream<'static, Result<Framed, PageStoreError>> {
        let whole = |part: Bytes| Framed { bytes: part.len() as u64, frames: vec![part] };
        match self {
            Self::Plain => layer.stream(range).map_ok(whole).boxed(),
            Self::Zstd => layer.framed(range.start),
        }
    }
}

impl Reading {
    /// Reads a range of a layer; as zstd, to its end.
    fn start(
        layer: &LayerReader,
        source: &Source,
        left: Range<u64>,
        form: Form,
    ) -> BoxStream<'static, Result<Bytes>> {
        let (parts, source) = (form.parts(layer, left.clone()), source.clone());
        let reading = Self { source, form, parts, left, found_again_at: None };
        let next = |mut reading: Self| async move {
            let parts = match reading.next().await? {
                Ok(parts) => parts.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(store_error(error))],
            };
            Some((stream::iter(parts), reading))
        };
        stream::unfold(reading, next).flatten().boxed()
    }

    /// The next bytes. Where something of the layer is missing, it is looked for again, once, and read
    /// on from there.
    async fn next(&mut self) -> Option<Result<Vec<Bytes>, PageStoreError>> {
        loop {
            match self.parts.next().await? {
                Ok(part) => {
                    self.left.start += part.bytes;
                    return Some(Ok(part.frames));
                }
                Err(error @ PageStoreError::Damaged(_))
                    if self.found_again_at != Some(self.left.start) =>
                {
                    self.found_again_at = Some(self.left.start);
                    let Ok(Blob { content: Content::Layer(layer, _), .. }) =
                        self.source.open().await
                    else {
                        return Some(Err(error));
                    };
                    self.parts = self.form.parts(&layer, self.left.clone());
                }
                Err(error) => return Some(Err(error)),
            }
        }
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
            Content::Layer(layer, source) => layer
                .is_mostly_frames()
                .then(|| Reading::start(layer, source, 0..self.bytes, Form::Zstd)),
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
            Content::Layer(layer, source) => Reading::start(layer, source, range, Form::Plain),
        }
    }
}
