//! Recipes: how the bytes of one layer are put together from stored ones. See FORMAT.md.
//!
//! A recipe is an object of its own. While its writer works it is *pending* and names every object
//! that it uses or will write; then it is replaced by the *committed* one, which can be read.

use prost::Message;

use crate::PAGE;
use crate::codec;
use crate::error::PageStoreError;
use crate::store::RecipeId;

/// First bytes of a recipe.
pub(crate) const MAGIC: [u8; 8] = *b"PVRECIPE";
/// Version of the format: a reader of another version refuses it.
const VERSION: u16 = 1;
/// Feature that a reader must know to read the recipe at all: segments of an extent that is no pages
/// file may differ in size.
const VARIED: u16 = 1;
/// All such features.
const INCOMPATIBLE: u16 = VARIED;
/// magic, version, incompatible and compatible features, padding, length and checksum of the body.
const HEADER: usize = 32;
/// Largest recipe that is read: 16 TiB of layer in segments of 1 MiB.
const BODY_MAX: usize = 1 << 30;

/// A recipe, pending or committed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Recipe {
    /// Whether it can be read.
    #[prost(enumeration = "State", tag = "1")]
    pub state: i32,
    /// What it makes: the digest of the layer or blob. Empty while pending.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Bytes of what it makes.
    #[prost(uint64, tag = "3")]
    pub bytes: u64,
    /// Data objects that its segments name by number; the first is its own, if it has one.
    #[prost(string, repeated, tag = "4")]
    pub objects: Vec<String>,
    /// Recipes that a reader must follow, nearest first; empty for a keyframe. Only the first is
    /// binding: it may have been put on another base since.
    #[prost(string, repeated, tag = "5")]
    pub chain: Vec<String>,
    /// Which checkpoint of its lineage since the keyframe it is; 0 for a keyframe.
    #[prost(uint32, tag = "6")]
    pub generation: u32,
    /// Stored bytes of its own object.
    #[prost(uint64, tag = "7")]
    pub stored_bytes: u64,
    /// Stored bytes of the deltas from here down to the keyframe, this one included.
    #[prost(uint64, tag = "8")]
    pub delta_bytes: u64,
    /// Stored bytes of the keyframe at the end of the chain, or of this one.
    #[prost(uint64, tag = "9")]
    pub keyframe_bytes: u64,
    /// The parts of the layer, in order; they tile it.
    #[prost(message, repeated, tag = "10")]
    pub extents: Vec<Extent>,
    /// Domain within which stored pages may be shared.
    #[prost(string, tag = "11")]
    pub domain: String,
    /// Recipes that are to be kept beside the next one: another is about to take this one's place,
    /// and stands on them. The objects that it needs are in `objects` already.
    #[prost(string, repeated, tag = "12")]
    pub also: Vec<String>,
}

/// State of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum State {
    /// Its writer is at work, or has died.
    Pending = 0,
    /// It can be read.
    Committed = 1,
}

/// A contiguous part of a layer: one pages file, or what lies between such files.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Extent {
    /// Where it begins in the layer.
    #[prost(uint64, tag = "1")]
    pub offset: u64,
    /// Its length.
    #[prost(uint64, tag = "2")]
    pub bytes: u64,
    /// Set for a pages file.
    #[prost(message, optional, tag = "3")]
    pub space: Option<Space>,
    /// Its segments, in order; they tile it.
    #[prost(message, repeated, tag = "4")]
    pub segments: Vec<Segment>,
    /// The extent of the next recipe of the chain that page numbers of this one's segments mean.
    #[prost(uint32, tag = "5")]
    pub base_extent: u32,
    /// Literals of other blocks that this extent's blocks name by number.
    #[prost(message, repeated, tag = "6")]
    pub sources: Vec<Frame>,
}

