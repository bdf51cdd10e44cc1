//! A checkpoint file, as `inspect` shows it.

use pagevault_api::Digest;
use pagevault_api::contents::ArchiveMember;
use pagevault_api::reference::Reference;
use pagevault_archive::{Identity, MemberKind};
use pagevault_builder::{default_repository, time_tag};
use pagevault_client::LocalCheckpoint;
use pagevault_criu::{PAGE_BYTES, Process, Report};
use serde::Serialize;

use super::show::{Found, ProcessLine, text};

/// The same names as in [`pagevault_api::checkpoint::CheckpointDetail`], where they mean the same.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    /// Where a push would put it.
    pub(crate) reference: Reference,
    pub(crate) layer_digest: Digest,
    /// How the file is compressed.
    pub(crate) compression: String,
    pub(crate) namespace: Option<String>,
    pub(crate) pod: Option<String>,
    pub(crate) pod_uid: Option<String>,
    pub(crate) container: String,
    pub(crate) container_id: String,
    pub(crate) engine: &'static str,
    pub(crate) runtime: String,
    pub(crate) image: String,
    pub(crate) image_digest: Option<String>,
    pub(crate) architecture: Option<String>,
    pub(crate) created_at: String,
    pub(crate) logical_bytes: u64,
    pub(crate) pages_bytes: u64,
    pub(crate) members: Vec<ArchiveMember>,
    pub(crate) processes: serde_json::Value,
    pub(crate) warnings: Vec<String>,
    #[serde(skip)]
    pub(crate) found: Found,
}

impl View {
    pub(crate) fn new(local: &LocalCheckpoint) -> anyhow::Result<Self> {
        let (checkpoint, report) = (&local.checkpoint, &local.report);
        let Identity { container_name, container_id, .. } = &checkpoint.identity;
        let identity = &checkpoint.identity;
        let files = checkpoint.members.iter().filter(|member| member.kind == MemberKind::File);
        Ok(Self {
            reference: Reference::tag(
                default_repository(identity),
                time_tag(identity.checkpointed_at),
            ),
            layer_digest: local.layer_digest.clone(),
            compression: local.outer.to_string(),
            namespace: identity.namespace.clone(),
            pod: identity.pod.clone(),
            pod_uid: identity.pod_uid.clone(),
            container: container_name.clone(),
            container_id: container_id.clone(),
            engine: identity.engine.name(),
            runtime: identity.runtime.clone(),
            image: identity.image_name.clone(),
            image_digest: identity.image_digest.clone(),
            architecture: report.architecture.clone(),
            created_at: identity.checkpointed_at.to_string(),
            logical_bytes: checkpoint.total_bytes,
            pages_bytes: checkpoint.pages_bytes,
            members: files
                .map(|member| ArchiveMember { path: member.path.clone(), bytes: member.size })
                .collect(),
            processes: serde_json::to_value(report)?,
            warnings: report.warnings.clone(),
            found: found(report),
        })
    }
}

fn found(report: &Report) -> Found {
    let line = |process: &Process| ProcessLine {
        pid: process.pid,
        parent: process.ppid,
        command: process.comm.clone(),
        threads: process.threads.len(),
        memory_bytes: process.present_pages.saturating_mul(PAGE_BYTES),
        files: process.files.len() as u64,
        executable: process.exe.clone(),
    };
    let connections = report.tcp_connections.iter().map(|connection| {
        let [local, remote] = [&connection.local, &connection.remote].map(|a| a.as_deref());
        [text(local), text(remote), connection.state.clone()]
    });
    Found {
        processes: report.processes.iter().map(line).collect(),
        connections: connections.collect(),
    }
}
