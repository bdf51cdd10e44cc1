//! Scrub: what is stored is read again; what damage touches is named, and put right where another
//! copy of the same layer proves what was there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use pagevault_api::Digest;
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::verify::{VerifyCounts, VerifyDamage, VerifyRun, VerifyState};
use pagevault_catalog::{CatalogError, Listed, ListedKind, ManifestRecord};
use pagevault_pagestore::{Damage, RecipeId, Standing, Verified};

use crate::collect::recipes;
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::ingest::Basis;
use crate::{Registry, Result, catalog_error, store_error};

/// Records of one list.
const PAGE: usize = 1000;

/// The scrub of this process: one at a time, and what the last one found.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    run: Mutex<Option<VerifyRun>>,
    stop: AtomicBool,
}

impl Scrub {
    fn lock(&self) -> MutexGuard<'_, Option<VerifyRun>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the last one before this process.
    pub(crate) fn restore(&self, run: Option<VerifyRun>) {
        *self.lock() = run;
    }

    fn begin(&self) -> Result<VerifyRun> {
        let mut run = self.lock();
        let last = run.as_ref();
        if last.is_some_and(|run| run.state == VerifyState::Running) {
            let message = "a scrub is running already; look at it or wait for it";
            return Err(RegistryError::new(Kind::Conflict, message));
        }
        let begun = VerifyRun {
            id: last.map_or(0, |run| run.id) + 1,
            state: VerifyState::Running,
            started_at: Timestamp::now(),
            finished_at: None,
            read: VerifyCounts::default(),
            damage: Vec::new(),
            error: None,
        };
        *run = Some(begun.clone());
        Ok(begun)
    }

    /// Notes what has been read; false if it is to end.
    fn went_on(&self, read: Verified) -> bool {
        if let Some(run) = self.lock().as_mut() {
            run.read = counts(read);
        }
        self.goes_on()
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn end(&self, outcome: Result<Vec<VerifyDamage>>) {
        let mut run = self.lock();
        let Some(run) = run.as_mut() else { return };
        run.finished_at = Some(Timestamp::now());
        match outcome {
            Ok(damage) => {
                let stopped = self.stop.load(Ordering::Relaxed);
                run.state = if stopped { VerifyState::Cancelled } else { VerifyState::Done };
                run.damage = damage;
                tracing::info!(
                    verify.recipes = run.read.recipes,
                    verify.bytes = run.read.bytes,
                    verify.damaged = run.damage.len(),
                    "read all that is stored"
                );
            }
            Err(error) => {
                tracing::error!(%error, "a scrub could not go on");
                run.state = VerifyState::Failed;
                run.error = Some(error.to_string());
            }
        }
    }
}

/// What is told of a record that is damaged, or names what is not there.
fn damaged_record(record: &Listed, what: String) -> VerifyDamage {
    let repository = record.repository.clone();
    let (layer, image) = match &record.kind {
        ListedKind::Manifest(digest) | ListedKind::Detail(digest) => {
            (String::new(), Some(Reference::digest(repository, digest.clone())))
        }
        ListedKind::Blob(digest) => (digest.to_string(), None),
        ListedKind::Tag(tag) => {
            let selector = Selector::Tag(tag.clone());
            (String::new(), Some(Reference { repository, selector }))
        }
    };
    let (recipe, touches) = (record.key.to_string(), image.into_iter().collect());
    VerifyDamage { recipe, layer, what, touches, repaired: false }
}

fn counts(read: Verified) -> VerifyCounts {
    VerifyCounts { recipes: read.recipes, blocks: read.blocks, bytes: read.bytes }
}

/// Who names what.
#[derive(Debug, Default)]
struct Named {
    /// Images, by the recipes that they name.
    images: HashMap<String, BTreeMap<String, Reference>>,
    /// Recipes, by the digest of what they make.
    copies: HashMap<String, BTreeSet<String>>,
}

impl Registry {
    /// Starts a scrub, which goes on by itself.
    pub fn start_verify(self: &Arc<Self>) -> Result<VerifyRun> {
        let begun = self.scrub.begin()?;
        let registry = Arc::clone(self);
        self.background.spawn(async move {
            let outcome = registry.verify().await;
            registry.scrub.end(outcome);
            if let Some(run) = registry.last_verify() {
                registry.scrubbed.add(&run);
                registry.keep_scrub(&run).await;
            }
        });
        Ok(begun)
    }

    /// The scrub that is running, or the last one.
    pub fn last_verify(&self) -> Option<VerifyRun> {
        self.scrub.lock().clone()
    }

    /// Asks the scrub that is running to end.
    pub fn cancel_verify(&self) {
        self.scrub.stop.store(true, Ordering::Relaxed);
    }

    async fn verify(&self) -> Result<Vec<VerifyDamage>> {
        let verified = self.pages.verify(&|read| self.scrub.went_on(read)).await;
        let (read, damage) = verified.map_err(store_error)?;
        self.scrub.went_on(read);
        let (named, mut all) = self.read_records().await?;
        for found in damage {
            tracing::error!(recipe = %found.recipe.0, layer = %found.layer, "{}", found.what);
            let repaired = self.repair(&found, &named).await;
            let touched = found.touches.iter().filter_map(|recipe| named.images.get(&recipe.0));
            let touches: BTreeMap<_, _> = touched.flatten().collect();
            all.push(VerifyDamage {
                recipe: found.recipe.0,
                layer: found.layer,
                what: found.what,
                touches: touches.into_values().cloned().collect(),
                repaired,
            });
        }
        Ok(all)
    }