/// Where whole pages are stored together: the literals of a block.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Frame {
    /// Number of its object.
    #[prost(uint32, tag = "1")]
    pub object: u32,
    /// Where it is in the object.
    #[prost(uint64, tag = "2")]
    pub at: u64,
    /// Bytes that it takes there: a zstd frame, or the pages as they are.
    #[prost(uint32, tag = "3")]
    pub stored: u32,
    /// Checksum of those (XXH3, 64 bits).
    #[prost(fixed64, tag = "4")]
    pub checksum: u64,
    /// Pages in it. A source of no pages is one that nothing names any more.
    #[prost(uint32, tag = "5")]
    pub pages: u32,
    /// Pages of it that the extent uses, as a measure of what is lost with it.
    #[prost(uint32, tag = "6")]
    pub used: u32,
}

/// Whose memory a pages file holds, and at which addresses.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Space {
    /// Process id in the container, 0 for shared memory.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    /// Commands from the root of the process tree down to the process: `sh/redis-server`.
    #[prost(string, tag = "2")]
    pub command: String,
    /// Identifier of the shared memory segment, if it is one.
    #[prost(uint64, optional, tag = "3")]
    pub shmem: Option<u64>,
    /// Where its pages were, in the order of the file; they tile it.
    #[prost(message, repeated, tag = "4")]
    pub runs: Vec<AddressRun>,
}

/// Pages that follow each other in memory and in the file.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct AddressRun {
    /// Address of the first page.
    #[prost(uint64, tag = "1")]
    pub address: u64,
    /// Number of pages.
    #[prost(uint64, tag = "2")]
    pub pages: u64,
}

/// A part of an extent that is decoded as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Segment {
    /// Bytes that it decodes to.
    #[prost(uint32, tag = "1")]
    pub bytes: u32,
    /// How it is stored.
    #[prost(enumeration = "Encoding", tag = "2")]
    pub encoding: i32,
    /// Number of its object.
    #[prost(uint32, tag = "3")]
    pub object: u32,
    /// Where it is in the object; for [`Encoding::Same`] the first page of the base's extent.
    #[prost(uint64, tag = "4")]
    pub at: u64,
    /// Bytes that it takes there.
    #[prost(uint32, tag = "5")]
    pub stored: u32,
    /// Checksum of the stored bytes (XXH3, 64 bits).
    #[prost(fixed64, tag = "6")]
    pub stored_checksum: u64,
    /// Checksum of the decoded bytes.
    #[prost(fixed64, tag = "7")]
    pub checksum: u64,
}

/// How a segment is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Encoding {
    /// As it is.
    Raw = 0,
    /// A zstd frame.
    Zstd = 1,
    /// A block of pages (see [`block`](crate::block)).
    Pages = 2,
    /// Pages equal to a contiguous run of the base.
    Same = 3,
    /// Zero bytes.
    Zero = 4,
}

impl Recipe {
    /// Without what is only there for another recipe that was to take its place; nothing if there is
    /// no such thing.
    pub(crate) fn without_leftovers(&self) -> Option<Self> {
        let segments = self.extents.iter().flat_map(|extent| &extent.segments);
        let sources = self.extents.iter().flat_map(|extent| &extent.sources);
        let used = segments.map(|s| s.object).chain(sources.map(|s| s.object)).max();
        let used = used.map_or(0, |object| object as usize + 1);
        let needless = used > 0 && self.objects.len() > used;
        if self.also.is_empty() && !needless {
            return None;
        }
        let mut own = self.clone();
        own.also.clear();
        own.objects.truncate(used.max(1));
        Some(own)
    }

    /// Whether it was not cut into the parts of a checkpoint: nothing stands on such a one.
    pub(crate) fn is_plain(&self) -> bool {
        self.extents.len() <= 1 && self.extents.iter().all(|extent| extent.space.is_none())
    }

    /// Whether what stands on the other recipe, which makes the same, would find its pages in this
    /// one: it names them by the number of their part.
    pub(crate) fn serves_as(&self, other: &Self) -> bool {
        fn part(extent: &Extent) -> (u64, u64, Option<&Space>) {
            (extent.offset, extent.bytes, extent.space.as_ref())
        }
        other.is_plain() || self.extents.iter().map(part).eq(other.extents.iter().map(part))
    }

    /// The stored form.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, PageStoreError> {
        let body = zstd::bulk::compress(&self.encode_to_vec(), 3)?;
        let mut out = Vec::with_capacity(HEADER + body.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.features().to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
        out.extend_from_slice(&codec::checksum(&body).to_le_bytes());
        out.extend_from_slice(&body);
        Ok(out)
    }

