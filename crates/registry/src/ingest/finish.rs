//! Giving a stored checkpoint its image, its record and its names.

use std::time::Instant;

use jiff::Timestamp;
use pagevault_api::Digest;
use pagevault_api::checkpoint::{Checkpoint, CheckpointDetail, Origin, Pushed};
use pagevault_api::contents::ArchiveMember;
use pagevault_api::reference::{Reference, Selector, check_repository};
use pagevault_api::restore::RestoreNeeds;
use pagevault_api::stats::{IngestStats, MemberStats, PageStats};
use pagevault_api::upload::PushOptions;
use pagevault_builder::{Image, ImageSource, default_repository, time_tag};
use pagevault_catalog::{Catalog, CheckpointRecord};
use pagevault_criu::Report;
use pagevault_pagestore::{MemberBytes as WrittenMembers, WriteStats};

use super::{Ingested, domain, micros};
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::publish::Publisher;
use crate::retention::{Quotas, Taken};
use crate::{Result, build_error, catalog_error, store_error};

/// A checkpoint that is written and about to exist.
#[derive(Debug)]
pub(crate) struct Finish {
    pub(crate) publisher: Publisher,
    pub(crate) quotas: Quotas,
    pub(crate) options: PushOptions,
    pub(crate) ingested: Ingested,
    /// sha256 of the tar.
    pub(crate) layer: Digest,
    /// When the last byte had arrived.
    pub(crate) received: Instant,
    /// Time that receiving took, in microseconds.
    pub(crate) receive_micros: u64,
}

impl Finish {
    /// Commits the layer, then lets the manifest exist, then the tags. What is acknowledged is durable.
    #[tracing::instrument(name = "commit", skip_all)]
    pub(crate) async fn run(self) -> Result<Pushed> {
        let image = self.image()?;
        let (repository, tag) = self.place()?;
        let found = self.publisher.catalog.find_manifest(&repository, &image.manifest_digest).await;
        if let Some(record) = found.map_err(catalog_error)?.and_then(|m| m.checkpoint) {
            let Self { publisher, options, layer, ingested, .. } = self;
            super::abandon(ingested.writer).await;
            publisher.checkpoint(&repository, &image, &layer, record.clone()).await?;
            return Self::unchanged(&publisher.catalog, &options, repository, tag, record).await;
        }
        self.create(image, repository, tag).await
    }

    fn image(&self) -> Result<Image> {
        let checkpoint = &self.ingested.checkpoint;
        let source = ImageSource {
            identity: &checkpoint.identity,
            architecture: architecture(&self.ingested.report),
            layer: &self.layer,
            layer_bytes: self.ingested.checkpoint.total_bytes,
        };
        pagevault_builder::build(&source).map_err(build_error)
    }

    /// The repository, and the tag if the push names one.
    fn place(&self) -> Result<(String, Option<String>)> {
        let identity = &self.ingested.checkpoint.identity;
        match self.options.reference.clone() {
            None => {
                let repository = default_repository(identity);
                // A name that breaks the grammar could be stored and never be asked for: a fault of ours.
                check_repository(&repository)
                    .map_err(|e| RegistryError::new(Kind::Internal, e.to_string()))?;
                Ok((repository, None))
            }
            Some(Reference { repository, selector: Selector::Tag(tag) }) => {
                Ok((repository, Some(tag)))
            }
            Some(Reference { selector: Selector::Digest(_), .. }) => Err(RegistryError::new(
                Kind::Invalid,
                "a checkpoint is pushed to a tag: its digest follows from its content",
            )),
        }
    }

    /// The same checkpoint again: nothing changes but, perhaps, a tag that the push names. (Blobs
    /// that were deleted by themselves have got their records back.)
    async fn unchanged(
        catalog: &Catalog,
        options: &PushOptions,
        repository: String,
        tag: Option<String>,
        record: CheckpointRecord,
    ) -> Result<Pushed> {
        let summary = record.detail.summary;
        let reference = match tag {
            Some(tag) if options.reference.is_some() => {
                let put = catalog.put_tag(&repository, &tag, &summary.digest).await;
                put.map_err(catalog_error)?;
                Reference::tag(repository, tag)
            }
            _ => Self::name(catalog, &repository, None, &summary).await?,
        };
        Ok(Pushed {
            reference,
            digest: summary.digest,
            layer_digest: summary.layer_digest,
            logical_bytes: summary.logical_bytes,
            stored_bytes: 0,
            created: false,
            base: summary.base,
            stats: IngestStats { logical_bytes: summary.logical_bytes, ..IngestStats::default() },
        })
    }

