//! Collection: recipes and data objects that nothing names are removed, while pushes and pulls go on.
//!
//! The contract is in FORMAT.md. In short: plan; write tombstones; *then* look again who names what;
//! remove what is condemned and still unnamed; then its tombstones. Any number of collectors may be
//! at it, and each may stall at any point for as long as it likes.

mod explain;
mod graph;
mod held;
mod id;
mod report;
mod sizes;
mod tombs;

use std::collections::{HashMap, HashSet};
use std::error::Error as StdError;
use std::time::Instant;

use async_trait::async_trait;

pub(crate) use self::graph::Graph;
pub(crate) use self::id::Id;
pub use explain::{DataFacts, RecipeFacts, Survey};
pub use held::Hold;
pub(crate) use held::Holds;
pub use report::{Buried, CollectProgress, CollectStats, Phase, Tally, Watch};
pub use sizes::{Counted, Sizes, Stored};
pub(crate) use tombs::Kind;
pub use tombs::Standing;

use crate::Result;
use crate::error::PageStoreError;
use crate::rebase;
use crate::share::{HOOKS, hooks_key};
use crate::store::PageStore;

/// Buried recipes that are reported one by one.
const BURIED_MAX: usize = 20;

/// How often all is looked at before a missing recipe is taken for lost.
const LOOKS_MAX: u32 = 4;

/// Why the names of recipes could not be read.
pub type RootsError = Box<dyn StdError + Send + Sync>;

/// What takes the names of recipes.
pub type Names<'n> = dyn FnMut(&str) + Send + 'n;

/// Whoever keeps recipes by naming them.
#[async_trait]
pub trait Roots: Send {
    /// Reads the names of all recipes that are named *now*, and gives each to `name`. A name that
    /// stands during the whole call must be given. Failing is safe, leaving out is not.
    async fn visit(&mut self, name: &mut Names<'_>) -> Result<(), RootsError>;

    /// Those of the names that were given last which are certain: what they name was there when
    /// somebody was told so, and must be there now.
    fn certain(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// How to collect.
#[derive(Debug, Clone, Copy)]
pub struct CollectOptions {
    /// Only say what would go.
    pub dry_run: bool,
    /// In a store that others write to as well: seconds since it was last written after which the
    /// writer of a recipe that nothing names is taken for dead. A mistake costs that writer a second
    /// try, no data.
    pub grace_seconds: u64,
    /// Bytes that are to be freed for each hundred that are written, for a layer to be worth storing
    /// anew.
    pub rebase_gain: u64,
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self { dry_run: false, grace_seconds: 3600, rebase_gain: 125 }
    }
}

/// One collection.
struct Run<'a> {
    store: &'a PageStore,
    options: CollectOptions,
    watch: &'a Watch,
    graph: Graph,
    /// Recipes that records named when they were last read.
    named: HashSet<Id>,
    stats: CollectStats,
}

impl PageStore {
    /// Removes what nothing names. What fails ends the collection where it is, and nothing of it
    /// has to be undone.
    pub async fn collect(
        &self,
        roots: &mut dyn Roots,
        options: CollectOptions,
        watch: &Watch,
    ) -> Result<CollectStats> {
        let (graph, stats) = (Graph::default(), CollectStats::default());
        let mut run = Run { store: self, options, watch, graph, named: HashSet::new(), stats };
        let doomed = run.recipes(roots).await?;
        run.data(&doomed).await?;
        Ok(run.stats)
    }
}

impl Run<'_> {
    /// Recipes, first part of the run. Returns those that are gone, or would be.
    async fn recipes(&mut self, roots: &mut dyn Roots) -> Result<HashSet<Id>> {
        let begun = Instant::now();
        let mut condemned = self.store.condemned(Kind::Recipe).await?;
        let (named, writing) = self.look(roots).await?;
        let live = self.graph.closure(named.iter().chain(&writing).copied());
        let unnamed: HashSet<Id> =
            self.graph.nodes.keys().copied().filter(|id| !live.contains(id)).collect();
        self.count_recipes(&named, &writing);
        self.stats.mark_micros += micros(begun);
        if self.options.dry_run {
            self.free_recipes(&unnamed);
            return Ok(unnamed);
        }
        let begun = Instant::now();
        self.forget_gone(Kind::Recipe, &mut condemned, |graph, id| graph.nodes.contains_key(id))
            .await?;
        self.condemn(Kind::Recipe, &unnamed, &mut condemned).await?;
        let (named, writing) = self.look(roots).await?;
        // A recipe that was not condemned before this look may have a writer that has made all its
        // checks, so what is under it stays, whoever names it.
        let others = self.graph.nodes.keys().filter(|id| !condemned.contains(id));
        let live = self.graph.closure(others.chain(&named).chain(&writing).copied());
        let doomed: HashSet<Id> = condemned
            .iter()
            .copied()
            .filter(|id| self.graph.nodes.contains_key(id) && !live.contains(id))
            .collect();
        self.stats.condemned += (condemned.len() - doomed.len()) as u64;
        let order = self.graph.uppermost_first(&doomed);
        self.watch.begin(Phase::Remove, Some(order.len() as u64));
        for id in order {
            self.watch.step()?;
            self.store.bury(Kind::Recipe, id).await?;
            self.free_recipes(&HashSet::from([id]));
            self.graph.nodes.remove(&id);
        }
        self.stats.sweep_micros += micros(begun);
        Ok(doomed)
    }

