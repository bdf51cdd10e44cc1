//! A layer as a zstd stream, for clients that decode it themselves: stored frames go out as they are.
//!
//! A zstd stream is one frame after another. A segment that is stored as one frame is that frame; so
//! is a block of pages of which all are stored whole. Zeros are a frame of a few bytes. What else
//! there is between them is decoded, and goes out in frames that do not compress.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::BoxStream;

use super::{Inner, LayerReader, SegmentsOf, find};
use crate::block::literal_frame;
use crate::error::PageStoreError;
use crate::recipe::{Encoding, Extent, Recipe, Segment};
use crate::{PAGE, Result, ahead};

/// First bytes of a zstd frame (RFC 8878, section 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The frame is decoded in one piece, and its size follows in four bytes.
const DESCRIPTOR: u8 = 0b1010_0000;
/// Most bytes that a block of a frame decodes to.
const BLOCK_MAX: usize = 128 << 10;
/// Kinds of blocks.
const RAW: u32 = 0;
const REPEATED: u32 = 1;

/// What a segment becomes on the wire.
enum Wire {
    /// A zstd frame, as it is stored, and how many bytes are in it.
    Frame(Bytes, usize),
    /// Bytes that no stored frame holds.
    Raw(Bytes),
    /// So many zero bytes.
    Zeros(usize),
}

/// A piece of a layer as zstd frames.
#[derive(Debug, Clone)]
pub struct Framed {
    /// Bytes of the layer that are in them.
    pub bytes: u64,
    /// The frames, one after another; a frame may be in several parts.
    pub frames: Vec<Bytes>,
}

impl LayerReader {
    /// Whether at least half of the layer is stored as zstd frames that can be sent as they are.
    pub fn is_mostly_frames(&self) -> bool {
        self.recipe().is_some_and(is_mostly_frames)
    }

    /// The layer from a byte on, as a zstd stream. Stored bytes are compared with their checksum before
    /// they are sent.
    pub fn framed(&self, offset: u64) -> BoxStream<'static, Result<Framed>> {
        let inner = Arc::clone(&self.inner);
        let segments = SegmentsOf { inner: Arc::clone(&inner), offset, end: self.bytes() };
        let (budget, window) = (inner.budget.clone(), inner.window);
        let read = move |((extent, segment), part)| {
            let inner = Arc::clone(&inner);
            let workers = inner.store.options.workers;
            workers.spawn(async move { Ok(framed(inner.part(extent, segment, part).await?)) })
        };
        ahead::stream(segments, read, budget, window)
    }
}

impl Inner {
    /// A segment, or part of one: then no stored frame is what is wanted.
    async fn part(
        self: Arc<Self>,
        extent: usize,
        number: usize,
        part: Range<usize>,
    ) -> Result<Wire> {
        let level = self.levels.first().ok_or_else(|| PageStoreError::damaged("no recipe"))?;
        match find(&level.recipe, extent, number)?.bytes as usize == part.len() {
            true => self.wire(extent, number).await,
            false => Ok(Wire::Raw(self.segment(extent, number).await?.slice(part))),
        }
    }

    /// Reads and checks a segment, and decodes it if no stored frame is all of it.
    async fn wire(self: Arc<Self>, extent: usize, number: usize) -> Result<Wire> {
        let level = self.levels.first().ok_or_else(|| PageStoreError::damaged("no recipe"))?;
        let segment = *find(&level.recipe, extent, number)?;
        match Encoding::try_from(segment.encoding) {
            Ok(Encoding::Zero) => return Ok(Wire::Zeros(segment.bytes as usize)),
            Ok(Encoding::Zstd) => {
                let frame = self.stored(level, &segment).await?;
                return Ok(Wire::Frame(frame, segment.bytes as usize));
            }
            Ok(Encoding::Pages) if self.levels.len() == 1 => {
                let stored = self.stored(level, &segment).await?;
                if let Some(literals) = all_literals(&stored, &segment) {
                    return Ok(literals);
                }
            }
            _ => {}
        }
        self.segment(extent, number).await.map(Wire::Raw)
    }
}

