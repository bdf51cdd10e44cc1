//! Which recipe names what, read once and then followed: a second look reads only what has changed.

use std::collections::{HashMap, HashSet};

use pagevault_objects::{ErrorKind, Key, Meta, Stamp};
use prost::Message;

use super::id::Id;
use super::report::{Phase, Watch};
use super::tombs::{Kind, named};
use crate::Result;
use crate::error::PageStoreError;
use crate::recipe::{Recipe, State};
use crate::store::PageStore;

/// Objects of one list.
const PAGE: usize = 1000;

/// A recipe, less what only its readers need.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    stamp: Stamp,
    /// When it was last written, by the store's clock.
    pub(crate) modified: u64,
    /// Bytes of the recipe itself.
    pub(crate) bytes: u64,
    pub(crate) pending: bool,
    /// Recipes that it needs: the next one, or all that a writer at work reads.
    pub(crate) below: Vec<Id>,
    /// Data objects that it names.
    pub(crate) objects: Vec<Id>,
}

/// All recipes that there are.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: HashMap<Id, Node>,
}

/// The fields of a recipe that name other things; see [`Recipe`].
#[derive(Clone, PartialEq, Message)]
struct Names {
    #[prost(enumeration = "State", tag = "1")]
    state: i32,
    #[prost(string, repeated, tag = "4")]
    objects: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    chain: Vec<String>,
    #[prost(string, repeated, tag = "12")]
    also: Vec<String>,
}

impl Graph {
    /// Looks again. Any recipe that cannot be read ends it: what that one names is not known, so
    /// nothing may be taken for unnamed.
    pub(super) async fn refresh(&mut self, store: &PageStore, watch: &Watch) -> Result<()> {
        watch.begin(Phase::Recipes, None);
        let mut seen = HashSet::with_capacity(self.nodes.len());
        let mut after = None;
        loop {
            let page = store.objects.list(Kind::Recipe.prefix(), after.as_ref(), PAGE).await?;
            for meta in &page.objects {
                watch.step()?;
                let id = named(meta.key.as_str())?;
                if self.is_known(id, meta) || self.read(store, id, meta).await? {
                    seen.insert(id);
                }
            }
            after = page.objects.last().map(|meta| meta.key.clone());
            if !page.more {
                break;
            }
        }
        self.nodes.retain(|id, _| seen.contains(id));
        Ok(())
    }

    fn is_known(&self, id: Id, meta: &Meta) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.stamp == meta.stamp)
    }

    /// Reads a recipe; false if it has gone meanwhile.
    async fn read(&mut self, store: &PageStore, id: Id, meta: &Meta) -> Result<bool> {
        let object = match store.objects.get(&meta.key).await {
            Ok(object) => object,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        let bytes = object.bytes.len() as u64;
        let names = store.offload(move || names(id, &object.bytes)).await?;
        let pending = names.state != State::Committed as i32;
        // Only the next recipe is binding. A writer at work reads the others as they were when it
        // began, and would have to begin again without them.
        let below = if pending { names.chain.len() } else { 1 };
        let node = Node {
            stamp: meta.stamp,
            modified: meta.modified,
            bytes,
            pending,
            below: ids(id, names.chain.iter().take(below).chain(&names.also))?,
            objects: ids(id, names.objects.iter())?,
        };
        self.nodes.insert(id, node);
        Ok(true)
    }

    /// A committed recipe among those that are needed for these, and one that it stands on which is
    /// not there.
    pub(super) fn missing(&self, roots: &HashSet<Id>) -> Option<(Id, Id)> {
        let live = self.closure(roots.iter().copied());
        let nodes = live.iter().filter_map(|id| Some((id, self.nodes.get(id)?)));
        let mut below = nodes
            .filter(|(_, node)| !node.pending)
            .flat_map(|(id, node)| node.below.iter().map(|below| (*id, *below)));
        below.find(|(_, below)| !self.nodes.contains_key(below))
    }

    /// The recipes that are needed for these to be read, these included.
    pub(super) fn closure(&self, roots: impl IntoIterator<Item = Id>) -> HashSet<Id> {
        let mut reached = HashSet::new();
        let mut next: Vec<Id> = roots.into_iter().collect();
        while let Some(id) = next.pop() {
            let Some(node) = self.nodes.get(&id) else { continue };
            if reached.insert(id) {
                next.extend(&node.below);
            }
        }
        reached
    }

    /// The data objects that recipes name, but those of `without`.
    pub(super) fn objects(&self, without: &HashSet<Id>) -> HashSet<Id> {
        let nodes = self.nodes.iter().filter(|(id, _)| !without.contains(id));
        nodes.flat_map(|(_, node)| node.objects.iter().copied()).collect()
    }

    /// These recipes in an order in which none goes before one that needs it.
    pub(super) fn uppermost_first(&self, doomed: &HashSet<Id>) -> Vec<Id> {
        let below = |id: &Id| self.nodes.get(id).map(|n| n.below.as_slice()).unwrap_or_default();
        let mut above: HashMap<Id, usize> = doomed.iter().map(|id| (*id, 0)).collect();
        for under in doomed.iter().flat_map(below) {
            if let Some(number) = above.get_mut(under) {
                *number += 1;
            }
        }
        let mut free: Vec<Id> = doomed.iter().copied().filter(|id| above[id] == 0).collect();
        free.sort_unstable();
        let mut order = Vec::with_capacity(doomed.len());
        while let Some(id) = free.pop() {
            order.push(id);
            for under in below(&id) {
                if let Some(number) = above.get_mut(under) {
                    *number -= 1;
                    if *number == 0 {
                        free.push(*under);
                    }
                }
            }
        }
        order
    }
}

