//! The store: where recipes and data objects are, and how one is opened.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use pagevault_objects::{ErrorKind, Key, ObjectStore, Precondition, Version};

use crate::ahead::Budget;
use crate::collect::Holds;
use crate::error::PageStoreError;
use crate::read::LayerReader;
use crate::recipe::{Recipe, State};
use crate::share::Sharing;
use crate::whole::Damaged;
use crate::work::Workers;
use crate::{Result, policy};

/// Name of a recipe, never used for another layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecipeId(pub String);

/// What the page store may use.
#[derive(Debug, Clone)]
pub struct PageStoreOptions {
    /// Memory of one reader or writer, in bytes.
    pub window_bytes: usize,
    /// zstd level of pages and everything else.
    pub level: i32,
    /// Where its work runs.
    pub workers: Workers,
    /// Whether new pages are looked for among those that other lineages of the domain stored.
    pub share: bool,
    /// No other process writes to the store: what no writer of this one is at work on is finished
    /// or abandoned.
    pub exclusive: bool,
}

impl Default for PageStoreOptions {
    fn default() -> Self {
        Self {
            window_bytes: 64 << 20,
            level: 3,
            workers: Workers::Pool,
            share: true,
            exclusive: false,
        }
    }
}

/// What a delta is put on.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) reader: LayerReader,
    /// Its recipe and those under it.
    pub(crate) names: Vec<String>,
    /// Which checkpoint since the keyframe the next one is.
    pub(crate) generation: u32,
}

/// A page store over an object store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PageStore {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) options: PageStoreOptions,
    pub(crate) budget: Budget,
    pub(crate) sharing: Arc<Sharing>,
    pub(crate) holds: Holds,
    pub(crate) damaged: Damaged,
}

impl PageStore {
    /// A page store over that object store.
    pub fn new(objects: Arc<dyn ObjectStore>, options: PageStoreOptions) -> Self {
        // A segment under way is a block and what it decodes to.
        let budget = Budget::new(options.window_bytes / (2 * crate::SEGMENT_MAX as usize));
        let (holds, sharing, damaged) = (Holds::default(), Arc::default(), Damaged::default());
        Self { objects, options, holds, budget, sharing, damaged }
    }

    /// Opens a committed layer for reading.
    pub async fn open(&self, id: &RecipeId) -> Result<LayerReader> {
        Ok(self.reader(self.chain(id).await?))
    }

    /// The newest recipe, and the base that the next delta is put on: that one, or one of those under
    /// it, or none.
    pub(crate) async fn open_base(&self, newest: &RecipeId) -> Result<(Arc<Recipe>, Option<Base>)> {
        let mut chain = self.chain(newest).await?;
        let recipes: Vec<&Recipe> = chain.iter().map(|(_, recipe)| recipe.as_ref()).collect();
        let (choice, generation) = (policy::choose(&recipes), recipes[0].generation);
        let newest = Arc::clone(&chain[0].1);
        let Some(choice) = choice else { return Ok((newest, None)) };
        chain.drain(..choice);
        let names = chain.iter().map(|(id, _)| id.0.clone()).collect();
        let base =
            Base { reader: self.reader(chain), names, generation: generation.saturating_add(1) };
        Ok((newest, Some(base)))
    }

    pub(crate) fn reader(&self, chain: Vec<(RecipeId, Arc<Recipe>)>) -> LayerReader {
        let recipes = chain.into_iter().map(|(_, recipe)| recipe).collect();
        LayerReader::new(self.clone(), recipes)
    }

