//! Why something is kept: who names it, directly and through others.

use std::collections::HashSet;

use pagevault_objects::ErrorKind;

use super::graph::Graph;
use super::id::Id;
use super::report::Watch;
use super::tombs::Kind;
use crate::Result;
use crate::store::{PageStore, data_key};

/// All recipes, as they were when it was made.
#[derive(Debug)]
pub struct Survey {
    graph: Graph,
    condemned: [HashSet<Id>; 2],
    held: HashSet<Id>,
}

/// What is known of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeFacts {
    /// Bytes of the recipe itself.
    pub bytes: u64,
    /// It cannot be read yet: its writer is at work, or has died.
    pub pending: bool,
    /// A writer of this process is at work on it.
    pub held: bool,
    /// It has a tombstone.
    pub condemned: bool,
    /// Data objects that it names.
    pub objects: Vec<String>,
    /// Recipes that stand on it directly.
    pub above: Vec<String>,
}

/// What is known of a data object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFacts {
    /// Its bytes.
    pub bytes: u64,
    /// It has a tombstone.
    pub condemned: bool,
    /// Recipes that name it.
    pub named_by: Vec<String>,
}

impl PageStore {
    /// Reads all recipes, to answer questions about them.
    pub async fn survey(&self, watch: &Watch) -> Result<Survey> {
        let condemned = [self.condemned(Kind::Recipe).await?, self.condemned(Kind::Data).await?];
        let held = self.holds.all().into_iter().collect();
        let mut graph = Graph::default();
        graph.refresh(self, watch).await?;
        Ok(Survey { graph, condemned, held })
    }

    /// What is known of a data object; nothing if it is not there.
    pub async fn data_facts(&self, survey: &Survey, name: &str) -> Result<Option<DataFacts>> {
        let Some(id) = Id::parse(name) else { return Ok(None) };
        let meta = match self.objects.head(&data_key(name)?).await {
            Ok(meta) => meta,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let nodes = survey.graph.nodes.iter();
        let named_by = nodes.filter(|(_, n)| n.objects.contains(&id)).map(|(id, _)| id.to_string());
        Ok(Some(DataFacts {
            bytes: meta.bytes,
            condemned: survey.condemned[1].contains(&id),
            named_by: sorted(named_by),
        }))
    }
}

impl Survey {
    /// The recipes that one stands on directly: the next one, or all that its writer reads.
    pub fn below(&self, name: &str) -> Vec<String> {
        let node = Id::parse(name).and_then(|id| self.graph.nodes.get(&id));
        node.map(|node| node.below.iter().map(Id::to_string).collect()).unwrap_or_default()
    }

    /// What is known of a recipe; nothing if it is not there.
    pub fn recipe(&self, name: &str) -> Option<RecipeFacts> {
        let id = Id::parse(name)?;
        let node = self.graph.nodes.get(&id)?;
        let above = self.graph.nodes.iter().filter(|(_, n)| n.below.contains(&id));
        Some(RecipeFacts {
            bytes: node.bytes,
            pending: node.pending,
            held: self.held.contains(&id),
            condemned: self.condemned[0].contains(&id),
            objects: node.objects.iter().map(Id::to_string).collect(),
            above: sorted(above.map(|(id, _)| id.to_string())),
        })
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}
