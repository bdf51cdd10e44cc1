//! Storing a layer anew so that what lies under it can go.
//!
//! Recipes that no record names live on while others stand on them: they are *buried*. The lowest
//! layer above them is decoded, encoded against what is under them, and put in its own place.

mod plan;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::StreamExt;

use self::source::LayerSource;
use crate::collect::Watch;
use crate::error::PageStoreError;
use crate::read::LayerReader;
use crate::recipe::{Extent, Recipe, Space};
use crate::source::Source;
use crate::store::{Base, PageStore, RecipeId};
use crate::write::{LayerWriter, Part, PartKind};
use crate::{Result, SEGMENT_MAX};

pub(crate) use self::plan::plan;

/// A layer that is worth storing anew, by what was known when it was found. It may be done at any
/// time later, or never: what it says is checked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebase {
    /// The layer's recipe.
    pub recipe: RecipeId,
    /// What it is put on; a keyframe without.
    pub onto: Option<RecipeId>,
    /// Bytes that a collection frees afterwards.
    pub frees_bytes: u64,
    /// Bytes that it is expected to take.
    pub writes_bytes: u64,
    /// Data objects that nobody else names, and which it is therefore not to share from.
    needless: Vec<String>,
    /// Bytes to be freed for each hundred that are written.
    gain: u64,
}

/// What storing a layer anew came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebased {
    /// Bytes that were written.
    pub stored_bytes: u64,
    /// Bytes that the next collection frees.
    pub frees_bytes: u64,
}

impl Rebase {
    /// Whether so many bytes are worth writing.
    fn pays(&self, writes_bytes: u64) -> bool {
        writes_bytes.saturating_mul(self.gain) <= self.frees_bytes.saturating_mul(100)
    }
}

impl PageStore {
    /// Stores a layer anew in its place, once it has been read in both ways and is the same. Nothing
    /// if that would not pay after all, or others were faster.
    pub async fn rebase(&self, rebase: &Rebase, watch: &Arc<Watch>) -> Result<Option<Rebased>> {
        match Box::pin(self.try_rebase(rebase, watch)).await {
            // A source that was told to end says so in its own words.
            Err(PageStoreError::Source(_)) if watch.check().is_err() => {
                Err(PageStoreError::Cancelled)
            }
            Err(PageStoreError::Lost | PageStoreError::BaseGone | PageStoreError::NotFound(_)) => {
                Ok(None)
            }
            done => done,
        }
    }

    async fn try_rebase(&self, rebase: &Rebase, watch: &Arc<Watch>) -> Result<Option<Rebased>> {
        let id = &rebase.recipe;
        let (recipe, seen) = self.recipe(id).await?;
        let reader = self.open(id).await?;
        let base = match &rebase.onto {
            Some(onto) => Some(self.base_of(onto, recipe.generation).await?),
            None => None,
        };
        let earlier = base.as_ref().and_then(|base| base.reader.recipe()).cloned().map(Arc::new);
        let spaces: Vec<Space> = recipe.extents.iter().filter_map(|e| e.space.clone()).collect();
        let mut writer = self.begin(&recipe.domain, earlier, base, spaces).await?;
        writer.refuse(&rebase.needless);
        writer.instead(id, seen, (&recipe, reader.clone()));
        let stored = fill(&mut writer, &recipe, reader, watch).await;
        let stored_bytes = writer.written();
        if stored.is_err() || !writer.fits() || !rebase.pays(stored_bytes) {
            writer.abandon().await?;
            return stored.map(|()| None);
        }
        writer.commit(&recipe.name, recipe.bytes).await?;
        Ok(Some(Rebased { stored_bytes, frees_bytes: rebase.frees_bytes }))
    }

    async fn base_of(&self, onto: &RecipeId, generation: u32) -> Result<Base> {
        let chain = self.chain(onto).await?;
        let names = chain.iter().map(|(id, _)| id.0.clone()).collect();
        Ok(Base { reader: self.reader(chain), names, generation })
    }

    /// Reads a layer as it is stored and as `new` would have it, and compares.
    pub(crate) async fn compare_whole(
        &self,
        old: &LayerReader,
        id: &RecipeId,
        new: &Recipe,
    ) -> Result<()> {
        let mut chain = vec![(id.clone(), Arc::new(new.clone()))];
        if let Some(below) = new.below() {
            chain.extend(self.chain(&below).await?);
        }
        let (mut at, new) = (0, self.reader(chain));
        let mut parts = new.stream(0..u64::MAX);
        while let Some(part) = parts.next().await {
            let part = part?;
            let end = at + part.len() as u64;
            if old.read(at..end).await? != part {
                return Err(PageStoreError::Verify(at));
            }
            at = end;
        }
        if at == old.bytes() { Ok(()) } else { Err(PageStoreError::Verify(at)) }
    }
}

/// Writes a layer from itself.
async fn fill(
    writer: &mut LayerWriter,
    recipe: &Recipe,
    reader: LayerReader,
    watch: &Arc<Watch>,
) -> Result<()> {
    let source: Arc<dyn Source> = Arc::new(LayerSource::new(reader, Arc::clone(watch)));
    let mut spaces = 0..;
    for extent in &recipe.extents {
        let kind = match &extent.space {
            Some(_) => PartKind::Pages(spaces.next().unwrap_or_default()),
            None if is_member(extent) => PartKind::Member,
            None => PartKind::Bytes,
        };
        let part = Part { offset: extent.offset, bytes: extent.bytes, kind };
        writer.write(part, &source).await?;
    }
    Ok(())
}

/// Whether an extent was cut by its content. One that could be either is cut as it was.
fn is_member(extent: &Extent) -> bool {
    extent.grain() != extent.bytes.min(u64::from(SEGMENT_MAX)) || extent.is_varied()
}