    /// Looks who names what, until nothing is missing: what a layer stands on may have been written
    /// after its turn in the list, or the layer been put on something else; what a record names, or
    /// the record itself, may have gone. A recipe that stays missing ends the collection: what it
    /// names is not known, and might be taken for needless.
    async fn look(&mut self, roots: &mut dyn Roots) -> Result<(HashSet<Id>, HashSet<Id>)> {
        let mut tries = 0;
        loop {
            let (named, writing) = self.look_once(roots).await?;
            let missing = match self.graph.missing(&named) {
                Some((recipe, below)) => {
                    Some(format!("recipe {recipe} stands on {below}, which is missing"))
                }
                None => self.lost(roots.certain()).await?,
            };
            let Some(missing) = missing else { return Ok((named, writing)) };
            tries += 1;
            if tries == LOOKS_MAX {
                let what = format!(
                    "{missing}: push that checkpoint again, bring the recipe back, or delete the \
                     checkpoints that `pagevault verify` names"
                );
                return Err(PageStoreError::damaged(what));
            }
        }
    }

    /// What a record names for certain, and is not there, if there is such a thing.
    async fn lost(&self, certain: Vec<&str>) -> Result<Option<String>> {
        for recipe in certain {
            let known = Id::parse(recipe).is_some_and(|id| self.graph.nodes.contains_key(&id));
            // It may have been written since recipes were listed.
            if !known && !self.store.is_there(&Kind::Recipe.key(recipe)?).await? {
                return Ok(Some(format!("recipe {recipe}, which a manifest names, is missing")));
            }
        }
        Ok(None)
    }

    /// Who names recipes now: records, and writers at work. Recipes are read before records: a name
    /// moves from a writer to a record, not back.
    async fn look_once(&mut self, roots: &mut dyn Roots) -> Result<(HashSet<Id>, HashSet<Id>)> {
        let now = self.store.objects.now().await?;
        let mut writing: HashSet<Id> = self.store.holds.all().into_iter().collect();
        self.graph.refresh(self.store, self.watch).await?;
        if !self.store.options.exclusive {
            let grace = self.options.grace_seconds;
            let young = |modified: u64| now.saturating_sub(modified) < grace;
            let nodes = self.graph.nodes.iter().filter(|(_, node)| young(node.modified));
            writing.extend(nodes.map(|(id, _)| *id));
        }
        self.watch.begin(Phase::Records, None);
        let (mut named, mut strange) = (HashSet::new(), None);
        let mut name = |text: &str| match Id::parse(text) {
            Some(id) => drop(named.insert(id)),
            None => strange = Some(text.to_owned()),
        };
        roots.visit(&mut name).await.map_err(PageStoreError::Roots)?;
        match strange {
            None => {
                self.named.clone_from(&named);
                Ok((named, writing))
            }
            Some(text) => Err(PageStoreError::damaged(format!("a record names recipe {text:?}"))),
        }
    }

