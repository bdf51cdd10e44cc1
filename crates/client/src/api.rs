//! Looking things up.

use std::collections::BTreeMap;

use pagevault_api::checkpoint::{Checkpoint, CheckpointDetail};
use pagevault_api::page::Page;
use pagevault_api::reference::Reference;
use pagevault_api::stats::StoreStats;

use crate::{Client, Result};

/// What a list is narrowed to; empty is all.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Name of the pod.
    pub pod: Option<String>,
    /// Name of the container.
    pub container: Option<String>,
    /// Name of the workload.
    pub workload: Option<String>,
    /// Name of the repository.
    pub repository: Option<String>,
    /// Labels that must be there with these values.
    pub labels: BTreeMap<String, String>,
}

impl ListFilter {
    fn query(&self) -> Vec<(&'static str, String)> {
        let fields = [
            ("namespace", &self.namespace),
            ("pod", &self.pod),
            ("container", &self.container),
            ("workload", &self.workload),
            ("repository", &self.repository),
        ];
        let fields = fields.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
        let labels = self.labels.iter().map(|(key, value)| ("label", format!("{key}={value}")));
        fields.chain(labels).collect()
    }
}

impl Client {
    /// One page of checkpoints, newest first.
    pub async fn list(
        &self,
        filter: &ListFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Checkpoint>> {
        let mut query = filter.query();
        query.push(("limit", limit.to_string()));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let url = self.url(["api", "v1", "checkpoints"]);
        self.json(self.http.get(url).query(&query)).await
    }

    /// One checkpoint with all that is known of it.
    pub async fn get(&self, reference: &Reference) -> Result<CheckpointDetail> {
        let url = self.url(["api", "v1", "checkpoints", &reference.to_string()]);
        self.json(self.http.get(url)).await
    }

    /// Totals of the store.
    pub async fn stats(&self) -> Result<StoreStats> {
        self.json(self.http.get(self.url(["api", "v1", "stats"]))).await
    }
}