    /// A recipe and those under it, down to the keyframe.
    ///
    /// Each recipe names the one under it; the rest of its `chain` is what that one's was when it
    /// was written, so that all can be asked for at once. Where one of them has been written anew
    /// since, what it says itself counts.
    pub(crate) async fn chain(&self, id: &RecipeId) -> Result<Vec<(RecipeId, Arc<Recipe>)>> {
        let first = id;
        let recipe = Arc::new(self.recipe(first).await?.0);
        let expected = try_join_all(recipe.chain.iter().map(|below| async {
            let id = RecipeId(below.clone());
            match self.recipe(&id).await {
                Ok((recipe, _)) => Ok(Some((id, Arc::new(recipe)))),
                Err(PageStoreError::NotFound(_)) => Ok(None),
                Err(e) => Err(e),
            }
        }));
        let mut ahead: HashMap<_, _> = expected.await?.into_iter().flatten().collect();
        let mut below = recipe.below();
        let mut chain = vec![(first.clone(), recipe)];
        while let Some(id) = below {
            if chain.len() > policy::CHAIN_MAX {
                return Err(PageStoreError::damaged(format!("recipe {} is on too many", first.0)));
            }
            let recipe = match ahead.remove(&id) {
                Some(recipe) => recipe,
                None => match self.recipe(&id).await {
                    Ok((recipe, _)) => Arc::new(recipe),
                    Err(PageStoreError::NotFound(id)) => {
                        let what = format!("recipe {id} of a base is missing");
                        return Err(PageStoreError::damaged(what));
                    }
                    Err(e) => return Err(e),
                },
            };
            below = recipe.below();
            chain.push((id, recipe));
        }
        Ok(chain)
    }

    /// Reads a recipe that is committed.
    pub(crate) async fn recipe(&self, id: &RecipeId) -> Result<(Recipe, Version)> {
        let object = match self.objects.get(&recipe_key(id)?).await {
            Ok(object) => object,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(PageStoreError::NotFound(id.0.clone()));
            }
            Err(e) => return Err(e.into()),
        };
        let name = id.0.clone();
        let recipe = self.offload(move || Recipe::from_bytes(&name, &object.bytes)).await?;
        if recipe.state != State::Committed as i32 {
            return Err(PageStoreError::NotFound(id.0.clone()));
        }
        Ok((recipe, object.version))
    }

    /// Bytes of all recipes and data objects, and of the stored index.
    pub async fn stored_bytes(&self) -> Result<u64> {
        let mut sum = 0u64;
        for prefix in ["data/", "recipes/", "hooks/"] {
            let mut after = None;
            loop {
                let page = self.objects.list(prefix, after.as_ref(), 1000).await?;
                sum += page.objects.iter().map(|object| object.bytes).sum::<u64>();
                after = page.objects.last().map(|object| object.key.clone());
                if !page.more {
                    break;
                }
            }
        }
        Ok(sum)
    }

    /// Runs work that takes more than a moment off the async threads.
    pub(crate) async fn offload<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        self.options.workers.offload(work).await
    }

    /// Writes a recipe under the precondition.
    pub(crate) async fn put_recipe(
        &self,
        id: &RecipeId,
        recipe: Recipe,
        when: Precondition,
    ) -> Result<(Version, u64)> {
        let bytes = self.offload(move || recipe.to_bytes()).await?;
        let len = bytes.len() as u64;
        let version = self.objects.put(&recipe_key(id)?, Bytes::from(bytes), when).await?;
        Ok((version, len))
    }
}

/// A fresh name for a recipe or data object: random, so that no name is used twice.
pub(crate) fn fresh_name() -> Result<String> {
    #[cfg(any(test, feature = "suite"))]
    if let Some(name) = crate::names::next() {
        return Ok(name);
    }
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|e| PageStoreError::Task(e.to_string()))?;
    Ok(hex::encode(random))
}

/// Key of a data object. The first two digits make folders of bearable size.
pub(crate) fn data_key(id: &str) -> Result<Key> {
    Ok(Key::new(format!("data/{}/{id}", id.get(..2).unwrap_or("xx")))?)
}

/// Key of a recipe.
pub(crate) fn recipe_key(id: &RecipeId) -> Result<Key> {
    Ok(Key::new(format!("recipes/{}/{}", id.0.get(..2).unwrap_or("xx"), id.0))?)
}
