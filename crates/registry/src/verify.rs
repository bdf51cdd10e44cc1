//! Scrub: what is stored is read again; what damage touches is named, and put right where another
//! copy of the same layer proves what was there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use pagevault_api::Digest;
use pagevault_api::reference::Reference;
use pagevault_api::verify::{VerifyCounts, VerifyDamage, VerifyRun, VerifyState};
use pagevault_catalog::ListedKind;
use pagevault_pagestore::{Damage, RecipeId, Verified};

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
        });
        Ok(begun)
    }

    /// The scrub that is running, or the last one since the server started.
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
        if damage.is_empty() {
            return Ok(Vec::new());
        }
        let named = self.read_names().await?;
        let mut all = Vec::new();
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

    /// Reads all manifests: which images name which recipes, and where layers are twice.
    async fn read_names(&self) -> Result<Named> {
        let (mut named, mut after) = (Named::default(), None);
        loop {
            let (listed, more) =
                self.catalog.records(after.as_ref(), PAGE).await.map_err(catalog_error)?;
            for record in &listed {
                let ListedKind::Manifest(digest) = &record.kind else { continue };
                let found = self.catalog.find_manifest(&record.repository, digest).await;
                let Some(manifest) = found.map_err(catalog_error)? else { continue };
                for recipe in recipes(&manifest) {
                    let image = Reference::digest(record.repository.clone(), digest.clone());
                    let images = named.images.entry(recipe).or_default();
                    images.insert(image.to_string(), image);
                }
                for (layer, location) in &manifest.blobs {
                    if let Some(recipe) = crate::collect::recipe(location) {
                        named.copies.entry(layer.clone()).or_default().insert(recipe);
                    }
                }
            }
            after = listed.into_iter().next_back().map(|record| record.key);
            if !more {
                return Ok(named);
            }
        }
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
                    return true;
                }
                Err(error) => tracing::warn!(layer.digest = %layer, %error, "no repair"),
            }
        }
        false
    }
}
