//! The store: where recipes and data objects are, and how one is opened.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use pagevault_objects::{ErrorKind, Key, ObjectStore, Precondition, Version};

use crate::error::PageStoreError;
use crate::read::LayerReader;
use crate::recipe::{Recipe, State};
use crate::{Result, policy};

/// Name of a recipe, never used twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecipeId(pub String);

/// What the page store may use.
#[derive(Debug, Clone)]
pub struct PageStoreOptions {
    /// Memory of one reader or writer, in bytes.
    pub window_bytes: usize,
    /// zstd level of pages and everything else.
    pub level: i32,
}

impl Default for PageStoreOptions {
    fn default() -> Self {
        Self { window_bytes: 64 << 20, level: 3 }
    }
}

/// A page store over an object store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PageStore {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) options: PageStoreOptions,
}

impl PageStore {
    /// A page store over that object store.
    pub fn new(objects: Arc<dyn ObjectStore>, options: PageStoreOptions) -> Self {
        Self { objects, options }
    }

    /// Opens a committed layer for reading.
    pub async fn open(&self, id: &RecipeId) -> Result<LayerReader> {
        let first = self.recipe(id).await?.0;
        let chain = first.chain.iter().map(|below| async {
            let id = RecipeId(below.clone());
            match self.recipe(&id).await {
                Ok((recipe, _)) => Ok(Arc::new(recipe)),
                Err(PageStoreError::NotFound(id)) => {
                    Err(PageStoreError::damaged(format!("recipe {id} of a base is missing")))
                }
                Err(e) => Err(e),
            }
        });
        let mut recipes = try_join_all(chain).await?;
        recipes.insert(0, Arc::new(first));
        LayerReader::new(Arc::clone(&self.objects), recipes, self.options.window_bytes)
    }

    /// Opens `newest` as a base, if a delta may still be put on top of it.
    pub(crate) async fn open_base(&self, newest: &RecipeId) -> Result<Option<LayerReader>> {
        let reader = self.open(newest).await?;
        let fits =
            reader.recipe().is_some_and(|r| policy::may_extend(r, policy::expected_delta(r)));
        Ok(fits.then_some(reader))
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
        let recipe = offload(move || Recipe::from_bytes(&name, &object.bytes)).await?;
        if recipe.state != State::Committed as i32 {
            return Err(PageStoreError::NotFound(id.0.clone()));
        }
        Ok((recipe, object.version))
    }

    /// Bytes of all recipes and data objects.
    pub async fn stored_bytes(&self) -> Result<u64> {
        let mut sum = 0u64;
        for prefix in ["data/", "recipes/"] {
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

    /// Writes a recipe under the precondition.
    pub(crate) async fn put_recipe(
        &self,
        id: &RecipeId,
        recipe: Recipe,
        when: Precondition,
    ) -> Result<(Version, u64)> {
        let bytes = offload(move || recipe.to_bytes()).await?;
        let len = bytes.len() as u64;
        let version = self.objects.put(&recipe_key(id)?, Bytes::from(bytes), when).await?;
        Ok((version, len))
    }
}

/// A fresh name for a recipe or data object: random, so that no name is used twice.
pub(crate) fn fresh_name() -> Result<String> {
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

/// Where tombstones are: `tombstones/<data object>`.
pub(crate) const TOMBSTONES: &str = "tombstones/";

/// Runs work that takes more than a moment off the async threads.
pub(crate) async fn offload<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|e| PageStoreError::Task(e.to_string()))?
}
