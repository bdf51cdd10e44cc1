//! Beginning a layer: what it is compared with, and its pending recipe.

use std::sync::Arc;
use std::time::Instant;

use pagevault_objects::Precondition;

use super::chunks::Chunks;
use super::naming::Naming;
use crate::Result;
use crate::mapping;
use crate::read::LayerReader;
use crate::recipe::{Recipe, Space, State};
use crate::share::Session;
use crate::store::{Base, PageStore, RecipeId, fresh_name, recipe_key};
use crate::write::{BaseOf, LayerWriter, WriteStats};

impl PageStore {
    /// Begins a layer, to be stored against `base` if a delta may still be put on top of that.
    /// `spaces` are the memories of its pages files.
    pub async fn writer(
        &self,
        domain: &str,
        base: Option<&RecipeId>,
        spaces: Vec<Space>,
    ) -> Result<LayerWriter> {
        match base {
            Some(newest) => {
                let (newest, base) = self.open_base(newest).await?;
                self.begin(domain, Some(newest), base, spaces).await
            }
            None => self.begin(domain, None, None, spaces).await,
        }
    }

    /// Begins a layer that is to be a keyframe. What `earlier` stored of members that are no pages is
    /// looked for all the same.
    pub async fn keyframe_writer(
        &self,
        domain: &str,
        earlier: &RecipeId,
        spaces: Vec<Space>,
    ) -> Result<LayerWriter> {
        let (earlier, _) = self.recipe(earlier).await?;
        self.begin(domain, Some(Arc::new(earlier)), None, spaces).await
    }

    /// Begins a layer on an open base, looking for chunks in `earlier`.
    pub(crate) async fn begin(
        &self,
        domain: &str,
        earlier: Option<Arc<Recipe>>,
        opened: Option<Base>,
        spaces: Vec<Space>,
    ) -> Result<LayerWriter> {
        let mut recipe = Recipe {
            state: State::Pending as i32,
            objects: vec![fresh_name()?],
            domain: domain.to_owned(),
            ..Recipe::default()
        };
        let base = opened.map(|base| {
            let reader = base.reader;
            if let Some(below) = reader.recipe() {
                recipe.keyframe_bytes = below.keyframe_bytes;
                recipe.delta_bytes = below.delta_bytes;
            }
            (recipe.chain, recipe.generation) = (base.names, base.generation);
            BaseOf { extents: match_extents(&spaces, &reader), reader }
        });
        let (asks, naming) = Naming::new();
        let chunks = Arc::new(Chunks::of(self, earlier.as_deref(), asks.clone()));
        let share = Session::begin(self, domain, asks).await;
        let id = RecipeId(fresh_name()?);
        let hold = self.holds.hold(&id);
        let (version, _) = self.put_recipe(&id, recipe.clone(), Precondition::Absent).await?;
        if !recipe.chain.is_empty() && !self.may_stand_on(&recipe).await? {
            self.objects.delete(&recipe_key(&id)?).await?;
            return Box::pin(self.begin(domain, earlier, None, spaces)).await;
        }
        Ok(LayerWriter {
            store: self.clone(),
            id,
            version,
            recipe,
            spaces,
            base,
            object: None,
            written: 0,
            stats: WriteStats::default(),
            used_base: false,
            share,
            chunks,
            naming,
            over: None,
            hold,
            renewed: Instant::now(),
        })
    }
}

fn match_extents(spaces: &[Space], base: &LayerReader) -> Vec<Option<u32>> {
    let extents = base.recipe().map(|r| r.extents.as_slice()).unwrap_or_default();
    let (numbers, theirs): (Vec<usize>, Vec<&Space>) =
        extents.iter().enumerate().filter_map(|(i, e)| Some((i, e.space.as_ref()?))).unzip();
    let ours: Vec<&Space> = spaces.iter().collect();
    let matched = mapping::match_spaces(&ours, &theirs);
    let number = |found: usize| numbers.get(found).and_then(|&n| u32::try_from(n).ok());
    matched.into_iter().map(|found| found.and_then(number)).collect()
}
