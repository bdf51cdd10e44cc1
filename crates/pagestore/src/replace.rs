//! Putting a recipe in the place of another that makes the same bytes.
//!
//! Readers that have opened the old one go on: nothing that it names goes before a collector has
//! seen it unnamed.
//!
//! What the new recipe needs is named by the old one first, under the same name in the store. Were
//! it named by another recipe only, which goes once the new one is in place, then a collector that
//! lists recipes might read the old one before the swap, and find the other one gone after it.

use std::collections::HashSet;

use pagevault_objects::{Precondition, Version};

use crate::Result;
use crate::collect::{Hold, Standing};
use crate::error::PageStoreError;
use crate::listing::Names;
use crate::recipe::{Recipe, State};
use crate::store::{PageStore, RecipeId, fresh_name, recipe_key};
use crate::write::lost;

/// A replacement being made. Its pending recipe names all that it uses or writes.
#[derive(Debug)]
pub(crate) struct Replacement {
    id: RecipeId,
    seen: Version,
    pending: RecipeId,
    _hold: Hold,
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
        let hold = self.holds.hold(&pending);
        let named = Recipe {
            state: State::Pending as i32,
            objects,
            chain: recipe.chain.clone(),
            domain: recipe.domain.clone(),
            ..Recipe::default()
        };
        self.put_recipe(&pending, named, Precondition::Absent).await?;
        Ok(Replacement { id: id.clone(), seen, pending, _hold: hold })
    }

    /// Swaps the recipes, if all that the new one names is kept and the old one is as it was seen.
    pub(crate) async fn replace(&self, replacement: &Replacement, recipe: Recipe) -> Result<()> {
        self.swap_recipe(&replacement.id, replacement.seen.clone(), recipe).await?;
        Ok(())
    }

    /// Ends a replacement, whatever came of it.
    pub(crate) async fn end_replacement(&self, replacement: &Replacement) -> Result<()> {
        Ok(self.objects.delete(&recipe_key(&replacement.pending)?).await?)
    }

    /// Puts a recipe in the place of one that is as it was seen; returns its size. First the old one
    /// names what the new one needs, then that is checked, then they are swapped.
    pub(crate) async fn swap_recipe(
        &self,
        id: &RecipeId,
        seen: Version,
        new: Recipe,
    ) -> Result<u64> {
        let (old, found) = self.recipe(id).await?;
        if found != seen {
            return Err(PageStoreError::Lost);
        }
        let mut both = old.clone();
        both.also.extend(new.chain.first().cloned());
        both.objects.extend(new.objects.iter().filter(|o| !old.objects.contains(o)).cloned());
        let put = self.put_recipe(id, both, Precondition::Matches(seen)).await;
        let named = Precondition::Matches(put.map_err(lost)?.0);
        if let Err(error) = self.check_base(id, &new).await {
            self.put_recipe(id, old, named).await.map_err(lost)?;
            return Err(error);
        }
        match self.put_recipe(id, new, named.clone()).await {
            Ok((_, bytes)) => Ok(bytes),
            Err(error) => {
                // What it names in vain would stay for as long as it does itself. If the write has
                // happened after all, this one does nothing.
                let _ = self.put_recipe(id, old, named).await;
                Err(lost(error))
            }
        }
    }

    /// Lets a recipe that cannot be read whole make its bytes again, as `by` makes them: whoever names
    /// it, or stands on it, reads them from then on. `by` is to be held until this returns. Fails with
    /// [`PageStoreError::Unsuited`] if the two do not make the same, `by` stands on the other, or what
    /// stands on the other would not find its pages in `by`.
    pub async fn reinstate(&self, id: &RecipeId, by: &RecipeId) -> Result<()> {
        let (new, _) = self.recipe(by).await?;
        let gone = match self.recipe(id).await {
            Ok((old, _)) if old.name == new.name && !new.serves_as(&old) => {
                return Err(unsuited(id));
            }
            Ok((old, seen)) if old.name == new.name => {
                self.swap_recipe(id, seen, new).await?;
                self.damaged.note(id, false);
                return Ok(());
            }
            Ok((old, _)) => {
                let what = format!("recipe {} makes {}, not {}", id.0, old.name, new.name);
                return Err(PageStoreError::Unsuited(what));
            }
            Err(PageStoreError::NotFound(_)) => Precondition::Absent,
            Err(PageStoreError::Damaged(_)) => {
                Precondition::Matches(self.objects.get(&recipe_key(id)?).await?.version)
            }
            Err(error) => return Err(error),
        };
        // How it was cut is not known: that of a checkpoint is always cut the same.
        if new.is_plain() && self.is_base(id).await? {
            return Err(unsuited(id));
        }
        self.check_base(id, &new).await?;
        // A collector may list the one before it is there, and find `by` gone when it comes to that:
        // so `by` is left to collectors. They read all recipes again before data goes.
        let (written, _) = self.put_recipe(id, new.clone(), gone).await.map_err(lost)?;
        // Named since then: what was condemned or taken before that is not to be relied on.
        if let Err(error) = self.check_base(id, &new).await {
            self.objects.delete_if(&recipe_key(id)?, &written).await?;
            return Err(error);
        }
        self.damaged.note(id, false);
        match self.standing(id).await? {
            Standing::Kept => Ok(()),
            Standing::Condemned | Standing::Gone => Err(PageStoreError::Lost),
        }
    }

    /// Whether any recipe stands on this one. Reads all of them.
    async fn is_base(&self, id: &RecipeId) -> Result<bool> {
        let mut listing = Names::new("recipes/");
        while let Some(names) = listing.next(self).await? {
            for name in names {
                match self.recipe(&RecipeId(name)).await {
                    Ok((recipe, _)) if recipe.below().as_ref() == Some(id) => return Ok(true),
                    // What cannot be read cannot be told apart, and stands on nothing that it could read.
                    Ok(_) | Err(PageStoreError::NotFound(_) | PageStoreError::Damaged(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(false)
    }

    /// Takes out of a recipe what a replacement that did not come to its end has left there, and would
    /// be kept with it. One that is under way loses its turn.
    pub(crate) async fn drop_leftovers(&self, id: &RecipeId) -> Result<()> {
        let (recipe, seen) = self.recipe(id).await?;
        let Some(own) = recipe.without_leftovers() else { return Ok(()) };
        self.put_recipe(id, own, Precondition::Matches(seen)).await.map_err(lost)?;
        Ok(())
    }

    /// Checks what a recipe names, and that it would not come to stand on itself: others may be
    /// replaced at the same time. All of them have named what they will stand on by now, so of two
    /// that would stand on each other at least one finds out.
    async fn check_base(&self, id: &RecipeId, new: &Recipe) -> Result<()> {
        self.check_kept(new).await?;
        let mut next: Vec<String> = new.chain.iter().take(1).cloned().collect();
        let mut seen = HashSet::new();
        while let Some(name) = next.pop() {
            if name == id.0 {
                return Err(PageStoreError::Unsuited("a layer cannot stand on itself".to_owned()));
            }
            if seen.insert(name.clone()) {
                let (recipe, _) = self.recipe(&RecipeId(name)).await?;
                next.extend(recipe.chain.into_iter().take(1).chain(recipe.also));
            }
        }
        Ok(())
    }
}

fn unsuited(id: &RecipeId) -> PageStoreError {
    let what = format!("what stands on recipe {} would not find its pages in the other", id.0);
    PageStoreError::Unsuited(what)
}
