//! Scrub: every stored byte that a recipe names is read again and compared with its checksum.

mod blocks;
mod touched;

use futures_util::future::BoxFuture;
use pagevault_objects::ErrorKind;

use self::touched::Touched;
use crate::Result;
use crate::error::PageStoreError;
use crate::listing::Names;
use crate::recipe::{Recipe, State};
use crate::store::{PageStore, RecipeId, recipe_key};

/// What a scrub has seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Recipes that were read.
    pub recipes: u64,
    /// Stored blocks that were read and compared.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Recipes with damage of their own.
    pub damaged: u64,
}

/// Damage of one recipe, or of what it stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The recipe.
    pub recipe: RecipeId,
    /// Digest of what it makes; empty if the recipe itself cannot be read.
    pub layer: String,
    /// What is wrong: missing, cut short, another checksum, and where.
    pub what: String,
    /// Recipes that read through the damage: this one, deltas on top of it, those that share its
    /// pages. Some of them may not need the damaged bytes.
    pub touches: Vec<RecipeId>,
}

/// Hears how far a scrub has got, and says whether it is to go on.
pub type Progress<'a> = &'a (dyn Fn(Verified) -> bool + Send + Sync);

impl PageStore {
    /// Reads all that is stored and compares it. Finds every damaged and missing object that a
    /// committed recipe names. A scrub that is told to stop says what it has found.
    pub async fn verify(&self, progress: Progress<'_>) -> Result<(Verified, Vec<Damage>)> {
        let (mut seen, mut damage, mut touched) =
            (Verified::default(), Vec::new(), Touched::default());
        let mut listing = Names::new("recipes/");
        while let Some(names) = listing.next(self).await? {
            for id in names.into_iter().map(RecipeId) {
                if !progress(seen) {
                    return Ok((seen, touched.complete(damage)));
                }
                let found = self.verify_recipe(&id, &mut seen, &mut touched).await?;
                self.damaged.note(&id, found.is_some());
                if found.is_none() {
                    self.tidy(&id).await?;
                }
                if let Some(found) = found {
                    seen.damaged += 1;
                    damage.push(found);
                }
            }
        }
        Ok((seen, touched.complete(damage)))
    }

    /// Drops what is left of a replacement that was cut short.
    async fn tidy(&self, id: &RecipeId) -> Result<()> {
        match self.drop_leftovers(id).await {
            // Pending, collected or written anew while we looked.
            Err(PageStoreError::NotFound(_) | PageStoreError::Lost) => Ok(()),
            // A scrub only reads where nothing can be written.
            Err(PageStoreError::Store(e)) if e.kind() == ErrorKind::Full => Ok(()),
            tidied => tidied,
        }
    }

    async fn verify_recipe(
        &self,
        id: &RecipeId,
        seen: &mut Verified,
        touched: &mut Touched,
    ) -> Result<Option<Damage>> {
        let recipe = match self.recipe_as_stored(id).await {
            Ok(recipe) => recipe,
            // Pending, or collected while we looked.
            Err(PageStoreError::NotFound(_)) => return Ok(None),
            // A version that nobody has written yet may be a flipped bit.
            Err(PageStoreError::Damaged(what) | PageStoreError::TooNew(what)) => {
                return Ok(Some(damage(id, "", what)));
            }
            Err(e) => return Err(e),
        };
        seen.recipes += 1;
        touched.add(id, &recipe);
        let found = self.what_is_wrong(&recipe, seen).await?;
        let Some(what) = found else { return Ok(None) };
        // What was collected, or written anew, while we read it is no damage.
        match self.recipe_as_stored(id).await {
            Ok(now) if same_blocks(&now, &recipe) => Ok(Some(damage(id, &recipe.name, what))),
            Ok(now) => {
                let found = self.what_is_wrong(&now, seen).await?;
                Ok(found.map(|what| damage(id, &now.name, what)))
            }
            Err(PageStoreError::NotFound(_)) => Ok(None),
            Err(PageStoreError::Damaged(what) | PageStoreError::TooNew(what)) => {
                Ok(Some(damage(id, &recipe.name, what)))
            }
            Err(e) => Err(e),
        }
    }

    /// Reads a recipe from where it is stored: a store may remember small objects.
    async fn recipe_as_stored(&self, id: &RecipeId) -> Result<Recipe> {
        let key = recipe_key(id)?;
        let read =
            async { self.objects.get_range(&key, 0..self.objects.head(&key).await?.bytes).await };
        match read.await {
            Ok(bytes) => {
                let name = id.0.clone();
                let recipe = self.offload(move || Recipe::from_bytes(&name, &bytes)).await?;
                match recipe.state == State::Committed as i32 {
                    true => Ok(recipe),
                    false => Err(PageStoreError::NotFound(id.0.clone())),
                }
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                Err(PageStoreError::NotFound(id.0.clone()))
            }
            Err(e) if e.kind() == ErrorKind::Truncated => {
                Err(PageStoreError::damaged(e.to_string()))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// What is wrong with a recipe that can be read, if anything.
    async fn what_is_wrong(&self, recipe: &Recipe, seen: &mut Verified) -> Result<Option<String>> {
        match self.verify_below(recipe).await? {
            None => self.verify_blocks(recipe, seen).await,
            missing => Ok(missing),
        }
    }

    /// Whether the recipe that another stands on is there: what is wrong, if it is not.
    async fn verify_below(&self, recipe: &Recipe) -> Result<Option<String>> {
        let Some(below) = recipe.below() else { return Ok(None) };
        match self.objects.head(&recipe_key(&below)?).await {
            Ok(_) => Ok(None),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                Ok(Some(format!("recipe {}, which it stands on, is missing", below.0)))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Whether all that a recipe names can be read: what is wrong, if anything.
    fn verify_blocks<'a>(
        &'a self,
        recipe: &'a Recipe,
        seen: &'a mut Verified,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            for stretch in blocks::stretches(recipe)? {
                match self.objects.get_range(&stretch.key, stretch.range.clone()).await {
                    Ok(bytes) => {
                        seen.blocks += stretch.blocks.len() as u64;
                        seen.bytes += bytes.len() as u64;
                        let key = stretch.key.clone();
                        let found = self.offload(move || Ok(stretch.first_bad(&bytes))).await?;
                        if let Some(at) = found {
                            return Ok(Some(format!("object {key} is damaged at byte {at}")));
                        }
                    }
                    Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Truncated) => {
                        return Ok(Some(e.to_string()));
                    }
                    Err(e) => return Err(e.into()),
                }
            }
            Ok(None)
        })
    }
}

fn damage(id: &RecipeId, layer: &str, what: String) -> Damage {
    Damage { recipe: id.clone(), layer: layer.to_owned(), what, touches: Vec::new() }
}

fn same_blocks(a: &Recipe, b: &Recipe) -> bool {
    a.state == State::Committed as i32
        && a.objects == b.objects
        && a.chain.first() == b.chain.first()
}

#[cfg(test)]
mod tests;
