//! What layers take together, and alone: every recipe and data object counted once.

use std::collections::HashMap;

use super::graph::{self, Graph};
use super::id::Id;
use super::report::Watch;
use super::tombs::Kind;
use crate::Result;
use crate::share::HOOKS;
use crate::store::PageStore;

/// Something that is stored, and what it cannot be read without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its bytes.
    pub bytes: u64,
    /// The numbers of what it needs.
    pub needs: Vec<usize>,
}

/// All recipes and data objects, by number, as they were when it was made.
#[derive(Debug, Default)]
pub struct Sizes {
    stored: Vec<Stored>,
    recipes: HashMap<Id, usize>,
    /// Recipes that writers may be at work on.
    pending: Vec<usize>,
}

/// Who reaches a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Never,
    By(usize),
    BySeveral,
}

impl PageStore {
    /// Reads what there is and how large it is.
    pub async fn sizes(&self, watch: &Watch) -> Result<Sizes> {
        let mut graph = Graph::default();
        graph.refresh(self, watch).await?;
        let mut objects = graph::objects(self, Kind::Data.prefix(), watch).await?;
        for (id, bytes) in graph::objects(self, HOOKS, watch).await? {
            objects.entry(id).and_modify(|object| *object += bytes);
        }
        self.offload(move || Ok(Sizes::of(&graph, &objects))).await
    }
}

impl Sizes {
    /// Of things that are described one by one. A number that is none of theirs is left out.
    pub fn new(stored: Vec<Stored>) -> Self {
        Self { stored, ..Self::default() }
    }

    fn of(graph: &Graph, objects: &HashMap<Id, u64>) -> Self {
        let number = |(n, id): (usize, &Id)| (*id, n);
        let recipes: HashMap<Id, usize> = graph.nodes.keys().enumerate().map(number).collect();
        let first = recipes.len();
        let data: HashMap<Id, usize> =
            objects.keys().enumerate().map(|(n, id)| (*id, first + n)).collect();
        let mut sizes = Self::new(vec![Stored::default(); first + data.len()]);
        for (id, node) in &graph.nodes {
            let Some(number) = recipes.get(id) else { continue };
            let below = node.below.iter().filter_map(|id| recipes.get(id));
            let objects = node.objects.iter().filter_map(|id| data.get(id));
            let needs = below.chain(objects).copied().collect();
            sizes.stored[*number] = Stored { bytes: node.bytes, needs };
            if node.pending {
                sizes.pending.push(*number);
            }
        }
        for (id, bytes) in objects {
            if let Some(number) = data.get(id) {
                sizes.stored[*number].bytes = *bytes;
            }
        }
        sizes.recipes = recipes;
        sizes
    }

    /// The number of a recipe, if it is there.
    pub fn recipe(&self, name: &str) -> Option<usize> {
        self.recipes.get(&Id::parse(name)?).copied()
    }

    /// Recipes that are not committed: they keep what they name.
    pub fn pending(&self) -> &[usize] {
        &self.pending
    }

    /// Begins to count.
    pub fn count(&self) -> Counted<'_> {
        Counted { sizes: self, round: 1, seen: vec![0; self.stored.len()] }
    }

    /// For each owner, the bytes that nobody else reaches: what would go if it alone went. `others`
    /// are reached by somebody who is no owner.
    pub fn only(&self, owners: &[Vec<usize>], others: &[usize]) -> Vec<u64> {
        let mut reached = vec![Reached::Never; self.stored.len()];
        let named = owners.iter().enumerate();
        let mut next: Vec<(usize, Reached)> = named
            .flat_map(|(owner, roots)| roots.iter().map(move |root| (*root, Reached::By(owner))))
            .chain(others.iter().map(|root| (*root, Reached::BySeveral)))
            .collect();
        while let Some((number, by)) = next.pop() {
            let Some(now) = reached.get_mut(number) else { continue };
            let both = match *now {
                Reached::Never => by,
                same if same == by => continue,
                Reached::BySeveral => continue,
                Reached::By(_) => Reached::BySeveral,
            };
            *now = both;
            next.extend(self.stored[number].needs.iter().map(|need| (*need, both)));
        }
        let mut only = vec![0; owners.len()];
        for (stored, reached) in self.stored.iter().zip(reached) {
            if let Reached::By(owner) = reached {
                only[owner] += stored.bytes;
            }
        }
        only
    }
}

/// What has been counted already; see [`Sizes::count`].
#[derive(Debug)]
pub struct Counted<'a> {
    sizes: &'a Sizes,
    round: u32,
    /// The round in which each was last counted.
    seen: Vec<u32>,
}

impl Counted<'_> {
    /// Counts a thing with all that it needs; returns the bytes that had not been counted.
    pub fn add(&mut self, root: usize) -> u64 {
        let (mut bytes, mut next) = (0, vec![root]);
        while let Some(number) = next.pop() {
            let Some(seen) = self.seen.get_mut(number) else { continue };
            if std::mem::replace(seen, self.round) != self.round {
                let stored = &self.sizes.stored[number];
                bytes += stored.bytes;
                next.extend(&stored.needs);
            }
        }
        bytes
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        match self.round.checked_add(1) {
            Some(round) => self.round = round,
            None => {
                self.seen.fill(0);
                self.round = 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recipes 0 ← 1 ← 2, with objects 3, 4, 5 of their own; 2 shares object 6 with recipe 7.
    fn chain() -> Sizes {
        let stored = |bytes, needs: &[usize]| Stored { bytes, needs: needs.to_vec() };
        Sizes::new(vec![
            stored(1, &[3]),
            stored(1, &[0, 4]),
            stored(1, &[1, 5, 6]),
            stored(1000, &[]),
            stored(100, &[]),
            stored(10, &[]),
            stored(7, &[]),
            stored(1, &[6, 99]),
        ])
    }

    #[test]
    fn everything_is_counted_once() {
        let sizes = chain();
        let mut counted = sizes.count();
        assert_eq!(counted.add(1), 1102);
        assert_eq!(counted.add(0), 0);
        assert_eq!(counted.add(2), 18);
        assert_eq!(counted.add(7), 1);
        counted.reset();
        assert_eq!(counted.add(7), 8);
        assert_eq!(counted.add(99), 0);
    }

    #[test]
    fn what_one_alone_keeps() {
        let sizes = chain();
        let owners = [vec![0], vec![1], vec![2], vec![7]];
        // What the next one stands on does not go.
        assert_eq!(sizes.only(&owners, &[]), [0, 0, 11, 1]);
        assert_eq!(sizes.only(&owners[1..3], &[]), [0, 18]);
        assert_eq!(sizes.only(&owners[2..3], &[]), [1120]);
        // Twice the same: neither keeps it alone. And what others reach does not go either.
        assert_eq!(sizes.only(&[vec![2], vec![2]], &[]), [0, 0]);
        assert_eq!(sizes.only(&owners[2..3], &[1]), [18]);
    }
}
