//! Storing anew what is shared from an object that is mostly dead, so that it can go.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use pagevault_objects::ObjectWriter;

use super::hooks::number;
use super::read::{read_frame, source_of};
use super::session::put_hooks;
use super::usage::is_own;
use crate::block::{Block, Encoded};
use crate::collect::{Phase, Watch};
use crate::error::PageStoreError;
use crate::recipe::{Encoding, Frame, Recipe, Segment};
use crate::store::{PageStore, RecipeId, data_key, fresh_name};
use crate::write::DATA_MAGIC;
use crate::{PAGE, Result, codec};

/// What repacking came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repacked {
    /// Objects that nothing shares from any more.
    pub objects: u64,
    /// Recipes that were replaced.
    pub recipes: u64,
    /// Bytes that were written for it.
    pub stored_bytes: u64,
    /// Bytes of those objects, which the next collection frees.
    pub frees_bytes: u64,
}

/// A block that is written anew.
struct Rewritten {
    extent: usize,
    segment: usize,
    stored: Vec<u8>,
}

/// Chunks that are stored anew, by where they were: in which object they are now, and where.
type Moved = HashMap<u64, (String, u64)>;

/// An object being written.
struct Fresh {
    name: String,
    writer: Box<dyn ObjectWriter>,
    bytes: u64,
}

impl Fresh {
    async fn append(&mut self, stored: Bytes) -> Result<u64> {
        let at = self.bytes;
        self.bytes += stored.len() as u64;
        self.writer.write(stored).await?;
        Ok(at)
    }

    fn is_empty(&self) -> bool {
        self.bytes == DATA_MAGIC.len() as u64
    }
}

impl PageStore {
    /// Frees objects of which less than a quarter is used: what recipes share from them is stored
    /// with those recipes, chunks with the first of them. The objects themselves are left to
    /// collection.
    pub async fn repack(&self, watch: &Watch) -> Result<Repacked> {
        let mut sum = Repacked::default();
        let mut dead = self.object_uses().await?;
        // An owner keeps what it needs, and with it the object.
        dead.retain(|object| object.mostly_dead() && object.owners.is_empty());
        watch.begin(Phase::Repack, Some(dead.len() as u64));
        for dead in dead {
            watch.step()?;
            let mut moved = Moved::new();
            for sharer in &dead.sharers {
                match Box::pin(self.move_out(sharer, &dead.object, &mut moved)).await {
                    Ok(bytes) => sum.stored_bytes += bytes,
                    // Others were faster, or it is gone: the object stays for now, if it is needed.
                    Err(
                        PageStoreError::Lost
                        | PageStoreError::BaseGone
                        | PageStoreError::NotFound(_),
                    ) => continue,
                    Err(e) => return Err(e),
                }
                sum.recipes += 1;
            }
            sum.objects += 1;
            sum.frees_bytes += dead.bytes;
        }
        Ok(sum)
    }

    /// Stores with a recipe what it shares from an object. Returns the bytes that it took.
    async fn move_out(&self, id: &RecipeId, object: &str, moved: &mut Moved) -> Result<u64> {
        let (recipe, seen) = self.recipe(id).await?;
        let Some(number) = recipe.objects.iter().position(|name| name == object) else {
            return Ok(0);
        };
        let number = number as u32;
        let mut segments = recipe.extents.iter().flat_map(|extent| &extent.segments);
        if segments.any(|s| s.stored > 0 && s.object == number && is_own(&recipe, s)) {
            return Ok(0);
        }
        let name = fresh_name()?;
        let named = [recipe.objects.clone(), vec![name.clone()]].concat();
        let replacement = self.begin_replacement(id, seen, named, &recipe).await?;
        let done = async {
            let mut writer = self.objects.writer(&data_key(&name)?).await?;
            writer.write(Bytes::from_static(&DATA_MAGIC)).await?;
            let fresh = Fresh { name, writer, bytes: DATA_MAGIC.len() as u64 };
            let mut now = moved.clone();
            let (recipe, bytes) = self.rewrite(id, recipe, number, fresh, &mut now).await?;
            self.replace(&replacement, recipe).await?;
            *moved = now;
            Ok(bytes)
        };
        let done = done.await;
        self.end_replacement(&replacement).await?;
        done
    }

