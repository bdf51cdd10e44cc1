//! Whether a layer can be read at all: that what it is made of is where it should be.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use pagevault_objects::ErrorKind;

use crate::Result;
use crate::error::PageStoreError;
use crate::recipe::Recipe;
use crate::store::{PageStore, RecipeId, data_key, recipe_key};

/// Objects that are asked for at once.
const AT_ONCE: usize = 16;

/// Times that something is looked for before it is missing.
const LOOKS: usize = 3;

/// Recipes in which the last scrub found damage of their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Damaged(Arc<Mutex<HashSet<RecipeId>>>);

impl Damaged {
    /// Notes what is known of a recipe now.
    pub(crate) fn note(&self, id: &RecipeId, damaged: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match damaged {
            true => drop(known.insert(id.clone())),
            false => drop(known.remove(id)),
        }
    }

    fn any(&self, mut of: impl Iterator<Item = RecipeId>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !known.is_empty() && of.any(|id| known.contains(&id))
    }
}

impl PageStore {
    /// Notes recipes in which a scrub before this process found damage, unless they were written
    /// again since it began (`scrubbed`, in seconds since the epoch by the store's clock).
    pub async fn remember_damaged(&self, recipes: &[RecipeId], scrubbed: u64) -> Result<()> {
        for id in recipes {
            match self.objects.head(&recipe_key(id)?).await {
                Ok(found) if found.modified > scrubbed => {}
                Ok(_) => self.damaged.note(id, true),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether a layer's recipe, those that it stands on, and all that they store are there, as long
    /// as they should be; and no scrub has found them damaged. The content is not read: a scrub does
    /// that. Takes a few requests for each recipe.
    pub async fn is_whole(&self, id: &RecipeId) -> Result<bool> {
        // What was stored anew while it was read may have seemed to be missing.
        for _ in 0..LOOKS {
            if self.seems_whole(id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn seems_whole(&self, id: &RecipeId) -> Result<bool> {
        let chain = match self.chain(id).await {
            Ok(chain) => chain,
            Err(PageStoreError::NotFound(_) | PageStoreError::Damaged(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        if self.damaged.any(chain.iter().map(|(id, _)| id.clone())) {
            return Ok(false);
        }
        if !fit_together(&chain) {
            return Ok(false);
        }
        let mut ends = BTreeMap::new();
        for (id, recipe) in &chain {
            // Recipes may have been read from memory.
            ends.insert(recipe_key(id)?, 0);
            let Ok(needed) = ends_of(recipe) else { return Ok(false) };
            for (object, end) in needed {
                let known: &mut u64 = ends.entry(data_key(&object)?).or_insert(end);
                *known = end.max(*known);
            }
        }
        let asked = stream::iter(ends).map(|(object, end)| async move {
            match self.objects.head(&object).await {
                Ok(found) => Ok(found.bytes >= end),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                Err(error) => Err(PageStoreError::from(error)),
            }
        });
        asked.buffer_unordered(AT_ONCE).try_all(|there| async move { there }).await
    }
}

/// Whether each recipe finds the parts that its pages are in in the one below.
fn fit_together(chain: &[(RecipeId, Arc<Recipe>)]) -> bool {
    chain.windows(2).all(|pair| {
        let parts = pair[1].1.extents.len();
        pair[0].1.extents.iter().all(|extent| (extent.base_extent as usize) < parts)
    })
}

/// The data objects that a recipe reads, and where the last byte of each that it needs ends.
fn ends_of(recipe: &Recipe) -> Result<BTreeMap<String, u64>> {
    let segments = recipe.extents.iter().flat_map(|extent| &extent.segments);
    let segments = segments.map(|s| (s.object, s.at, s.stored));
    let sources = recipe.extents.iter().flat_map(|extent| &extent.sources);
    let shared = sources.filter(|s| s.pages > 0).map(|s| (s.object, s.at, s.stored));
    let mut ends = BTreeMap::new();
    for (object, at, stored) in segments.chain(shared).filter(|(_, _, stored)| *stored > 0) {
        let name = recipe.objects.get(object as usize).ok_or_else(|| {
            PageStoreError::damaged(format!("recipe of {} names no object {object}", recipe.name))
        })?;
        let end = at.saturating_add(u64::from(stored));
        let known = ends.entry(name.clone()).or_insert(end);
        *known = end.max(*known);
    }
    Ok(ends)
}
