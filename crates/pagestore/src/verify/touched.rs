//! Which recipes read through which.

use std::collections::{HashMap, HashSet};

use super::Damage;
use crate::recipe::Recipe;
use crate::store::RecipeId;

/// The recipes that read through another one, by the name of that one or of its object.
#[derive(Debug, Default)]
pub(super) struct Touched {
    on: HashMap<String, Vec<RecipeId>>,
    owns: HashMap<RecipeId, String>,
}

impl Touched {
    pub(super) fn add(&mut self, id: &RecipeId, recipe: &Recipe) {
        if let Some(below) = recipe.below() {
            self.on.entry(below.0).or_default().push(id.clone());
        }
        let mut objects = recipe.objects.iter();
        if let Some(own) = objects.next() {
            self.owns.insert(id.clone(), own.clone());
        }
        for shared in objects {
            self.on.entry(shared.clone()).or_default().push(id.clone());
        }
    }

    /// Says for each damage which recipes it touches.
    pub(super) fn complete(&self, mut all: Vec<Damage>) -> Vec<Damage> {
        for damage in &mut all {
            damage.touches = self.by(&damage.recipe);
        }
        all
    }

    fn by(&self, damaged: &RecipeId) -> Vec<RecipeId> {
        let mut touches = vec![damaged.clone()];
        let mut known = HashSet::from([damaged.clone()]);
        let mut next = 0;
        while let Some(id) = touches.get(next) {
            next += 1;
            let own = self.owns.get(id).and_then(|own| self.on.get(own));
            let above = self.on.get(&id.0).into_iter().chain(own).flatten();
            let fresh: Vec<_> = above.filter(|id| known.insert((*id).clone())).cloned().collect();
            touches.extend(fresh);
        }
        touches
    }
}
