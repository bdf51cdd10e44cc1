//! Which bytes of an object that is shared from are still in use, and by whom.

use std::collections::{BTreeMap, HashMap};

use crate::Result;
use crate::error::PageStoreError;
use crate::listing::Names;
use crate::recipe::{Encoding, Recipe, Segment};
use crate::store::{PageStore, RecipeId, data_key};

/// An object of which less than one part in so many is used is worth repacking.
const REPACK_BELOW: u64 = 4;

/// What an object is used for that others share from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectUse {
    /// The data object.
    pub object: String,
    /// Its size.
    pub bytes: u64,
    /// Bytes of it that committed recipes need. Of a block from which pages are shared, what the
    /// recipe that shares most of it uses; a chunk counts once, however many name it.
    pub used_bytes: u64,
    /// Recipes whose own segments are in it.
    pub owners: Vec<RecipeId>,
    /// Recipes that share pages from it, or found chunks in it.
    pub sharers: Vec<RecipeId>,
}

impl ObjectUse {
    /// Whether less than a quarter of it is used.
    pub fn mostly_dead(&self) -> bool {
        self.used_bytes < self.bytes / REPACK_BELOW
    }
}

#[derive(Debug, Default)]
struct Tally {
    own_bytes: u64,
    /// Per block, where it is: the most that one recipe uses.
    shared: HashMap<u64, u64>,
    owners: Vec<RecipeId>,
    sharers: Vec<RecipeId>,
}

impl PageStore {
    /// The use of each object that pages are shared from, by all committed recipes.
    pub async fn object_uses(&self) -> Result<Vec<ObjectUse>> {
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        let mut listing = Names::new("recipes/");
        while let Some(names) = listing.next(self).await? {
            for name in names {
                let id = RecipeId(name);
                match self.recipe(&id).await {
                    Ok((recipe, _)) => count(&id, &recipe, &mut tallies),
                    Err(PageStoreError::NotFound(_)) => {}
                    // What is not known to be unused is in use: no answer is better than half a one.
                    Err(e) => return Err(e),
                }
            }
        }
        let mut uses = Vec::new();
        for (object, tally) in tallies.into_iter().filter(|(_, t)| !t.sharers.is_empty()) {
            let bytes = self.objects.head(&data_key(&object)?).await;
            let bytes = bytes.map_err(|e| PageStoreError::reading(&object, e))?.bytes;
            let shared: u64 = tally.shared.values().sum();
            // What owners need holds what is shared.
            let used_bytes = if tally.owners.is_empty() { shared } else { tally.own_bytes };
            let Tally { owners, sharers, .. } = tally;
            uses.push(ObjectUse { object, bytes, used_bytes, owners, sharers });
        }
        Ok(uses)
    }
}

/// Whether a segment is in an object that was written for its recipe. Chunks may be in others.
pub(super) fn is_own(recipe: &Recipe, segment: &Segment) -> bool {
    segment.object == 0 || recipe.objects.is_empty() || segment.encoding == Encoding::Pages as i32
}

fn count(id: &RecipeId, recipe: &Recipe, tallies: &mut BTreeMap<String, Tally>) {
    let once = |list: &mut Vec<RecipeId>| {
        if list.last() != Some(id) {
            list.push(id.clone());
        }
    };
    for extent in &recipe.extents {
        for segment in extent.segments.iter().filter(|segment| segment.stored > 0) {
            let Some(name) = recipe.objects.get(segment.object as usize) else { continue };
            let tally = tallies.entry(name.clone()).or_default();
            if is_own(recipe, segment) {
                tally.own_bytes += u64::from(segment.stored);
                once(&mut tally.owners);
            } else {
                tally.shared.insert(segment.at, u64::from(segment.stored));
                once(&mut tally.sharers);
            }
        }
        for source in extent.sources.iter().filter(|source| source.pages > 0) {
            let Some(name) = recipe.objects.get(source.object as usize) else { continue };
            let tally = tallies.entry(name.clone()).or_default();
            let most = tally.shared.entry(source.at).or_default();
            *most = (*most).max(source.used_bytes());
            once(&mut tally.sharers);
        }
    }
}
