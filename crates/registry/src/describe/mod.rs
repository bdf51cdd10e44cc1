//! What is known of a checkpoint, from its archive and its images: the summary that lists show, and
//! the detail that is a record of its own.

mod contents;
mod needs;
mod secrets;

use jiff::Timestamp;
use pagevault_api::Digest;
use pagevault_api::checkpoint::{Checkpoint, CheckpointDetail, Origin};
use pagevault_api::contents::{ArchiveMember, OpenFiles, Process, ProcessMemory, RootfsChanges};
use pagevault_api::reference::Reference;
use pagevault_api::restore::RestoreNeeds;
use pagevault_api::stats::IngestStats;
use pagevault_api::upload::PushOptions;
use pagevault_archive::Checkpoint as Archive;
use pagevault_criu::{LogHead, Report, log_head};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::ingest::domain;

pub(crate) use secrets::mask;

/// What is kept of a checkpoint beside its summary. What it holds was bounded by the readers of the
/// archive and of the images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Detail {
    pub(crate) container_id: String,
    pub(crate) criu: Option<String>,
    pub(crate) kernel: Option<String>,
    pub(crate) memory_bytes: u64,
    pub(crate) stats: IngestStats,
    pub(crate) restore: RestoreNeeds,
    pub(crate) members: Vec<ArchiveMember>,
    pub(crate) warnings: Vec<String>,
    pub(crate) processes: Vec<Process>,
    pub(crate) memory: Vec<ProcessMemory>,
    pub(crate) files: OpenFiles,
    /// `NAME=VALUE`, secrets too: the layer has them as well. What goes out is masked.
    pub(crate) environment: Vec<String>,
    pub(crate) rootfs: RootfsChanges,
}

/// An archive that was read, and what is known from elsewhere.
#[derive(Debug)]
pub(crate) struct Description<'a> {
    pub(crate) archive: &'a Archive,
    pub(crate) report: &'a Report,
    pub(crate) warnings: Vec<String>,
    pub(crate) options: &'a PushOptions,
    pub(crate) repository: &'a str,
    pub(crate) manifest: &'a Digest,
    pub(crate) layer: &'a Digest,
    pub(crate) origin: Origin,
    pub(crate) base: Option<Digest>,
    /// Nothing where it is kept as it came.
    pub(crate) stats: Option<IngestStats>,
    /// What its push added.
    pub(crate) stored_bytes: u64,
}

impl Description<'_> {
    /// What lists show.
    pub(crate) fn summary(&self) -> Checkpoint {
        let identity = &self.archive.identity;
        Checkpoint {
            reference: Reference::digest(self.repository, self.manifest.clone()),
            digest: self.manifest.clone(),
            layer_digest: self.layer.clone(),
            namespace: domain(identity),
            pod: identity.pod.clone().unwrap_or_else(|| identity.container_name.clone()),
            container: identity.container_name.clone(),
            pod_uid: identity.pod_uid.clone(),
            workload: self.options.workload.clone(),
            node: self.options.node.clone().or_else(|| self.log().node),
            engine: identity.engine.to_string(),
            runtime: identity.runtime.clone(),
            image: identity.image_name.clone(),
            image_digest: identity.image_digest.clone(),
            architecture: architecture(self.report).to_owned(),
            created_at: identity.checkpointed_at,
            pushed_at: Timestamp::now(),
            logical_bytes: self.archive.total_bytes,
            stored_bytes: self.stored_bytes,
            base: self.base.clone(),
            pages: self.stats.as_ref().map(|stats| stats.pages),
            origin: self.origin,
            pinned: false,
            labels: self.options.labels.clone(),
        }
    }

    /// All the rest.
    pub(crate) fn detail(&self) -> Detail {
        let (archive, report, log) = (self.archive, self.report, self.log());
        let mut warnings = self.warnings.clone();
        if report.architecture.is_none() {
            let guess = architecture(report);
            warnings.push(format!("no image tells the architecture; taken for {guess}"));
        }
        let member =
            |m: &pagevault_archive::Member| ArchiveMember { path: m.path.clone(), bytes: m.size };
        Detail {
            container_id: archive.identity.container_id.clone(),
            criu: log.criu,
            kernel: log.kernel,
            memory_bytes: archive.pages_bytes,
            stats: self.stats.clone().unwrap_or_else(|| IngestStats {
                logical_bytes: archive.total_bytes,
                stored_bytes: self.stored_bytes,
                ..IngestStats::default()
            }),
            restore: needs::of(archive, report),
            members: archive.members.iter().map(member).collect(),
            warnings,
            processes: contents::processes(report),
            memory: contents::memory(report),
            files: contents::files(report),
            environment: archive.spec.process.env.clone(),
            rootfs: contents::rootfs(archive),
        }
    }

    fn log(&self) -> LogHead {
        self.archive.kept.get("dump.log").map(|log| log_head(log)).unwrap_or_default()
    }
}

impl Detail {
    /// Reads a detail. Blocks for as long as it is large.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| {
            RegistryError::new(Kind::Damaged, format!("the detail of a checkpoint: {e}"))
        })
    }

    /// Writes a detail. Blocks for as long as it is large.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| RegistryError::new(Kind::Internal, e.to_string()))
    }

    /// What the API shows of it, without what is asked for by itself.
    pub(crate) fn shown(self, summary: Checkpoint) -> CheckpointDetail {
        let threads = self.processes.iter().map(|process| process.threads.len() as u64);
        CheckpointDetail {
            summary,
            tags: Vec::new(),
            pin: None,
            container_id: self.container_id,
            criu: self.criu,
            kernel: self.kernel,
            process_count: self.processes.len() as u64,
            thread_count: threads.sum(),
            memory_bytes: self.memory_bytes,
            stats: self.stats,
            restore: self.restore,
            members: self.members,
            warnings: self.warnings,
        }
    }
}

/// Architecture of the node. Where no image tells (a newer CRIU's, say) it is taken for the most
/// frequent one: a configuration must name one, and a runtime refuses the image of another.
pub(crate) fn architecture(report: &Report) -> &str {
    report.architecture.as_deref().unwrap_or("amd64")
}