/// The frame of a block's literals, if they are all of its pages: then its operations tile the
/// segment with them, in order.
fn all_literals(stored: &Bytes, segment: &Segment) -> Option<Wire> {
    let (frame, pages) = literal_frame(stored)?;
    let all = pages as usize * PAGE == segment.bytes as usize;
    let compressed = frame.len() < segment.bytes as usize;
    let bytes = segment.bytes as usize;
    (all && compressed).then(|| Wire::Frame(stored.slice(frame), bytes))
}

/// Whether at least half of a layer's bytes are in frames that can be sent as they are, as far as
/// its recipe tells.
fn is_mostly_frames(recipe: &Recipe) -> bool {
    let keyframe = recipe.chain.is_empty();
    let in_frames = |extent: &Extent| -> u64 {
        let whole = keyframe && extent.sources.is_empty();
        let framed = |segment: &&Segment| match Encoding::try_from(segment.encoding) {
            Ok(Encoding::Zstd | Encoding::Zero) => true,
            Ok(Encoding::Pages) => whole && segment.stored < segment.bytes,
            _ => false,
        };
        extent.segments.iter().filter(framed).map(|segment| u64::from(segment.bytes)).sum()
    };
    let framed: u64 = recipe.extents.iter().map(in_frames).sum();
    framed > 0 && framed >= recipe.bytes.div_ceil(2)
}

/// The bytes of a segment as frames.
fn framed(segment: Wire) -> Framed {
    let (bytes, frames) = match segment {
        Wire::Frame(frame, bytes) => (bytes, vec![frame]),
        Wire::Raw(bytes) => (bytes.len(), raw_frame(bytes)),
        Wire::Zeros(bytes) => (bytes, vec![zero_frame(bytes)]),
    };
    Framed { bytes: bytes as u64, frames }
}

/// A frame that holds bytes as they are, without a copy of them.
fn raw_frame(bytes: Bytes) -> Vec<Bytes> {
    let mut frame = Vec::with_capacity(2 * bytes.len().div_ceil(BLOCK_MAX));
    let mut header = frame_header(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let block = rest.split_to(rest.len().min(BLOCK_MAX));
        put_block_header(&mut header, RAW, block.len(), rest.is_empty());
        frame.extend([header.split().freeze(), block]);
    }
    frame
}

fn zero_frame(len: usize) -> Bytes {
    let mut frame = frame_header(len);
    let mut left = len;
    while left > 0 {
        let block = left.min(BLOCK_MAX);
        left -= block;
        put_block_header(&mut frame, REPEATED, block, left == 0);
        frame.put_u8(0);
    }
    frame.freeze()
}

fn frame_header(len: usize) -> BytesMut {
    let mut header = BytesMut::with_capacity(64);
    header.put_slice(&MAGIC);
    header.put_u8(DESCRIPTOR);
    header.put_u32_le(len as u32);
    header
}

fn put_block_header(out: &mut BytesMut, kind: u32, len: usize, last: bool) {
    let header = (len as u32) << 3 | kind << 1 | u32::from(last);
    out.put_uint_le(u64::from(header), 3);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_decode_to_what_they_hold() {
        for len in [1, 1000, BLOCK_MAX, BLOCK_MAX + 1, 1 << 20] {
            let bytes: Vec<u8> = (0..len).map(|i| ((i * i) >> 7) as u8).collect();
            let raw = raw_frame(Bytes::from(bytes.clone())).concat();
            assert!(raw.len() <= len + 9 + 3 * len.div_ceil(BLOCK_MAX));
            let stream = [raw, zero_frame(len).to_vec()].concat();
            let decoded = zstd::stream::decode_all(stream.as_slice()).unwrap();
            assert!(decoded == [bytes, vec![0; len]].concat(), "{len}");
        }
        assert!(zero_frame(1 << 20).len() < 50);
    }
}