    /// Reads the stored form, and checks that what it says of itself fits together.
    pub(crate) fn from_bytes(id: &str, stored: &[u8]) -> Result<Self, PageStoreError> {
        let damaged = |what: &str| PageStoreError::damaged(format!("recipe {id}: {what}"));
        let body = Self::body(id, stored)?;
        let recipe = Self::decode(body.as_slice()).map_err(|e| damaged(&e.to_string()))?;
        recipe.check().map_err(damaged)?;
        if stored[10..12] != recipe.features().to_le_bytes() {
            return Err(damaged("has other features than it says"));
        }
        Ok(recipe)
    }

    /// The incompatible features that it uses.
    fn features(&self) -> u16 {
        if self.extents.iter().any(Extent::is_varied) { VARIED } else { 0 }
    }

    /// The message in the stored form, whose header and checksum are checked.
    pub(crate) fn body(id: &str, stored: &[u8]) -> Result<Vec<u8>, PageStoreError> {
        let damaged = |what: &str| PageStoreError::damaged(format!("recipe {id}: {what}"));
        let (header, body) = stored.split_at_checked(HEADER).ok_or_else(|| damaged("is cut"))?;
        if header[..8] != MAGIC {
            return Err(damaged("has another magic"));
        }
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        if short(8) != VERSION || short(10) & !INCOMPATIBLE != 0 {
            return Err(PageStoreError::TooNew(format!("recipe {id} has version {}", short(8))));
        }
        let long =
            |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
        if long(16) != body.len() as u64 || long(24) != codec::checksum(body) {
            return Err(damaged("does not match its checksum"));
        }
        zstd::bulk::Decompressor::upper_bound(body)
            .filter(|&len| len <= BODY_MAX)
            .and_then(|len| zstd::bulk::decompress(body, len).ok())
            .ok_or_else(|| damaged("does not decompress"))
    }

    /// Whether extents tile the layer, segments tile extents, and numbers are in bounds.
    fn check(&self) -> Result<(), &'static str> {
        if self.state != State::Committed as i32 {
            return Ok(());
        }
        let mut offset = 0u64;
        for extent in &self.extents {
            if extent.offset != offset {
                return Err("extents do not tile the layer");
            }
            extent.check(self.objects.len(), !self.chain.is_empty())?;
            offset = offset.checked_add(extent.bytes).ok_or("sizes overflow")?;
        }
        if offset == self.bytes { Ok(()) } else { Err("extents do not tile the layer") }
    }

    /// The recipe that this one is a delta on.
    pub(crate) fn below(&self) -> Option<RecipeId> {
        self.chain.first().cloned().map(RecipeId)
    }
}

impl Extent {
    /// Bytes of all its segments but the last, unless they vary.
    pub(crate) fn grain(&self) -> u64 {
        self.segments.first().map_or(1, |s| u64::from(s.bytes).max(1))
    }

    /// Whether its segments are of more than one size, the last one aside.
    pub(crate) fn is_varied(&self) -> bool {
        let grain = self.grain();
        let (last, others) = self.segments.split_last().unzip();
        others.is_some_and(|others: &[Segment]| others.iter().any(|s| u64::from(s.bytes) != grain))
            || last.is_some_and(|last| u64::from(last.bytes) > grain)
    }

    fn check(&self, objects: usize, has_base: bool) -> Result<(), &'static str> {
        if !self.sources.iter().all(|source| source.fits(objects)) {
            return Err("a source does not fit");
        }
        if self.space.is_some() && self.is_varied() {
            return Err("segments of a pages file vary");
        }
        let mut left = self.bytes;
        for segment in &self.segments {
            let bytes = u64::from(segment.bytes);
            if segment.bytes == 0 || bytes > left || segment.bytes > crate::SEGMENT_MAX {
                return Err("segments do not tile their extent");
            }
            left -= bytes;
            let encoding = Encoding::try_from(segment.encoding).map_err(|_| "unknown encoding")?;
            let paged = matches!(encoding, Encoding::Pages | Encoding::Same);
            if paged && (self.space.is_none() || !(segment.bytes as usize).is_multiple_of(PAGE)) {
                return Err("pages outside a pages file");
            }
            if encoding == Encoding::Same && !has_base {
                return Err("a base is missing");
            }
            let stored = matches!(encoding, Encoding::Raw | Encoding::Zstd | Encoding::Pages);
            if stored && segment.object as usize >= objects {
                return Err("a segment names no object");
            }
        }
        if left == 0 { Ok(()) } else { Err("segments do not tile their extent") }
    }
}

