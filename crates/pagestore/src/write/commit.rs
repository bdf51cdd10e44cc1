//! Committing a layer, and storing a file as it is.

use std::path::Path;

use pagevault_objects::{ErrorKind, Precondition};

use crate::collect::{Kind, Standing};
use crate::error::PageStoreError;
use crate::recipe::{Encoding, Extent, Recipe, Segment, State};
use crate::store::{PageStore, RecipeId, data_key, fresh_name, recipe_key};
use crate::write::{Committed, LayerWriter, WriteStats};
use crate::{Result, SEGMENT_MAX};

impl LayerWriter {
    /// Makes the layer readable under its name (its digest). Everything before it is durable when
    /// this returns.
    pub async fn commit(mut self, name: &str, bytes: u64) -> Result<Committed> {
        if self.object.is_none() && self.recipe.objects.len() > 1 {
            // All is shared. The first object is the recipe's own, so that there must be one.
            self.open_object().await?;
        }
        let cost = self.cost();
        if let Some(object) = self.object.take() {
            object.finish().await?;
        } else {
            self.recipe.objects.clear();
        }
        let own = self.recipe.objects.first().cloned().unwrap_or_default();
        if let Some(share) = &mut self.share {
            self.stats.other_bytes += share.store(&self.store, &own).await?;
        }
        self.recipe.extents.retain(|extent| extent.bytes > 0);
        self.recipe.extents.sort_by_key(|extent| extent.offset);
        if !self.used_base {
            self.recipe.chain.clear();
            (self.recipe.generation, self.recipe.delta_bytes) = (0, 0);
        }
        if let Some((_, generation)) = self.over.as_ref().and_then(|over| over.same.as_ref()) {
            self.recipe.generation = *generation;
        }
        let recipe = &mut self.recipe;
        name.clone_into(&mut recipe.name);
        recipe.bytes = bytes;
        recipe.stored_bytes = self.written;
        match self.used_base {
            true => recipe.delta_bytes += cost,
            false => recipe.keyframe_bytes = cost,
        }
        recipe.state = State::Committed as i32;
        let delta = self.used_base;
        self.base = None;
        let (id, recipe_bytes) = match self.over {
            Some(over) if over.name != name => {
                let what = format!("recipe {} makes {}, not {name}", over.id.0, over.name);
                return Err(PageStoreError::Unsuited(what));
            }
            Some(over) => {
                if let Some((old, _)) = over.same {
                    self.store.compare_whole(&old, &over.id, &self.recipe).await?;
                }
                let put = self.store.swap_recipe(&over.id, over.seen, self.recipe).await?;
                self.store.damaged.note(&over.id, false);
                // What it names is named by the other one now.
                self.store.objects.delete(&recipe_key(&self.id)?).await?;
                (over.id, put)
            }
            None => {
                self.store.check_kept(&self.recipe).await?;
                let when = Precondition::Matches(self.version);
                let put = self.store.put_recipe(&self.id, self.recipe, when).await;
                (self.id, put.map_err(lost)?.1)
            }
        };
        if let Some(share) = self.share {
            share.publish(&own);
        }
        let stats = WriteStats { recipe_bytes, ..self.stats };
        Ok(Committed { id, stats, delta, hold: self.hold })
    }

    /// Gives up: what was written is removed, as far as it can be now.
    pub async fn abandon(mut self) -> Result<()> {
        self.object = None;
        self.store.objects.delete(&recipe_key(&self.id)?).await?;
        Ok(())
    }
}

/// A pending recipe that is no longer what its writer wrote was taken by a collector.
pub(crate) fn lost(error: PageStoreError) -> PageStoreError {
    match error {
        PageStoreError::Store(e)
            if matches!(e.kind(), ErrorKind::Precondition | ErrorKind::NotFound) =>
        {
            PageStoreError::Lost
        }
        other => other,
    }
}

impl PageStore {
    /// Checks that what the recipe needs is neither condemned nor gone. The pending recipe has named
    /// it all since before this. Of its chain only the first is asked about: each keeps the next.
    pub(crate) async fn check_kept(&self, recipe: &Recipe) -> Result<()> {
        let below = recipe.chain.iter().take(1).map(|name| (Kind::Recipe, name.clone()));
        let objects = recipe.objects.iter().map(|name| (Kind::Data, name.clone()));
        match self.standing_of(&below.chain(objects).collect::<Vec<_>>()).await? {
            Standing::Kept => Ok(()),
            Standing::Condemned | Standing::Gone => Err(PageStoreError::BaseGone),
        }
    }

    /// Stores a finished local file as it is; the file is gone afterwards. `checksums` are those of
    /// its segments of 1 MiB, as [`PageStore::checksum`] makes them.
    pub async fn adopt(
        &self,
        domain: &str,
        name: &str,
        file: &Path,
        bytes: u64,
        checksums: Vec<u64>,
    ) -> Result<Committed> {
        let object = fresh_name()?;
        let mut recipe = Recipe {
            state: State::Pending as i32,
            objects: vec![object.clone()],
            domain: domain.to_owned(),
            ..Recipe::default()
        };
        let id = RecipeId(fresh_name()?);
        let hold = self.holds.hold(&id);
        let (version, _) = self.put_recipe(&id, recipe.clone(), Precondition::Absent).await?;
        if bytes > 0 {
            self.objects.put_file(&data_key(&object)?, file).await?;
            recipe.extents = vec![raw_extent(bytes, &checksums)];
        } else {
            recipe.objects.clear();
        }
        recipe.state = State::Committed as i32;
        name.clone_into(&mut recipe.name);
        (recipe.bytes, recipe.stored_bytes, recipe.keyframe_bytes) = (bytes, bytes, bytes);
        self.check_kept(&recipe).await?;
        let put = self.put_recipe(&id, recipe, Precondition::Matches(version)).await;
        let (_, recipe_bytes) = put.map_err(lost)?;
        let stats = WriteStats { other_bytes: bytes, recipe_bytes, ..WriteStats::default() };
        Ok(Committed { id, stats, delta: false, hold })
    }

    /// The checksum of a segment, for [`PageStore::adopt`].
    pub fn checksum(segment: &[u8]) -> u64 {
        crate::codec::checksum(segment)
    }
}

fn raw_extent(bytes: u64, checksums: &[u64]) -> Extent {
    let grain = u64::from(SEGMENT_MAX);
    let segments = checksums.iter().enumerate().map(|(number, &checksum)| {
        let at = number as u64 * grain;
        let len = grain.min(bytes.saturating_sub(at)) as u32;
        Segment {
            bytes: len,
            encoding: Encoding::Raw as i32,
            object: 0,
            at,
            stored: len,
            stored_checksum: checksum,
            checksum,
        }
    });
    Extent { bytes, segments: segments.collect(), ..Extent::default() }
}
