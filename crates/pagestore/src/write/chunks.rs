//! Large members that are no pages: cut where their content says so, and found again in the layer
//! before. A member that grew at the front or in the middle has the same chunks behind that.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fastcdc::v2020::FastCDC;
use futures_util::stream::{self, Stream, TryStreamExt};
use tokio::sync::mpsc;

use super::encode::{Done, encode_bytes};
use super::naming::Ask;
use crate::buffer::Buffer;
use crate::error::PageStoreError;
use crate::recipe::{Encoding, Recipe, Segment};
use crate::source::Source;
use crate::store::{PageStore, data_key};
use crate::work::Workers;
use crate::write::Part;
use crate::{Result, SEGMENT_MAX, codec};

/// Least, usual and most bytes of a chunk. Smaller ones would find more again, compress worse, and
/// take 40 bytes each in every recipe.
const CHUNK_MIN: usize = 32 << 10;
const CHUNK_USUAL: usize = 128 << 10;
const CHUNK_MAX: usize = SEGMENT_MAX as usize;
/// Bytes that are read at once.
const BATCH: u64 = 4 << 20;

/// A chunk of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Where it begins in the layer.
    offset: u64,
    raw: Bytes,
}

/// Cuts a part. Where depends on nothing but its content.
pub(super) fn cut(
    part: Part,
    source: Arc<dyn Source>,
    workers: Workers,
) -> impl Stream<Item = Result<Chunk>> + Send {
    let end = part.offset + part.bytes;
    let batches = stream::try_unfold(part.offset, move |offset| {
        let source = Arc::clone(&source);
        async move {
            if offset >= end {
                return Ok::<_, PageStoreError>(None);
            }
            let to = end.min(offset + BATCH);
            source.ready(offset..to).await.map_err(PageStoreError::Source)?;
            let chunks = workers.offload(move || cut_batch(&*source, offset, to, end)).await?;
            let next = chunks.last().map_or(end, |last| last.offset + last.raw.len() as u64);
            Ok(Some((stream::iter(chunks.into_iter().map(Ok)), next)))
        }
    });
    batches.try_flatten()
}

/// The chunks from `offset` on that do not depend on what is behind `to`.
fn cut_batch(source: &dyn Source, offset: u64, to: u64, end: u64) -> Result<Vec<Chunk>> {
    let mut raw = Buffer::take((to - offset) as usize);
    source.read_at(offset, &mut raw).map_err(PageStoreError::Source)?;
    let raw = raw.freeze();
    let decided = |at: usize| to == end || raw.len() - at >= CHUNK_MAX;
    let cuts = FastCDC::new(&raw, CHUNK_MIN, CHUNK_USUAL, CHUNK_MAX);
    let chunk =
        |at: usize, len: usize| Chunk { offset: offset + at as u64, raw: raw.slice(at..at + len) };
    Ok(cuts
        .take_while(|cut| decided(cut.offset))
        .map(|cut| chunk(cut.offset, cut.length))
        .collect())
}

/// Finds chunks in an earlier layer.
#[derive(Debug)]
pub(super) struct Chunks {
    store: PageStore,
    /// Data objects of the earlier layer.
    objects: Vec<String>,
    /// Its literals that are no pages, by size and checksum.
    known: HashMap<(u32, u64), Segment>,
    /// To the writer, which names objects.
    asks: mpsc::UnboundedSender<Ask>,
}

impl Chunks {
    pub(super) fn of(
        store: &PageStore,
        earlier: Option<&Recipe>,
        asks: mpsc::UnboundedSender<Ask>,
    ) -> Self {
        let literal = |segment: &&Segment| {
            matches!(Encoding::try_from(segment.encoding), Ok(Encoding::Raw | Encoding::Zstd))
        };
        let extents = earlier.map(|recipe| recipe.extents.as_slice()).unwrap_or_default();
        let others = extents.iter().filter(|extent| extent.space.is_none());
        let literals = others.flat_map(|extent| &extent.segments).filter(literal);
        let known = literals.map(|segment| ((segment.bytes, segment.checksum), *segment)).collect();
        let objects = earlier.map(|recipe| recipe.objects.clone()).unwrap_or_default();
        Self { store: store.clone(), objects, known, asks }
    }

    /// Finds a chunk, or else encodes it.
    pub(super) async fn encode(self: Arc<Self>, chunk: Chunk) -> Result<Done> {
        if let Some(found) = self.find(&chunk).await? {
            return Ok(found);
        }
        let level = self.store.options.level;
        self.store.offload(move || encode_bytes(&chunk.raw, level, chunk.offset)).await
    }

    async fn find(&self, chunk: &Chunk) -> Result<Option<Done>> {
        if self.known.is_empty() {
            return Ok(None);
        }
        let name = (chunk.raw.len() as u32, codec::checksum(&chunk.raw));
        let Some(segment) = self.known.get(&name).copied() else { return Ok(None) };
        let Some(object) = self.objects.get(segment.object as usize) else { return Ok(None) };
        // What cannot be read, or is something else, is stored anew.
        if !self.is_equal(object, segment, chunk.raw.clone()).await.unwrap_or(false) {
            return Ok(None);
        }
        let number = Ask::send(&self.asks, object.clone()).await?.number();
        Ok(number.map(|object| Done::elsewhere(Segment { object, ..segment })))
    }

    /// Compares a chunk with a stored one, decoded as a reader will.
    async fn is_equal(&self, object: &str, segment: Segment, raw: Bytes) -> Result<bool> {
        let end = segment.at.saturating_add(u64::from(segment.stored));
        let stored = self.store.objects.get_range(&data_key(object)?, segment.at..end).await?;
        let compare = move || {
            Ok(codec::checksum(&stored) == segment.stored_checksum
                && *codec::decompress(&stored, raw.len())? == *raw)
        };
        self.store.offload(compare).await
    }
}

#[cfg(test)]
mod tests;