    /// Reads all records: which images name which recipes, where layers are twice; and what is wrong
    /// with the records themselves.
    async fn read_records(&self) -> Result<(Named, Vec<VerifyDamage>)> {
        let (mut named, mut damage, mut after) = (Named::default(), Vec::new(), None);
        loop {
            let (listed, more) =
                self.catalog.records(after.as_ref(), PAGE).await.map_err(catalog_error)?;
            for record in &listed {
                match self.read_record(record, &mut named).await {
                    Ok(None) => {}
                    Ok(Some(what)) | Err(CatalogError::Corrupt { what, .. }) => {
                        tracing::error!(record = %record.key, "{what}");
                        damage.push(damaged_record(record, what));
                    }
                    Err(error) => return Err(catalog_error(error)),
                }
            }
            after = listed.into_iter().next_back().map(|record| record.key);
            if !more || !self.scrub.goes_on() {
                return Ok((named, damage));
            }
        }
    }

    /// Reads a record; tells what is wrong with what it names, if anything.
    async fn read_record(
        &self,
        record: &Listed,
        named: &mut Named,
    ) -> Result<Option<String>, CatalogError> {
        let repository = &record.repository;
        match &record.kind {
            ListedKind::Tag(tag) => drop(self.catalog.find_tag(repository, tag).await?),
            ListedKind::Detail(digest) => {
                drop(self.catalog.detail_entry(repository, digest).await?);
            }
            ListedKind::Blob(digest) => {
                let blob = self.catalog.find_blob(repository, digest).await?;
                if let Some(copy) = blob.and_then(|blob| crate::collect::recipe(&blob.location)) {
                    named.copies.entry(digest.to_string()).or_default().insert(copy);
                }
            }
            ListedKind::Manifest(digest) => {
                let Some(manifest) = self.catalog.find_manifest(repository, digest).await? else {
                    return Ok(None);
                };
                let image = Reference::digest(repository.clone(), digest.clone());
                for (layer, location) in &manifest.blobs {
                    let Some(recipe) = crate::collect::recipe(location) else { continue };
                    named.copies.entry(layer.clone()).or_default().insert(recipe);
                }
                for recipe in recipes(&manifest) {
                    let missing = self.is_missing(repository, digest, &recipe).await?;
                    let images = named.images.entry(recipe.clone()).or_default();
                    images.insert(image.to_string(), image.clone());
                    if missing {
                        return Ok(Some(format!("recipe {recipe}, which it names, is missing")));
                    }
                }
                return self.missing_blob(repository, &manifest).await;
            }
        }
        Ok(None)
    }

    /// What a manifest names and its repository does not have: nobody can pull that image.
    async fn missing_blob(
        &self,
        repository: &str,
        manifest: &ManifestRecord,
    ) -> Result<Option<String>, CatalogError> {
        for digest in manifest.blobs.keys() {
            let Ok(blob) = digest.parse() else { continue };
            let there = match self.catalog.find_blob(repository, &blob).await {
                // That is told of the record itself.
                Err(CatalogError::Corrupt { .. }) => true,
                found => found?.is_some(),
            };
            if !there && self.catalog.find_manifest(repository, &manifest.digest).await?.is_some() {
                return Ok(Some(format!(
                    "blob {digest}, which it names, is not in its repository"
                )));
            }
        }
        Ok(None)
    }

    /// Whether a recipe that a manifest names is missing, and the manifest still names it.
    async fn is_missing(
        &self,
        repository: &str,
        manifest: &Digest,
        recipe: &str,
    ) -> Result<bool, CatalogError> {
        let id = RecipeId(recipe.to_owned());
        if !matches!(self.pages.standing(&id).await, Ok(Standing::Gone)) {
            return Ok(false);
        }
        // Deleted, or stored anew, since it was read?
        let now = self.catalog.find_manifest(repository, manifest).await?;
        Ok(now.is_some_and(|manifest| recipes(&manifest).contains(&id.0)))
    }

    /// Stores a damaged layer anew from another recipe that makes it, if there is a whole one.
    async fn repair(&self, damage: &Damage, named: &Named) -> bool {
        let Ok(layer) = damage.layer.parse::<Digest>() else { return false };
        let copies = named.copies.get(&damage.layer).into_iter().flatten();
        for copy in copies.map(|copy| RecipeId(copy.clone())) {
            if copy == damage.recipe {
                continue;
            }
            let Ok(reader) = self.pages.open(&copy).await else { continue };
            match self.restore(&layer, &reader, &damage.recipe, Basis::None).await {
                Ok(_) => {
                    tracing::info!(layer.digest = %layer, "a damaged layer was stored anew");
                    self.landed.forgive();
                    return true;
                }
                Err(error) => tracing::warn!(layer.digest = %layer, %error, "no repair"),
            }
        }
        false
    }
}