impl Frame {
    fn fits(&self, objects: usize) -> bool {
        let (bytes, most) = (self.pages as usize * PAGE, crate::SEGMENT_MAX as usize);
        self.pages == 0
            || (self.object as usize) < objects && bytes <= most && self.stored as usize <= bytes
    }

    /// What its used pages take, as if they were stored by themselves.
    pub(crate) fn used_bytes(&self) -> u64 {
        let used = u64::from(self.used.min(self.pages));
        u64::from(self.stored) * used / u64::from(self.pages.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Recipe {
        let segment = |bytes, encoding: Encoding| Segment {
            bytes,
            encoding: encoding as i32,
            stored: 3,
            ..Segment::default()
        };
        Recipe {
            state: State::Committed as i32,
            name: "sha256:00".into(),
            bytes: 2500,
            objects: vec!["o".into()],
            extents: vec![
                Extent {
                    bytes: 1000,
                    segments: vec![segment(1000, Encoding::Zstd)],
                    ..Extent::default()
                },
                Extent {
                    offset: 1000,
                    bytes: 1500,
                    segments: vec![segment(1024, Encoding::Raw), segment(476, Encoding::Zero)],
                    ..Extent::default()
                },
            ],
            ..Recipe::default()
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let recipe = sample();
        assert_eq!(Recipe::from_bytes("x", &recipe.to_bytes().unwrap()).unwrap(), recipe);
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let stored = sample().to_bytes().unwrap();
        for at in 0..stored.len() {
            let mut bad = stored.clone();
            bad[at] ^= 0x10;
            // The padding and the compatible features are the only bytes that mean nothing yet.
            assert_eq!(
                Recipe::from_bytes("x", &bad).is_err(),
                !(12..16).contains(&at),
                "byte {at}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_together_is_damaged() {
        type Change = fn(&mut Recipe);
        let cases: [(&str, Change); 6] = [
            ("gap", |r| r.extents[1].offset += 1),
            ("length", |r| r.bytes += 1),
            ("object", |r| r.extents[0].segments[0].object = 1),
            ("pages", |r| r.extents[1].segments[0].encoding = Encoding::Pages as i32),
            ("encoding", |r| r.extents[1].segments[0].encoding = 99),
            ("nothing", |r| r.extents[1].segments.insert(1, Segment::default())),
        ];
        for (name, change) in cases {
            let mut recipe = sample();
            change(&mut recipe);
            assert!(Recipe::from_bytes("x", &recipe.to_bytes().unwrap()).is_err(), "{name}");
        }
    }

    #[test]
    fn sizes_that_vary_are_a_feature_and_not_for_pages() {
        let plain = sample().to_bytes().unwrap();
        assert_eq!(plain[10..12], [0, 0]);
        let mut recipe = sample();
        recipe.extents[1].segments[0].bytes = 400;
        recipe.extents[1].segments[1].bytes = 1100;
        let varied = recipe.to_bytes().unwrap();
        assert_eq!(varied[10..12], [1, 0]);
        assert_eq!(Recipe::from_bytes("x", &varied).unwrap(), recipe);
        // The bit is no part of the checksum.
        for mut stored in [plain, varied] {
            stored[10] ^= 1;
            assert!(matches!(Recipe::from_bytes("x", &stored), Err(PageStoreError::Damaged(_))));
            stored[10] ^= 3;
            assert!(matches!(Recipe::from_bytes("x", &stored), Err(PageStoreError::TooNew(_))));
        }
        recipe.extents[1].space = Some(Space::default());
        assert!(Recipe::from_bytes("x", &recipe.to_bytes().unwrap()).is_err());
    }
}
