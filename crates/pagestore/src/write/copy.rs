//! A layer under a second name: for a name that has come too late to a recipe that is condemned.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use pagevault_objects::Precondition;

use super::commit::lost;
use crate::Result;
use crate::error::PageStoreError;
use crate::recipe::{Recipe, State};
use crate::source::Source;
use crate::store::{PageStore, RecipeId, fresh_name, recipe_key};
use crate::write::{Committed, Part, PartKind, WriteStats};

/// Bytes of a layer that are copied at a time, where its objects are condemned as well.
const COPY_AT_ONCE: u64 = 8 << 20;

impl PageStore {
    /// Stores a layer that can still be read under a fresh name. The new recipe names the objects of
    /// the old one; where those are condemned too, their content is stored anew.
    pub async fn copy(&self, id: &RecipeId) -> Result<Committed> {
        match self.copy_recipe(id).await {
            Err(PageStoreError::BaseGone) => self.copy_bytes(id).await,
            copied => copied,
        }
    }

    async fn copy_recipe(&self, of: &RecipeId) -> Result<Committed> {
        let (mut recipe, _) = self.recipe(of).await?;
        let id = RecipeId(fresh_name()?);
        let hold = self.holds.hold(&id);
        let pending = Recipe {
            state: State::Pending as i32,
            objects: recipe.objects.clone(),
            chain: recipe.chain.clone(),
            domain: recipe.domain.clone(),
            ..Recipe::default()
        };
        let (version, _) = self.put_recipe(&id, pending, Precondition::Absent).await?;
        if let Err(error) = self.check_kept(&recipe).await {
            self.objects.delete(&recipe_key(&id)?).await?;
            return Err(error);
        }
        recipe.state = State::Committed as i32;
        let delta = !recipe.chain.is_empty();
        let put = self.put_recipe(&id, recipe, Precondition::Matches(version)).await;
        let (_, recipe_bytes) = put.map_err(lost)?;
        let stats = WriteStats { recipe_bytes, ..WriteStats::default() };
        Ok(Committed { id, stats, delta, hold })
    }

    async fn copy_bytes(&self, of: &RecipeId) -> Result<Committed> {
        let reader = self.open(of).await?;
        let (bytes, recipe) = (reader.bytes(), reader.recipe().cloned().unwrap_or_default());
        let mut writer = self.writer(&recipe.domain, None, Vec::new()).await?;
        let mut offset = 0;
        while offset < bytes {
            let end = bytes.min(offset + COPY_AT_ONCE);
            let piece = Piece { start: offset, bytes: reader.read(offset..end).await? };
            let part = Part { offset, bytes: end - offset, kind: PartKind::Bytes };
            let source: Arc<dyn Source> = Arc::new(piece);
            writer.write(part, &source).await?;
            offset = end;
        }
        writer.commit(&recipe.name, bytes).await
    }

    /// What a recipe makes: the digest that it was committed under, and its size.
    pub async fn describe(&self, id: &RecipeId) -> Result<(String, u64)> {
        let (recipe, _) = self.recipe(id).await?;
        Ok((recipe.name, recipe.bytes))
    }
}

/// Part of a layer, in memory.
struct Piece {
    start: u64,
    bytes: Vec<u8>,
}

#[async_trait]
impl Source for Piece {
    async fn ready(&self, _range: Range<u64>) -> std::io::Result<()> {
        Ok(())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        let at = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let bytes = at.and_then(|at| self.bytes.get(at..at.checked_add(buf.len())?));
        buf.copy_from_slice(bytes.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