    async fn create(self, image: Image, repository: String, tag: Option<String>) -> Result<Pushed> {
        let Self { publisher, quotas, options, ingested, layer, received, receive_micros } = self;
        let Ingested { checkpoint, report, mut warnings, writer, base, lineage, micros: stages } =
            ingested;
        let architecture = architecture(&report).to_owned();
        if report.architecture.is_none() {
            warnings.push(format!("no image tells the architecture; taken for {architecture}"));
        }
        let taken = Taken {
            count: 1,
            logical_bytes: checkpoint.total_bytes,
            stored_bytes: writer.stats().stored_bytes(),
        };
        let admitted = match quotas.admit(&domain(&checkpoint.identity), taken).await {
            Ok(admitted) => admitted,
            Err(error) => {
                super::abandon(writer).await;
                return Err(error);
            }
        };
        let committed =
            writer.commit(layer.as_ref(), checkpoint.total_bytes).await.map_err(store_error)?;
        let base = base.filter(|_| committed.delta);
        let mut stats = ingest_stats(checkpoint.total_bytes, &committed.stats);
        stats.micros = stages;
        stats.micros.receive = receive_micros;
        stats.micros.finish = micros(received.elapsed());
        let identity = &checkpoint.identity;
        let summary = Checkpoint {
            reference: Reference::digest(repository.clone(), image.manifest_digest.clone()),
            digest: image.manifest_digest.clone(),
            layer_digest: layer.clone(),
            namespace: domain(identity),
            pod: identity.pod.clone().unwrap_or_else(|| identity.container_name.clone()),
            container: identity.container_name.clone(),
            pod_uid: identity.pod_uid.clone(),
            workload: options.workload.clone(),
            node: options.node.clone(),
            engine: identity.engine.to_string(),
            runtime: identity.runtime.clone(),
            image: identity.image_name.clone(),
            image_digest: identity.image_digest.clone(),
            architecture,
            created_at: identity.checkpointed_at,
            pushed_at: Timestamp::now(),
            logical_bytes: checkpoint.total_bytes,
            stored_bytes: stats.stored_bytes,
            base: base.clone(),
            pages: Some(stats.pages),
            origin: Origin::Push,
            pinned: false,
            labels: options.labels.clone(),
        };
        let members = checkpoint.members.iter();
        let member =
            |m: &pagevault_archive::Member| ArchiveMember { path: m.path.clone(), bytes: m.size };
        let processes = serde_json::to_value(&report)
            .map_err(|e| RegistryError::new(Kind::Internal, e.to_string()))?;
        let detail = CheckpointDetail {
            summary: summary.clone(),
            tags: Vec::new(),
            pin: None,
            container_id: identity.container_id.clone(),
            criu: None,
            kernel: None,
            process_count: report.processes.len() as u64,
            thread_count: report.processes.iter().map(|p| p.threads.len() as u64).sum(),
            memory_bytes: checkpoint.pages_bytes,
            stats: stats.clone(),
            restore: RestoreNeeds::default(),
            members: members.map(member).collect(),
            processes,
            warnings,
        };
        let record = CheckpointRecord { detail, recipe: committed.id.0.clone(), lineage };
        publisher.checkpoint(&repository, &image, &layer, record).await?;
        admitted.used();
        // Held until here: from now on a record names it.
        drop(committed);
        let reference = Self::name(&publisher.catalog, &repository, tag, &summary).await?;
        Ok(Pushed {
            reference,
            digest: image.manifest_digest,
            layer_digest: layer,
            logical_bytes: summary.logical_bytes,
            stored_bytes: summary.stored_bytes,
            created: true,
            base,
            stats,
        })
    }

    /// Sets the tags: the one that the push names, or else its time and `latest`.
    async fn name(
        catalog: &Catalog,
        repository: &str,
        tag: Option<String>,
        summary: &Checkpoint,
    ) -> Result<Reference> {
        if let Some(tag) = tag {
            let put = catalog.put_tag(repository, &tag, &summary.digest).await;
            put.map_err(catalog_error)?;
            return Ok(Reference::tag(repository, tag));
        }
        let mut tag = time_tag(summary.created_at);
        if !catalog.claim_tag(repository, &tag, &summary.digest).await.map_err(catalog_error)? {
            let hex = summary.digest.digest().get(..8).unwrap_or_default().to_owned();
            tag = format!("{tag}-{hex}");
            catalog.put_tag(repository, &tag, &summary.digest).await.map_err(catalog_error)?;
        }
        let advanced =
            catalog.advance_latest(repository, &summary.digest, summary.created_at).await;
        advanced.map_err(catalog_error)?;
        Ok(Reference::tag(repository, tag))
    }
}

/// Architecture of the node. Where no image tells (a newer CRIU's, say) it is taken for the most frequent one: a
/// configuration must name one, and a runtime refuses the image of another.
fn architecture(report: &Report) -> &str {
    report.architecture.as_deref().unwrap_or("amd64")
}

fn ingest_stats(logical_bytes: u64, written: &WriteStats) -> IngestStats {
    let pages = PageStats {
        zero: written.pages.zero,
        same: written.pages.same,
        changed: written.pages.changed,
        new: written.pages.new,
        shared: written.pages.shared,
    };
    let WrittenMembers { zero, found, new } = written.members;
    IngestStats {
        pages,
        members: MemberStats { zero, found, new },
        logical_bytes,
        stored_bytes: written.stored_bytes(),
        stored_page_bytes: written.page_bytes,
        stored_other_bytes: written.other_bytes + written.recipe_bytes,
        ..IngestStats::default()
    }
}
