//! Reading the literals that a block shares.

use std::collections::BTreeMap;

use crate::block::Block;
use crate::cache::BlockCache;
use crate::error::PageStoreError;
use crate::recipe::{Extent, Frame, Recipe};
use crate::store::{PageStore, data_key};
use crate::{PAGE, Result, codec};

/// Beside the numbers of segments, blocks in the cache of a reader go by those of sources.
const SOURCES_FROM: usize = 1 << 40;

/// Pages that are wanted of a source, and where they go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedWant {
    pub(crate) source: u32,
    /// First literal.
    pub(crate) literal: u32,
    pub(crate) pages: u32,
    /// Page of the output that the first one goes to.
    pub(crate) slot: usize,
}

/// Fills in shared pages of an extent. `place` is the extent's level and number, for the cache.
pub(crate) async fn fill(
    store: &PageStore,
    recipe: &Recipe,
    (level, number): (usize, usize),
    cache: &BlockCache,
    wants: Vec<SharedWant>,
    out: &mut [u8],
) -> Result<()> {
    let mut groups: BTreeMap<u32, Vec<SharedWant>> = BTreeMap::new();
    for want in wants {
        groups.entry(want.source).or_default().push(want);
    }
    for (source, wants) in groups {
        let extent = recipe.extents.get(number).ok_or_else(not_there)?;
        let (object, frame) = source_of(recipe, extent, source)?;
        let name = (level, number, SOURCES_FROM + source as usize);
        let block = cache.get(name, read_frame(store, object.to_owned(), frame)).await?;
        for want in wants {
            let bytes = block.find_literals(want.literal, want.pages).ok_or_else(not_there)?;
            let at = want.slot * PAGE;
            let target = out.get_mut(at..at + bytes.len()).ok_or_else(not_there)?;
            target.copy_from_slice(bytes);
        }
    }
    Ok(())
}

pub(super) fn source_of<'a>(
    recipe: &'a Recipe,
    extent: &Extent,
    source: u32,
) -> Result<(&'a str, Frame)> {
    let frame = *extent.sources.get(source as usize).ok_or_else(not_there)?;
    let object = recipe.objects.get(frame.object as usize).ok_or_else(not_there)?;
    Ok((object, frame))
}

/// The literals of a frame, checked.
pub(super) async fn read_frame(store: &PageStore, object: String, frame: Frame) -> Result<Block> {
    let key = data_key(&object)?;
    let end = frame.at.saturating_add(u64::from(frame.stored));
    let read = store.objects.get_range(&key, frame.at..end).await;
    let stored = read.map_err(|e| PageStoreError::reading(key.as_str(), e))?;
    let decode = move || {
        if frame.pages as usize > crate::block::SEGMENT_PAGES
            || codec::checksum(&stored) != frame.checksum
        {
            let what = format!("object {} at byte {}", key.as_str(), frame.at);
            return Err(PageStoreError::Damaged(what));
        }
        let literals = codec::decompress(&stored, frame.pages as usize * PAGE)?;
        Ok(Block::of_literals(literals))
    };
    store.offload(decode).await
}

fn not_there() -> PageStoreError {
    PageStoreError::damaged("a block names shared pages that its source does not have")
}
