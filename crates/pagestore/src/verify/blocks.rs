//! The stored blocks of a recipe, in stretches that are read at once.

use std::ops::Range;

use pagevault_objects::Key;

use crate::recipe::Recipe;
use crate::store::data_key;
use crate::write::DATA_MAGIC;
use crate::{Result, codec};

/// Bytes that are read at once; a larger block is read alone.
const STRETCH_MAX: u64 = 4 << 20;

/// Blocks of one object that follow each other closely.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) key: Key,
    pub(super) range: Range<u64>,
    pub(super) blocks: Vec<Block>,
}

/// A stored block and what it must hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block {
    object: u32,
    at: u64,
    stored: u32,
    checksum: u64,
}

impl Stretch {
    /// Where the first block begins that is not what was stored.
    pub(super) fn first_bad(&self, bytes: &[u8]) -> Option<u64> {
        if self.is_first() && !bytes.starts_with(&DATA_MAGIC) {
            return Some(0);
        }
        let bad = |block: &&Block| {
            let from = (block.at - self.range.start) as usize;
            let stored = bytes.get(from..from + block.stored as usize);
            stored.is_none_or(|stored| codec::checksum(stored) != block.checksum)
        };
        self.blocks.iter().find(bad).map(|block| block.at)
    }

    /// Whether the object's magic lies before it. (An object that was a file has none.)
    fn is_first(&self) -> bool {
        self.blocks.first().is_some_and(Block::follows_magic)
    }
}

impl Block {
    fn follows_magic(&self) -> bool {
        self.at == DATA_MAGIC.len() as u64
    }
}

/// All stored blocks that a recipe names: those of its own segments, and what it shares of others.
pub(super) fn stretches(recipe: &Recipe) -> Result<Vec<Stretch>> {
    let segments = recipe.extents.iter().flat_map(|extent| &extent.segments);
    let sources = recipe.extents.iter().flat_map(|extent| &extent.sources);
    let shared = sources.filter(|source| source.pages > 0).map(|s| Block {
        object: s.object,
        at: s.at,
        stored: s.stored,
        checksum: s.checksum,
    });
    let mut blocks: Vec<Block> = segments
        .filter(|segment| segment.stored > 0)
        .map(|s| Block {
            object: s.object,
            at: s.at,
            stored: s.stored,
            checksum: s.stored_checksum,
        })
        .chain(shared)
        .collect();
    blocks.sort_unstable();
    blocks.dedup();
    let mut out: Vec<(u32, Stretch)> = Vec::new();
    for block in blocks {
        let end = block.at.saturating_add(u64::from(block.stored));
        match out.last_mut() {
            Some((object, last))
                if *object == block.object
                    && block.at >= last.range.start
                    && end - last.range.start <= STRETCH_MAX =>
            {
                last.range.end = last.range.end.max(end);
                last.blocks.push(block);
            }
            _ => {
                let name = recipe.objects.get(block.object as usize).map_or("", String::as_str);
                let start = if block.follows_magic() { 0 } else { block.at };
                let (key, range) = (data_key(name)?, start..end);
                out.push((block.object, Stretch { key, range, blocks: vec![block] }));
            }
        }
    }
    Ok(out.into_iter().map(|(_, stretch)| stretch).collect())
}
