//! Looking things up.

use pagevault_api::checkpoint::{Checkpoint, CheckpointDetail, CheckpointFilter};
use pagevault_api::contents::{OpenFiles, ProcessList};
use pagevault_api::gc::{GcExplanation, GcRun, StartGc};
use pagevault_api::page::Page;
use pagevault_api::reference::Reference;
use pagevault_api::stats::StoreStats;
use pagevault_api::verify::VerifyRun;
use serde::de::DeserializeOwned;

use crate::{Client, Result};

fn query_of(filter: &CheckpointFilter) -> Vec<(&'static str, String)> {
    let fields = [
        ("namespace", &filter.namespace),
        ("pod", &filter.pod),
        ("container", &filter.container),
        ("workload", &filter.workload),
        ("repository", &filter.repository),
    ];
    let fields = fields.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
    let labels = filter.labels.iter().map(|(key, value)| ("label", format!("{key}={value}")));
    fields.chain(labels).collect()
}

impl Client {
    /// One page of checkpoints, newest first.
    pub async fn list(
        &self,
        filter: &CheckpointFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Checkpoint>> {
        let mut query = query_of(filter);
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

    /// The processes of a checkpoint.
    pub async fn processes(&self, reference: &Reference) -> Result<ProcessList> {
        self.part(reference, "processes", &[]).await
    }

    /// The open files and sockets of a checkpoint.
    pub async fn open_files(&self, reference: &Reference) -> Result<OpenFiles> {
        self.part(reference, "files", &[]).await
    }

    /// A part of what is known of a checkpoint.
    async fn part<T: DeserializeOwned>(
        &self,
        reference: &Reference,
        part: &str,
        query: &[(&str, String)],
    ) -> Result<T> {
        let url = self.url(["api", "v1", "checkpoints", &reference.to_string(), part]);
        self.json(self.http.get(url).query(query)).await
    }

    /// Starts a collection of what nothing needs any more.
    pub async fn start_gc(&self, dry_run: bool) -> Result<GcRun> {
        let url = self.url(["api", "v1", "gc"]);
        self.json(self.http.post(url).json(&StartGc { dry_run })).await
    }

    /// One collection.
    pub async fn gc_run(&self, id: u64) -> Result<GcRun> {
        self.json(self.http.get(self.url(["api", "v1", "gc", &id.to_string()]))).await
    }

    /// The collections since the server started, newest first.
    pub async fn gc_runs(&self) -> Result<Page<GcRun>> {
        self.json(self.http.get(self.url(["api", "v1", "gc"]))).await
    }

    /// Why something is kept: a digest, or the name of a recipe or a data object.
    pub async fn explain(&self, subject: &str) -> Result<GcExplanation> {
        let url = self.url(["api", "v1", "gc", "explain"]);
        self.json(self.http.get(url).query(&[("digest", subject)])).await
    }

    /// Starts a scrub of all that is stored.
    pub async fn start_verify(&self) -> Result<VerifyRun> {
        self.json(self.http.post(self.url(["api", "v1", "verify"]))).await
    }

    /// The scrub that is running or was last.
    pub async fn last_verify(&self) -> Result<Option<VerifyRun>> {
        self.json(self.http.get(self.url(["api", "v1", "verify"]))).await
    }

    /// Totals of the store.
    pub async fn stats(&self) -> Result<StoreStats> {
        self.json(self.http.get(self.url(["api", "v1", "stats"]))).await
    }
}
