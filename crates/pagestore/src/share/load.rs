//! Bringing the index into memory, and making it anew from what is stored.

use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt};
use pagevault_objects::ErrorKind;

use super::domain::Domain;
use super::find::sample_pages;
use super::hooks::{ObjectHooks, PREFIX, hooks_key, number};
use super::index::Hook;
use super::matching::RUN_MIN;
use super::read::read_frame;
use super::session::put_hooks;
use crate::block::literal_frame;
use crate::error::PageStoreError;
use crate::listing::Names;
use crate::recipe::{Encoding, Frame, Recipe, Segment};
use crate::store::{PageStore, RecipeId, data_key};
use crate::{PAGE, Result, codec};

/// Objects that are read at once.
const AT_ONCE: usize = 8;

/// What loading or rebuilding the index came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Objects whose hooks were taken in.
    pub objects: u64,
    /// Objects whose hooks are damaged, or of another key: rebuilding brings them back.
    pub damaged: u64,
    /// Hooks that were removed because their object is gone.
    pub gone: u64,
}

enum Outcome {
    Taken,
    Damaged,
    Gone,
}

impl PageStore {
    /// Loads the stored index. Layers can be written meanwhile; they find what is loaded so far.
    pub async fn load_index(&self) -> Result<Loaded> {
        let condemned = self.condemned_objects().await?;
        let mut loaded = Loaded::default();
        let mut listing = Names::new(PREFIX);
        while let Some(names) = listing.next(self).await? {
            let names = names.into_iter().filter(|name| !condemned.contains(name));
            let mut outcomes =
                stream::iter(names.map(|name| async move { self.load_hooks(&name).await }))
                    .buffered(AT_ONCE);
            while let Some(outcome) = outcomes.next().await {
                match outcome? {
                    Outcome::Taken => loaded.objects += 1,
                    Outcome::Damaged => loaded.damaged += 1,
                    Outcome::Gone => loaded.gone += 1,
                }
            }
        }
        Ok(loaded)
    }

    async fn load_hooks(&self, object: &str) -> Result<Outcome> {
        match self.objects.head(&data_key(object)?).await {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {
                // Hooks are written after their object, which never comes back.
                self.objects.delete(&hooks_key(object)?).await?;
                return Ok(Outcome::Gone);
            }
            Err(e) => return Err(e.into()),
        }
        let stored = match self.objects.get(&hooks_key(object)?).await {
            Ok(stored) => stored,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Outcome::Gone),
            Err(e) => return Err(e.into()),
        };
        let Ok(hooks) = ObjectHooks::from_bytes(object, &stored.bytes) else {
            return Ok(Outcome::Damaged);
        };
        let domain = match self.domain(&hooks.domain).await {
            Ok(domain) if domain.key.name() == hooks.key => domain,
            Ok(_) | Err(PageStoreError::Damaged(_)) => return Ok(Outcome::Damaged),
            Err(e) => return Err(e),
        };
        let Some(number) = number(object) else { return Ok(Outcome::Damaged) };
        domain.add(number, &hooks.hooks);
        Ok(Outcome::Taken)
    }

    /// Makes the index anew for all that is stored and not in it: reads every block of pages.
    pub async fn rebuild_index(&self) -> Result<Loaded> {
        let condemned = self.condemned_objects().await?;
        let mut loaded = Loaded::default();
        let mut listing = Names::new("recipes/");
        while let Some(names) = listing.next(self).await? {
            for name in names {
                match self.recipe(&RecipeId(name)).await {
                    Ok((recipe, _)) => {
                        self.rebuild_recipe(&recipe, &condemned, &mut loaded).await?;
                    }
                    // Pending, removed meanwhile, or not for this program to read.
                    Err(PageStoreError::NotFound(_) | PageStoreError::TooNew(_)) => {}
                    Err(PageStoreError::Damaged(_)) => loaded.damaged += 1,
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(loaded)
    }

    /// The objects in which the recipe's own segments are.
    async fn rebuild_recipe(
        &self,
        recipe: &Recipe,
        condemned: &HashSet<String>,
        loaded: &mut Loaded,
    ) -> Result<()> {
        let mut objects: BTreeMap<u32, Vec<Segment>> = BTreeMap::new();
        let segments = recipe.extents.iter().flat_map(|extent| &extent.segments);
        for segment in segments.filter(|s| s.encoding == Encoding::Pages as i32) {
            objects.entry(segment.object).or_default().push(*segment);
        }
        for (object, segments) in objects {
            let Some(name) = recipe.objects.get(object as usize) else { continue };
            let Some(number) = number(name).filter(|_| !condemned.contains(name)) else { continue };
            let domain = self.domain(&recipe.domain).await?;
            if domain.knows(number) {
                continue;
            }
            let hooks = self.rehash(&domain, name, &segments).await?;
            put_hooks(self, name, &hooks).await?;
            domain.add(number, &hooks.hooks);
            loaded.objects += u64::from(!hooks.hooks.is_empty());
        }
        Ok(())
    }

    /// The hooks of an object, from the blocks in it. A block that is damaged has none.
    pub(super) async fn rehash(
        &self,
        domain: &Domain,
        object: &str,
        segments: &[Segment],
    ) -> Result<ObjectHooks> {
        let (name, key) = (domain.name.clone(), domain.key.name());
        let mut all = ObjectHooks { domain: name, key, ..ObjectHooks::default() };
        for segment in segments {
            let Some(frame) = self.frame_of(object, segment).await? else { continue };
            let literals = match read_frame(self, object.to_owned(), frame).await {
                Ok(literals) => literals,
                Err(PageStoreError::Damaged(_) | PageStoreError::Codec(_)) => continue,
                Err(e) => return Err(e),
            };
            let key = domain.key.clone();
            let hash = move || {
                let count = literals.literal_count();
                let raw = literals.literals(0, count);
                Ok(sample_pages(&key, 0..raw.len() / PAGE, raw).1)
            };
            let sampled = self.offload(hash).await?;
            let block = all.blocks.len() as u32;
            let hook = |(literal, id)| Hook { id, block, literal: literal as u32 };
            all.hooks.extend(sampled.into_iter().map(hook));
            all.blocks.push(frame);
        }
        Ok(all)
    }

    /// Where the literals of a segment's block are, if it has enough of them.
    async fn frame_of(&self, object: &str, segment: &Segment) -> Result<Option<Frame>> {
        let end = segment.at.saturating_add(u64::from(segment.stored));
        let stored = match self.objects.get_range(&data_key(object)?, segment.at..end).await {
            Ok(stored) => stored,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Truncated) => {
                return Ok(None);
            }
            Err(e) => return Err(e.into()),
        };
        if codec::checksum(&stored) != segment.stored_checksum {
            return Ok(None);
        }
        let found = literal_frame(&stored).filter(|(_, pages)| *pages as usize >= RUN_MIN);
        let Some((range, pages)) = found else { return Ok(None) };
        Ok(Some(Frame {
            at: segment.at + range.start as u64,
            stored: range.len() as u32,
            checksum: codec::checksum(&stored[range]),
            pages,
            ..Frame::default()
        }))
    }
}
