//! Giving a stored checkpoint its image, its record and its names.

use std::time::Instant;

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_api::checkpoint::{Checkpoint, Origin, Pushed};
use pagevault_api::reference::{Reference, Selector, check_repository};
use pagevault_api::stats::{IngestStats, MemberStats, PageStats};
use pagevault_api::upload::PushOptions;
use pagevault_builder::{Image, ImageSource, default_repository, time_tag};
use pagevault_catalog::{Catalog, CheckpointRecord};
use pagevault_pagestore::{MemberBytes as WrittenMembers, PageStore, RecipeId, WriteStats};

use super::{Ingested, domain, micros};
use crate::describe::{Description, architecture};
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::publish::Publisher;
use crate::retention::{Quotas, Taken};
use crate::{Result, blocking, build_error, catalog_error, store_error};

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
        let catalog = &self.publisher.catalog;
        let found = catalog.manifest_place(&repository, &image.manifest_digest).await;
        let found = found.map_err(catalog_error)?.visible().and_then(|m| m.checkpoint);
        let known = found.filter(|there| there.summary.origin == Origin::Push);
        if let Some(record) = &known
            && has_detail(catalog, &repository, &image).await?
            && is_whole(self.publisher.pages.clone(), record.recipe.clone()).await?
        {
            let Self { publisher, options, ingested, .. } = self;
            super::abandon(ingested.writer).await;
            publisher.checkpoint(&repository, &image, record.clone(), None).await?;
            return Self::unchanged(&publisher.catalog, &options, repository, tag, record.clone())
                .await;
        }
        self.create(image, repository, tag, known.is_none()).await
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
        let summary = record.summary;
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

    /// Stores it. One that is known is stored again, as what was stored of it is lost.
    async fn create(
        self,
        image: Image,
        repository: String,
        tag: Option<String>,
        created: bool,
    ) -> Result<Pushed> {
        let Self { publisher, quotas, options, ingested, layer, received, receive_micros } = self;
        let Ingested { checkpoint, report, warnings, writer, base, lineage, micros: stages } =
            ingested;
        let taken = Taken {
            count: u64::from(created),
            logical_bytes: if created { checkpoint.total_bytes } else { 0 },
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
        let (place, manifest, of) =
            (repository.clone(), image.manifest_digest.clone(), stats.clone());
        let described = blocking(move || {
            let description = Description {
                archive: &checkpoint,
                report: &report,
                warnings,
                options: &options,
                repository: &place,
                manifest: &manifest,
                layer: &layer,
                origin: Origin::Push,
                base,
                stored_bytes: of.stored_bytes,
                stats: Some(of),
            };
            Ok((description.summary(), Bytes::from(description.detail().to_bytes()?)))
        });
        let (summary, detail) = described.await?;
        let recipe = Some(committed.id.0.clone());
        let record = CheckpointRecord {
            summary: summary.clone(),
            pin: None,
            recipe,
            compressed: false,
            lineage,
        };
        publisher.checkpoint(&repository, &image, record, Some(detail)).await?;
        admitted.used();
        // Held until here: from now on a record names it.
        drop(committed);
        let reference = Self::name(&publisher.catalog, &repository, tag, &summary).await?;
        Ok(Pushed {
            reference,
            digest: summary.digest,
            layer_digest: summary.layer_digest,
            logical_bytes: summary.logical_bytes,
            stored_bytes: summary.stored_bytes,
            created,
            base: summary.base,
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

/// Whether what is known in detail of a checkpoint can be read.
async fn has_detail(catalog: &Catalog, repository: &str, image: &Image) -> Result<bool> {
    let detail = catalog.detail_place(repository, &image.manifest_digest).await;
    Ok(detail.map_err(catalog_error)?.record.is_some())
}

/// Whether what is stored of a checkpoint is all there.
async fn is_whole(pages: PageStore, recipe: Option<String>) -> Result<bool> {
    let Some(recipe) = recipe else { return Ok(true) };
    pages.is_whole(&RecipeId(recipe)).await.map_err(store_error)
}

/// What an ingest did, in the words of the API.
pub(crate) fn ingest_stats(logical_bytes: u64, written: &WriteStats) -> IngestStats {
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
