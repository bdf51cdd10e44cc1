//! Which layers are worth storing anew.

use std::collections::{HashMap, HashSet};

use super::Rebase;
use crate::collect::{Graph, Id};
use crate::policy;
use crate::store::RecipeId;

/// All recipes, seen from above.
struct View<'a> {
    graph: &'a Graph,
    named: &'a HashSet<Id>,
    sizes: &'a HashMap<Id, u64>,
    /// How many recipes stand on each.
    above: HashMap<Id, usize>,
    /// Which recipes name each data object.
    users: HashMap<Id, Vec<Id>>,
}

/// The layers that are worth it, going by what data objects take. `named` are the recipes that records
/// name; those of `gone` count as if they were not there.
///
/// A layer that stands on buried recipes which nobody else stands on is put on whatever is under
/// those: a recipe that stays anyway, or nothing. Then they can go, and what the layer itself took.
pub(crate) fn plan(
    graph: &Graph,
    named: &HashSet<Id>,
    gone: &HashSet<Id>,
    sizes: &HashMap<Id, u64>,
    gain: u64,
) -> Vec<Rebase> {
    let mut view = View { graph, named, sizes, above: HashMap::new(), users: HashMap::new() };
    for (id, node) in graph.nodes.iter().filter(|(id, _)| !gone.contains(id)) {
        for below in &node.below {
            *view.above.entry(*below).or_default() += 1;
        }
        for object in &node.objects {
            view.users.entry(*object).or_default().push(*id);
        }
    }
    let mut all: Vec<Rebase> = named.iter().filter_map(|id| view.look_at(*id, gain)).collect();
    all.sort_unstable_by(|a, b| a.recipe.cmp(&b.recipe));
    all
}

impl View<'_> {
    fn look_at(&self, id: Id, gain: u64) -> Option<Rebase> {
        let (freed, onto) = self.under(id)?;
        let own = |id: &Id| self.graph.nodes.get(id)?.objects.first();
        let size = |object: &Id| self.sizes.get(object).copied().unwrap_or(0);
        let goes: HashSet<Id> = freed.iter().copied().chain([id]).collect();
        let needless = self.needless(&goes);
        let recipes = freed.iter().filter_map(|id| self.graph.nodes.get(id));
        let recipe_bytes: u64 = recipes.map(|node| node.bytes).sum();
        let frees_bytes = needless.iter().map(size).sum::<u64>() + recipe_bytes;
        let writes_bytes = match onto {
            // What the keyframe takes at the end of the chain.
            None => freed.last().and_then(own).map_or(0, size),
            Some(_) => {
                let all: u64 = goes.iter().filter_map(own).map(size).sum();
                let checkpoints = goes.len().try_into().unwrap_or(u32::MAX);
                policy::grown(all / u64::from(checkpoints), checkpoints)
            }
        };
        let rebase = Rebase {
            recipe: RecipeId(id.to_string()),
            onto: onto.map(|id| RecipeId(id.to_string())),
            frees_bytes,
            writes_bytes,
            needless: needless.iter().map(Id::to_string).collect(),
            gain,
        };
        rebase.pays(writes_bytes).then_some(rebase)
    }

    /// The buried recipes under one that only it stands on, nearest first, and what is under those.
    fn under(&self, id: Id) -> Option<(Vec<Id>, Option<Id>)> {
        let top = self.graph.nodes.get(&id).filter(|node| !node.pending)?;
        let [below] = top.below[..] else { return None };
        let (mut freed, mut at) = (Vec::new(), Some(below));
        while let Some(id) = at {
            let stays = self.named.contains(&id) || self.above.get(&id) != Some(&1);
            let node = self.graph.nodes.get(&id)?;
            if stays || node.below.len() > 1 || freed.contains(&id) {
                break;
            }
            freed.push(id);
            at = node.below.first().copied();
        }
        (!freed.is_empty()).then_some((freed, at))
    }

    /// Data objects that nobody but these recipes names.
    fn needless(&self, goes: &HashSet<Id>) -> Vec<Id> {
        let nodes = goes.iter().filter_map(|id| self.graph.nodes.get(id));
        let alone = |object: &&Id| {
            self.users.get(object).is_some_and(|users| users.iter().all(|user| goes.contains(user)))
        };
        let objects: HashSet<Id> =
            nodes.flat_map(|node| &node.objects).filter(alone).copied().collect();
        let mut objects: Vec<Id> = objects.into_iter().collect();
        objects.sort_unstable();
        objects
    }
}