fn names(id: Id, stored: &[u8]) -> Result<Names> {
    let name = id.to_string();
    let body = Recipe::body(&name, stored)?;
    Names::decode(body.as_slice())
        .map_err(|e| PageStoreError::damaged(format!("recipe {name}: {e}")))
}

fn ids<'a>(of: Id, names: impl Iterator<Item = &'a String>) -> Result<Vec<Id>> {
    let unknown = |name| PageStoreError::damaged(format!("recipe {of} names {name:?}"));
    names.map(|name| Id::parse(name).ok_or_else(|| unknown(name))).collect()
}

/// Objects of a kind that there are, with their sizes.
pub(super) async fn objects(
    store: &PageStore,
    prefix: &str,
    watch: &Watch,
) -> Result<HashMap<Id, u64>> {
    watch.begin(Phase::Data, None);
    let mut found = HashMap::new();
    let mut after: Option<Key> = None;
    loop {
        let page = store.objects.list(prefix, after.as_ref(), PAGE).await?;
        for meta in &page.objects {
            watch.step()?;
            found.insert(named(meta.key.as_str())?, meta.bytes);
        }
        after = page.objects.last().map(|meta| meta.key.clone());
        if !page.more {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> Id {
        Id::parse(&format!("{n:032x}")).unwrap()
    }

    fn graph(edges: &[(u8, u8)]) -> Graph {
        let mut graph = Graph::default();
        for (upper, under) in edges {
            for n in [*upper, *under] {
                graph.nodes.entry(id(n)).or_insert_with(|| Node {
                    stamp: Stamp(0),
                    modified: 0,
                    bytes: 0,
                    pending: false,
                    below: Vec::new(),
                    objects: vec![id(n)],
                });
            }
            graph.nodes.get_mut(&id(*upper)).unwrap().below.push(id(*under));
        }
        graph
    }

    #[test]
    fn what_is_needed_goes_last() {
        // 3 and 4 stand on 2, that on 1; 5 stands on nothing that is here.
        let graph = graph(&[(3, 2), (4, 2), (2, 1), (5, 5)]);
        assert_eq!(graph.closure([id(3)]), HashSet::from([id(3), id(2), id(1)]));
        assert_eq!(graph.closure([id(9)]), HashSet::new());
        let all: HashSet<Id> = [1, 2, 3, 4].map(id).into();
        let order = graph.uppermost_first(&all);
        let place = |n| order.iter().position(|found| *found == id(n)).unwrap();
        assert!(place(3) < place(2) && place(4) < place(2) && place(2) < place(1));
        assert_eq!(graph.objects(&all), HashSet::from([id(5)]));
        // A ring is damage: it is left alone.
        assert_eq!(graph.uppermost_first(&HashSet::from([id(5)])), vec![]);
    }
}
