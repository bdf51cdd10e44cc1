//! What became of runs outlives the process.

use bytes::Bytes;
use pagevault_api::run::Run;
use pagevault_api::verify::VerifyRun;
use pagevault_catalog::RunKind;
use pagevault_pagestore::RecipeId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::REMEMBERED;
use crate::{Registry, Result, catalog_error, store_error};

impl Registry {
    /// Reads what became of runs before this process.
    pub(crate) async fn remember_runs(&self) -> Result<()> {
        self.runs.restore(self.kept(RunKind::Collection, REMEMBERED).await?);
        self.retention.restore(self.kept(RunKind::Retention, REMEMBERED).await?);
        let scrub: Option<VerifyRun> = self.kept(RunKind::Scrub, 1).await?.into_iter().next();
        if let Some(scrub) = &scrub {
            // Damage without a layer is of a record, or of a recipe that tells by itself that it is damaged.
            let left = scrub.damage.iter().filter(|d| !d.repaired && !d.layer.is_empty());
            let left: Vec<_> = left.map(|damage| RecipeId(damage.recipe.clone())).collect();
            let began = u64::try_from(scrub.started_at.as_second()).unwrap_or(0);
            self.pages.remember_damaged(&left, began).await.map_err(store_error)?;
        }
        self.scrub.restore(scrub);
        Ok(())
    }

    async fn kept<T: DeserializeOwned>(&self, kind: RunKind, limit: usize) -> Result<Vec<T>> {
        let all = self.catalog.kept_runs(kind, limit).await.map_err(catalog_error)?;
        let read = |run: Bytes| {
            let read = serde_json::from_slice(&run);
            read.inspect_err(|error| tracing::warn!(?kind, %error, "a run is left out")).ok()
        };
        Ok(all.into_iter().filter_map(read).collect())
    }

    /// Keeps what became of a run. That it cannot be written, on a full disk, is no reason for it to
    /// fail.
    pub(crate) async fn keep_run<R: Serialize>(&self, kind: RunKind, run: &Run<R>) {
        self.keep(kind, run.id, run).await;
    }

    /// The same for a scrub.
    pub(crate) async fn keep_scrub(&self, run: &VerifyRun) {
        self.keep(RunKind::Scrub, run.id, run).await;
    }

    async fn keep(&self, kind: RunKind, id: u64, run: &impl Serialize) {
        let Ok(json) = serde_json::to_vec(run) else { return };
        if let Err(error) = self.catalog.keep_run(kind, id, json.into()).await {
            tracing::warn!(?kind, %error, "what became of a run is forgotten at the next start");
        }
    }
}