    /// The recipe without that object, checked, and the bytes that were written.
    async fn rewrite(
        &self,
        id: &RecipeId,
        old: Recipe,
        dead: u32,
        mut fresh: Fresh,
        moved: &mut Moved,
    ) -> Result<(Recipe, u64)> {
        let mut new = old.clone();
        let mut places = Vec::new();
        for extent in 0..old.extents.len() {
            for number in 0..old.extents[extent].segments.len() {
                let segment = old.extents[extent].segments[number];
                if segment.stored > 0 && segment.object == dead {
                    let (object, at) = self.move_chunk(&old, segment, &mut fresh, moved).await?;
                    let target = &mut new.extents[extent].segments[number];
                    (target.object, target.at) = (number_of(&mut new.objects, &object), at);
                    continue;
                }
                let Some(block) = self.rewrite_block(&old, extent, number, dead).await? else {
                    continue;
                };
                let target = &mut new.extents[extent].segments[number];
                target.object = number_of(&mut new.objects, &fresh.name);
                target.stored = block.stored.len() as u32;
                target.stored_checksum = codec::checksum(&block.stored);
                places.push((block.extent, block.segment));
                target.at = fresh.append(block.stored.into()).await?;
            }
            let gone = |source: &&mut Frame| source.pages > 0 && source.object == dead;
            // The place stays, as blocks name sources by number.
            new.extents[extent].sources.iter_mut().filter(gone).for_each(|s| *s = Frame::default());
        }
        let bytes = if fresh.is_empty() { 0 } else { fresh.bytes };
        if bytes > 0 {
            fresh.writer.finish().await?;
        }
        new.stored_bytes = new.stored_bytes.saturating_add(bytes);
        remove_object(&mut new, dead);
        self.compare(id, &new, &places).await?;
        self.index_rewritten(&new, &fresh.name, &places).await?;
        Ok((new, bytes))
    }

    /// Where a chunk is now: copied as it is stored, unless it has been.
    async fn move_chunk(
        &self,
        recipe: &Recipe,
        segment: Segment,
        fresh: &mut Fresh,
        moved: &mut Moved,
    ) -> Result<(String, u64)> {
        if let Some(known) = moved.get(&segment.at) {
            return Ok(known.clone());
        }
        let stored = self.stored_bytes_of(recipe, &segment).await?;
        let at = fresh.append(stored).await?;
        moved.insert(segment.at, (fresh.name.clone(), at));
        Ok((fresh.name.clone(), at))
    }

    /// A block with the pages that it shares from the object as literals, if it shares any.
    async fn rewrite_block(
        &self,
        recipe: &Recipe,
        extent: usize,
        segment: usize,
        dead: u32,
    ) -> Result<Option<Rewritten>> {
        let stored = recipe.extents[extent].segments[segment];
        if stored.encoding != Encoding::Pages as i32 {
            return Ok(None);
        }
        let block = self.stored_block(recipe, &stored).await?;
        let sources = &recipe.extents[extent].sources;
        let is_dead = |number: &u32| {
            sources.get(*number as usize).is_some_and(|s| s.pages > 0 && s.object == dead)
        };
        let named: HashSet<u32> = block.sources().filter(is_dead).collect();
        if named.is_empty() {
            return Ok(None);
        }
        let mut literals: HashMap<u32, Block> = HashMap::new();
        for number in named {
            let (object, frame) = source_of(recipe, &recipe.extents[extent], number)?;
            literals.insert(number, read_frame(self, object.to_owned(), frame).await?);
        }
        let level = self.options.level;
        let encode = move || {
            let draft = block.unshare(&literals).ok_or_else(no_literals)?;
            match draft.encode(level)? {
                Encoded::Block { bytes, .. } => Ok(bytes),
                Encoded::Same { .. } => Err(no_literals()),
            }
        };
        let stored = self.offload(encode).await?;
        Ok(Some(Rewritten { extent, segment, stored }))
    }

