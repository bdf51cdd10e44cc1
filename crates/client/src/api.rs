//! Looking things up.

use pagevault_api::checkpoint::{
    Checkpoint, CheckpointDetail, CheckpointFilter, CheckpointOrder, LabelChanges, PinRequest,
};
use pagevault_api::contents::{Environment, MemoryMap, OpenFiles, ProcessList, RootfsChanges};
use pagevault_api::diff::Diff;
use pagevault_api::gc::{GcExplanation, GcRun, StartGc};
use pagevault_api::page::Page;
use pagevault_api::reference::Reference;
use pagevault_api::restore::RestoreManifests;
use pagevault_api::stats::StoreStats;
use pagevault_api::verify::VerifyRun;
use serde::de::DeserializeOwned;

use crate::{Client, Result};

fn query_of(filter: &CheckpointFilter, order: CheckpointOrder) -> Vec<(&'static str, String)> {
    let text = |value: &Option<String>| value.clone();
    let fields = [
        ("namespace", text(&filter.namespace)),
        ("pod", text(&filter.pod)),
        ("container", text(&filter.container)),
        ("workload", text(&filter.workload)),
        ("node", text(&filter.node)),
        ("image", text(&filter.image)),
        ("repository", text(&filter.repository)),
        ("pinned", filter.pinned.map(|pinned| pinned.to_string())),
        ("since", filter.since.map(|since| since.to_string())),
        ("until", filter.until.map(|until| until.to_string())),
        ("sort", Some(order.by.name().to_owned())),
        ("order", Some(if order.ascending { "asc" } else { "desc" }.to_owned())),
    ];
    let fields = fields.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let labels = filter.labels.iter().map(|(key, value)| ("label", format!("{key}={value}")));
    fields.chain(labels).collect()
}

impl Client {
    /// One page of checkpoints.
    pub async fn list(
        &self,
        filter: &CheckpointFilter,
        order: CheckpointOrder,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Checkpoint>> {
        let mut query = query_of(filter, order);
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

    /// The memory areas of a checkpoint, compared with the one before.
    pub async fn memory_map(&self, reference: &Reference) -> Result<MemoryMap> {
        self.part(reference, "memory-areas", &[]).await
    }

    /// What the container of a checkpoint was started with.
    pub async fn environment(&self, reference: &Reference) -> Result<Environment> {
        self.part(reference, "environment", &[]).await
    }

    /// What the container of a checkpoint changed in its root file system.
    pub async fn rootfs(&self, reference: &Reference) -> Result<RootfsChanges> {
        self.part(reference, "rootfs", &[]).await
    }

    /// How to restore a checkpoint; `registry` is what nodes call the server, if not as this client does.
    pub async fn restore(
        &self,
        reference: &Reference,
        registry: Option<&str>,
    ) -> Result<RestoreManifests> {
        let query = registry.map(|registry| ("registry", registry.to_owned()));
        self.part(reference, "restore", query.as_slice()).await
    }

    /// What differs between two checkpoints.
    pub async fn diff(&self, from: &Reference, to: &Reference) -> Result<Diff> {
        let query = [("from", from.to_string()), ("to", to.to_string())];
        let request = self.http.get(self.url(["api", "v1", "diff"])).query(&query);
        self.json(request).await
    }

    /// Keeps a checkpoint from being deleted.
    pub async fn pin(&self, reference: &Reference, pin: &PinRequest) -> Result<Checkpoint> {
        let url = self.url(["api", "v1", "checkpoints", &reference.to_string(), "pin"]);
        self.json(self.http.put(url).json(pin)).await
    }

    /// Lets a checkpoint be deleted again.
    pub async fn unpin(&self, reference: &Reference) -> Result<Checkpoint> {
        let url = self.url(["api", "v1", "checkpoints", &reference.to_string(), "pin"]);
        self.json(self.http.delete(url)).await
    }

    /// Sets labels, and takes them away.
    pub async fn label(&self, reference: &Reference, changes: &LabelChanges) -> Result<Checkpoint> {
        let url = self.url(["api", "v1", "checkpoints", &reference.to_string(), "labels"]);
        self.json(self.http.patch(url).json(changes)).await
    }

    /// Deletes a checkpoint with its tags.
    pub async fn delete(&self, reference: &Reference) -> Result<()> {
        let url = self.url(["api", "v1", "checkpoints", &reference.to_string()]);
        self.send(self.http.delete(url)).await?;
        Ok(())
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