    /// Data objects, second part of the run, once recipes are gone.
    async fn data(&mut self, gone: &HashSet<Id>) -> Result<()> {
        let begun = Instant::now();
        let mut condemned = self.store.condemned(Kind::Data).await?;
        let hooks = graph::objects(self.store, HOOKS, self.watch).await?;
        // Listed before the recipes are read: a writer names an object before it writes it. And
        // after the hooks, which come after it.
        let mut found = graph::objects(self.store, Kind::Data.prefix(), self.watch).await?;
        for (id, bytes) in &hooks {
            found.entry(*id).and_modify(|object| *object += bytes);
        }
        self.graph.refresh(self.store, self.watch).await?;
        let named = self.graph.objects(gone);
        let unnamed: HashSet<Id> = found.keys().copied().filter(|id| !named.contains(id)).collect();
        found.values().for_each(|bytes| self.stats.data.add(*bytes));
        self.bury_bytes(&found);
        self.stats.rebases =
            rebase::plan(&self.graph, &self.named, gone, &found, self.options.rebase_gain);
        self.stats.mark_micros += micros(begun);
        if self.options.dry_run {
            unnamed.iter().for_each(|id| self.stats.freed_data.add(found[id]));
            return Ok(());
        }
        let begun = Instant::now();
        self.forget_gone(Kind::Data, &mut condemned, |_, id| found.contains_key(id)).await?;
        for id in hooks.into_keys().filter(|id| !found.contains_key(id)) {
            self.store.objects.delete(&hooks_key(&id.to_string())?).await?;
        }
        self.condemn(Kind::Data, &unnamed, &mut condemned).await?;
        self.graph.refresh(self.store, self.watch).await?;
        let named = self.graph.objects(&HashSet::new());
        let mut doomed: Vec<Id> =
            condemned.iter().copied().filter(|id| !named.contains(id)).collect();
        doomed.sort_unstable();
        self.stats.condemned += (condemned.len() - doomed.len()) as u64;
        self.watch.begin(Phase::Remove, Some(doomed.len() as u64));
        for id in doomed {
            self.watch.step()?;
            self.store.bury(Kind::Data, id).await?;
            self.stats.freed_data.add(found.get(&id).copied().unwrap_or(0));
        }
        self.stats.sweep_micros += micros(begun);
        Ok(())
    }

    /// Writes the tombstones that are missing.
    async fn condemn(
        &self,
        kind: Kind,
        unnamed: &HashSet<Id>,
        condemned: &mut HashSet<Id>,
    ) -> Result<()> {
        let mut fresh: Vec<Id> = unnamed.difference(condemned).copied().collect();
        fresh.sort_unstable();
        self.watch.begin(Phase::Condemn, Some(fresh.len() as u64));
        for id in fresh {
            self.watch.step()?;
            self.store.condemn(kind, id).await?;
            condemned.insert(id);
        }
        Ok(())
    }

    /// Removes tombstones that a collector has left behind. They were listed before their objects
    /// were, and an object that was collected never comes back.
    async fn forget_gone(
        &self,
        kind: Kind,
        condemned: &mut HashSet<Id>,
        is_there: impl Fn(&Graph, &Id) -> bool,
    ) -> Result<()> {
        let mut gone: Vec<Id> =
            condemned.iter().copied().filter(|id| !is_there(&self.graph, id)).collect();
        gone.sort_unstable();
        for id in gone {
            self.store.forget(kind, id).await?;
            condemned.remove(&id);
        }
        Ok(())
    }

    fn free_recipes(&mut self, gone: &HashSet<Id>) {
        for node in gone.iter().filter_map(|id| self.graph.nodes.get(id)) {
            self.stats.freed_recipes.add(node.bytes);
        }
    }

    fn count_recipes(&mut self, named: &HashSet<Id>, writing: &HashSet<Id>) {
        let stats = &mut self.stats;
        for (id, node) in &self.graph.nodes {
            stats.recipes.add(node.bytes);
            if writing.contains(id) && !named.contains(id) {
                stats.unfinished.add(node.bytes);
            }
        }
        let live = self.graph.closure(named.iter().copied());
        let mut buried: HashMap<Id, u64> = live.difference(named).map(|id| (*id, 0)).collect();
        stats.buried.number = buried.len() as u64;
        for under in live.iter().flat_map(|id| &self.graph.nodes[id].below) {
            if let Some(above) = buried.get_mut(under) {
                *above += 1;
            }
        }
        let entry = |(id, above): (Id, u64)| Buried { recipe: id.to_string(), bytes: 0, above };
        stats.largest_buried = buried.into_iter().map(entry).collect();
    }

    /// Adds to what is buried the bytes that would go with it.
    fn bury_bytes(&mut self, found: &HashMap<Id, u64>) {
        let ids = self.stats.largest_buried.iter().filter_map(|b| Id::parse(&b.recipe));
        let ids: HashSet<Id> = ids.collect();
        let others = self.graph.objects(&ids);
        let (mut all, mut counted) = (0, HashSet::new());
        for buried in &mut self.stats.largest_buried {
            let Some(id) = Id::parse(&buried.recipe) else { continue };
            let Some(node) = self.graph.nodes.get(&id) else { continue };
            for object in node.objects.iter().filter(|object| !others.contains(object)) {
                let bytes = found.get(object).copied().unwrap_or(0);
                buried.bytes += bytes;
                all += if counted.insert(*object) { bytes } else { 0 };
            }
        }
        self.stats.buried.bytes = all;
        let largest = &mut self.stats.largest_buried;
        largest.sort_unstable_by(|a, b| (b.bytes, &a.recipe).cmp(&(a.bytes, &b.recipe)));
        largest.truncate(BURIED_MAX);
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
