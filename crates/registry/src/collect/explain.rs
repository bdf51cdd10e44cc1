//! Why something is kept.

use std::collections::{HashMap, HashSet};

use pagevault_api::Digest;
use pagevault_api::gc::{GcExplanation, GcItem, GcItemKind};
use pagevault_catalog::{ListedKind, Mark};
use pagevault_objects::Key;
use pagevault_pagestore::{Survey, Watch};

use super::roots::{recipe, recipes};
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::{Registry, Result, catalog_error, store_error};

/// Records of one list.
const PAGE: usize = 1000;

/// What records say.
#[derive(Debug, Default)]
struct Named {
    /// By recipe, who names it.
    recipes: HashMap<String, Vec<String>>,
    /// Manifests and blobs of the digest that was asked about.
    items: Vec<GcItem>,
    /// Recipes that those name.
    wanted: Vec<String>,
    /// Blobs of that digest, by repository, whose namers are looked for.
    blobs: HashMap<String, usize>,
}

impl Registry {
    /// Says of a digest, a recipe or a data object why it is kept. Reads all records and recipes, so one
    /// question waits for the other.
    pub async fn explain(&self, subject: &str) -> Result<GcExplanation> {
        let digest: Option<Digest> = subject.parse().ok();
        let is_name = subject.len() == 32 && subject.bytes().all(|b| b.is_ascii_hexdigit());
        if digest.is_none() && !is_name {
            let message = format!("{subject:?} is no digest, and no name of a recipe or object");
            return Err(RegistryError::new(Kind::Invalid, message));
        }
        // Only a closed semaphore fails, and this one is never closed.
        let _turn = self.explaining.acquire().await.ok();
        let survey = self.pages.survey(&Watch::default()).await.map_err(store_error)?;
        let mut named = self.named(digest.as_ref()).await?;
        let mut items = std::mem::take(&mut named.items);
        let mut wanted = std::mem::take(&mut named.wanted);
        wanted.extend(is_name.then(|| subject.to_owned()));
        wanted.sort_unstable();
        wanted.dedup();
        for name in &wanted {
            items.extend(recipe_item(&survey, &named, name));
        }
        let mut objects: Vec<String> =
            wanted.iter().filter_map(|name| survey.recipe(name)).flat_map(|r| r.objects).collect();
        objects.extend(is_name.then(|| subject.to_owned()));
        for name in objects {
            items.extend(self.object_item(&survey, &named, &name).await?);
        }
        let kept = items.iter().any(|item| item.kept);
        Ok(GcExplanation { subject: subject.to_owned(), kept, items })
    }

    /// Goes through all records.
    async fn named(&self, subject: Option<&Digest>) -> Result<Named> {
        let (mut named, mut after) = (Named::default(), None::<Key>);
        loop {
            let listed = self.catalog.records(after.as_ref(), PAGE).await;
            let (listed, more) = listed.map_err(catalog_error)?;
            for record in &listed {
                match &record.kind {
                    ListedKind::Tag(_) | ListedKind::Detail(_) => {}
                    ListedKind::Blob(digest) => {
                        self.blob_of(&mut named, &record.repository, digest, subject).await?;
                    }
                    ListedKind::Manifest(digest) => {
                        self.manifest_of(&mut named, &record.repository, digest, subject).await?;
                    }
                }
            }
            after = listed.into_iter().next_back().map(|record| record.key);
            if !more {
                break;
            }
        }
        for (repository, at) in std::mem::take(&mut named.blobs) {
            let promised = self.catalog.promised(&repository).await.map_err(catalog_error)?;
            if subject.is_some_and(|digest| promised.contains(digest)) {
                keep(&mut named.items[at], "it was promised to a client a moment ago".to_owned());
            }
            let item = &mut named.items[at];
            if !item.kept {
                item.because.push("no manifest of the repository names it".to_owned());
            }
        }
        Ok(named)
    }

    async fn blob_of(
        &self,
        named: &mut Named,
        repository: &str,
        digest: &Digest,
        subject: Option<&Digest>,
    ) -> Result<()> {
        let entry = self.catalog.blob_entry(repository, digest).await.map_err(catalog_error)?;
        let Some(record) = entry.record else { return Ok(()) };
        let id = recipe(&record.location);
        if let Some(id) = &id {
            let by = format!("blob {digest} of {repository} is in it");
            named.recipes.entry(id.clone()).or_default().push(by);
        }
        if subject == Some(digest) {
            named.wanted.extend(id);
            named.blobs.insert(repository.to_owned(), named.items.len());
            let condemned = (entry.mark == Some(Mark::Condemned))
                .then(|| "it is condemned: it goes unless it is named again".to_owned());
            named.items.push(GcItem {
                kind: GcItemKind::Blob,
                name: format!("{repository}@{digest}"),
                kept: false,
                bytes: Some(record.bytes),
                because: condemned.into_iter().collect(),
            });
        }
        Ok(())
    }