    async fn stored_block(&self, recipe: &Recipe, segment: &Segment) -> Result<Block> {
        let (stored, pages) = (self.stored_bytes_of(recipe, segment).await?, segment.bytes);
        self.offload(move || Ok(Block::decode(&stored, pages as usize / PAGE)?)).await
    }

    /// The stored bytes of a segment, checked.
    async fn stored_bytes_of(&self, recipe: &Recipe, segment: &Segment) -> Result<Bytes> {
        let object = recipe.objects.get(segment.object as usize).ok_or_else(no_literals)?;
        let key = data_key(object)?;
        let end = segment.at.saturating_add(u64::from(segment.stored));
        let read = self.objects.get_range(&key, segment.at..end).await;
        let stored = read.map_err(|e| PageStoreError::reading(key.as_str(), e))?;
        let segment = *segment;
        let check = move || {
            if codec::checksum(&stored) != segment.stored_checksum {
                let what = format!("object {} at byte {}", key.as_str(), segment.at);
                return Err(PageStoreError::Damaged(what));
            }
            Ok(stored)
        };
        self.offload(check).await
    }

    /// Reads what was rewritten in both ways and compares.
    async fn compare(&self, id: &RecipeId, new: &Recipe, places: &[(usize, usize)]) -> Result<()> {
        let old = self.open(id).await?;
        let mut chain = self.chain(id).await?;
        if let Some(first) = chain.first_mut() {
            first.1 = Arc::new(new.clone());
        }
        let reader = self.reader(chain);
        for &(extent, segment) in places {
            let extent = &new.extents[extent];
            let start = extent.offset + segment as u64 * extent.grain();
            let range = start..start + u64::from(extent.segments[segment].bytes);
            if old.read(range.clone()).await? != reader.read(range).await? {
                return Err(PageStoreError::Verify(start));
            }
        }
        Ok(())
    }

    /// Lets others share what is literal now.
    async fn index_rewritten(
        &self,
        recipe: &Recipe,
        object: &str,
        places: &[(usize, usize)],
    ) -> Result<()> {
        let (Some(number), true) = (number(object), self.options.share) else { return Ok(()) };
        let Ok(domain) = self.domain(&recipe.domain).await else { return Ok(()) };
        let segments: Vec<Segment> = places
            .iter()
            .map(|&(extent, segment)| recipe.extents[extent].segments[segment])
            .collect();
        let hooks = self.rehash(&domain, object, &segments).await?;
        put_hooks(self, object, &hooks).await?;
        domain.add(number, &hooks.hooks);
        Ok(())
    }
}

/// The number of an object in a recipe that is to name it.
fn number_of(objects: &mut Vec<String>, object: &str) -> u32 {
    let place = objects.iter().position(|name| name == object).unwrap_or_else(|| {
        objects.push(object.to_owned());
        objects.len() - 1
    });
    place as u32
}

/// Takes an object out of a recipe that does not use it any more.
fn remove_object(recipe: &mut Recipe, dead: u32) {
    let numbers: BTreeMap<u32, u32> =
        (0..recipe.objects.len() as u32).filter(|n| *n != dead).zip(0..).collect();
    recipe.objects.remove(dead as usize);
    let renumber = |number: &mut u32| *number = numbers.get(number).copied().unwrap_or_default();
    for extent in &mut recipe.extents {
        let stored = extent.segments.iter_mut().filter(|segment| segment.stored > 0);
        stored.for_each(|segment| renumber(&mut segment.object));
        extent.sources.iter_mut().for_each(|source| renumber(&mut source.object));
    }
}

fn no_literals() -> PageStoreError {
    PageStoreError::damaged("a block names shared pages that its source does not have")
}
