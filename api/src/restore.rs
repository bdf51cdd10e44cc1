//! What it takes to restore a checkpoint, and manifests that do: `…/restore`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::contents::TcpConnection;
use crate::reference::Reference;

/// What the place of a restore must have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreNeeds {
    /// Mounts that the restored container must declare at the same paths. What every engine makes
    /// by itself (`/proc`, `/dev`, `/etc/hosts` …) is not among them.
    pub mounts: Vec<NeededMount>,
    /// Ports that it listens on.
    pub ports: Vec<ListeningPort>,
    /// Its connections over TCP.
    pub connections: Vec<TcpConnection>,
    /// What stands in the way, or may.
    pub obstacles: Vec<Obstacle>,
}

/// A mount that the restored container must declare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NeededMount {
    /// Path in the container.
    pub path: String,
    /// `bind`, `tmpfs` …
    pub kind: String,
    /// Whether it was mounted read-only.
    pub read_only: bool,
}

/// A port that somebody listens on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListeningPort {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The port.
    pub port: u16,
    /// Address that it is bound to.
    pub address: String,
}

/// Something that stands in the way of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Obstacle {
    /// What programs branch on.
    pub kind: ObstacleKind,
    /// True if a restore fails unless something is done about it; false if it may go wrong.
    pub fatal: bool,
    /// What it is and what to do about it.
    pub detail: String,
}

/// Kinds of obstacle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ObstacleKind {
    /// It has connections over TCP.
    TcpConnections,
    /// It has files of devices open that a restore may not find.
    Devices,
    /// Mounts must be there at the same paths.
    Mounts,
    /// Its base image is not known by digest.
    BaseImage,
    /// Its engine of a newer version does not restore from images.
    Engine,
    /// A plugin of CRIU took part in the dump (a GPU, say), and has to at the restore.
    Plugins,
    /// It shares memory, sockets or files with processes outside.
    External,
    /// It was built by others, without the annotation that its engine looks for.
    Image,
}

/// Answer of `GET /api/v1/checkpoints/{reference}/restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreManifests {
    /// What is restored.
    pub reference: Reference,
    /// The same with the address of this registry, by digest: what an engine pulls.
    pub image: String,
    /// A Pod for Kubernetes on nodes with CRI-O, in YAML; absent for a checkpoint of another engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crio: Option<String>,
    /// A Pod for Kubernetes on nodes with containerd 2.1 to 2.3, in YAML; absent for a checkpoint of
    /// another engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerd: Option<String>,
    /// Commands for podman, a line each; absent for a checkpoint of another engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub podman: Option<String>,
    /// What it takes, and what stands in the way.
    pub needs: RestoreNeeds,
}