    async fn manifest_of(
        &self,
        named: &mut Named,
        repository: &str,
        digest: &Digest,
        subject: Option<&Digest>,
    ) -> Result<()> {
        let entry = self.catalog.manifest_entry(repository, digest).await.map_err(catalog_error)?;
        let Some(record) = entry.record else { return Ok(()) };
        let tentative = entry.mark == Some(Mark::Tentative);
        let about = if tentative { " (a push under way)" } else { "" };
        for id in recipes(&record) {
            let by = format!("manifest {repository}@{digest}{about} names it");
            named.recipes.entry(id).or_default().push(by);
        }
        if subject.is_some_and(|subject| record.references.contains(subject))
            && let Some(at) = named.blobs.get(repository)
        {
            keep(&mut named.items[*at], format!("manifest {digest}{about} names it"));
        }
        if subject == Some(digest) {
            named.wanted.extend(recipes(&record));
            let tags = self.catalog.tags_at(repository, digest).await.map_err(catalog_error)?;
            let because = match tags.as_slice() {
                _ if tentative => "a push is under way that will let it exist".to_owned(),
                [] => "manifests stay until they are deleted, also without a tag".to_owned(),
                tags => format!("manifests stay until they are deleted; tags: {}", tags.join(", ")),
            };
            named.items.push(GcItem {
                kind: GcItemKind::Manifest,
                name: format!("{repository}@{digest}"),
                kept: true,
                bytes: Some(record.bytes.len() as u64),
                because: vec![because],
            });
        }
        Ok(())
    }

    async fn object_item(
        &self,
        survey: &Survey,
        named: &Named,
        name: &str,
    ) -> Result<Option<GcItem>> {
        let facts = self.pages.data_facts(survey, name).await.map_err(store_error)?;
        let Some(facts) = facts else { return Ok(None) };
        let kept = facts.named_by.iter().any(|recipe| is_kept(survey, named, recipe));
        let mut because: Vec<String> =
            facts.named_by.iter().map(|recipe| format!("recipe {recipe} names it")).collect();
        if because.is_empty() {
            because.push("no recipe names it".to_owned());
        }
        because.extend(facts.condemned.then(condemned));
        let (kind, bytes) = (GcItemKind::DataObject, Some(facts.bytes));
        Ok(Some(GcItem { kind, name: name.to_owned(), kept, bytes, because }))
    }
}

fn recipe_item(survey: &Survey, named: &Named, name: &str) -> Option<GcItem> {
    let facts = survey.recipe(name)?;
    let mut because = named.recipes.get(name).cloned().unwrap_or_default();
    because.extend(facts.above.iter().map(|above| format!("recipe {above} stands on it")));
    because.extend(facts.held.then(|| "a push is at work on it".to_owned()));
    if because.is_empty() {
        let pending = if facts.pending { ": its push has died" } else { "" };
        because.push(format!("nothing names it{pending}"));
    }
    because.extend(facts.condemned.then(condemned));
    let (kept, bytes) = (is_kept(survey, named, name), Some(facts.bytes));
    Some(GcItem { kind: GcItemKind::Recipe, name: name.to_owned(), kept, bytes, because })
}

/// Whether a recipe is named, or one that stands on it, however far up.
fn is_kept(survey: &Survey, named: &Named, name: &str) -> bool {
    let (mut seen, mut next) = (HashSet::new(), vec![name.to_owned()]);
    while let Some(name) = next.pop() {
        let Some(facts) = survey.recipe(&name) else { continue };
        if facts.held || named.recipes.contains_key(&name) {
            return true;
        }
        next.extend(facts.above.into_iter().filter(|above| seen.insert(above.clone())));
    }
    false
}

fn condemned() -> String {
    "it is condemned: it takes no new names, and goes when the last one has gone".to_owned()
}

fn keep(item: &mut GcItem, because: String) {
    item.kept = true;
    item.because.push(because);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::RegistryConfig;

    #[tokio::test]
    async fn one_question_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        let config =
            RegistryConfig { data, reserve_bytes: 0, window_bytes: 1 << 20, retention: None };
        let registry = Registry::open(config).await.unwrap();
        let name = "0".repeat(32);
        let turn = registry.explaining.acquire().await.unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(300), registry.explain(&name));
        assert!(waits.await.is_err());
        drop(turn);
        assert!(!registry.explain(&name).await.unwrap().kept);
        registry.close(Duration::ZERO).await;
    }
}
