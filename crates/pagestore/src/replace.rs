//! Putting a recipe in the place of another that makes the same bytes.
//!
//! Readers that have opened the old one go on: nothing that it names goes before a collector has
//! seen it unnamed.

use pagevault_objects::{Precondition, Version};

use crate::Result;
use crate::error::PageStoreError;
use crate::recipe::{Recipe, State};
use crate::store::{PageStore, RecipeId, fresh_name, recipe_key};
use crate::write::lost;

/// A replacement being made. Its pending recipe names all that it uses or writes.
#[derive(Debug)]
pub(crate) struct Replacement {
    id: RecipeId,
    seen: Version,
    pending: RecipeId,
}

impl PageStore {
    /// Begins to replace a committed recipe, as it was seen in that version.
    pub(crate) async fn begin_replacement(
        &self,
        id: &RecipeId,
        seen: Version,
        objects: Vec<String>,
        recipe: &Recipe,
    ) -> Result<Replacement> {
        let pending = RecipeId(fresh_name()?);
        let named = Recipe {
            state: State::Pending as i32,
            objects,
            chain: recipe.chain.clone(),
            domain: recipe.domain.clone(),
            ..Recipe::default()
        };
        self.put_recipe(&pending, named, Precondition::Absent).await?;
        Ok(Replacement { id: id.clone(), seen, pending })
    }

    /// Swaps the recipes, if all that the new one names is kept and the old one is as it was seen.
    pub(crate) async fn replace(&self, replacement: &Replacement, recipe: Recipe) -> Result<()> {
        self.check_kept(&recipe).await?;
        // A pending recipe that a collector gave up on protects nothing any more.
        let pending = self.objects.head(&recipe_key(&replacement.pending)?).await;
        pending.map_err(|_| PageStoreError::Lost)?;
        let when = Precondition::Matches(replacement.seen.clone());
        self.put_recipe(&replacement.id, recipe, when).await.map_err(lost)?;
        Ok(())
    }

    /// Ends a replacement, whatever came of it.
    pub(crate) async fn end_replacement(&self, replacement: &Replacement) -> Result<()> {
        Ok(self.objects.delete(&recipe_key(&replacement.pending)?).await?)
    }
}
