//! What differs between two checkpoints: `GET /api/v1/diff?from=&to=`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::checkpoint::Checkpoint;
use crate::contents::{Address, PageChanges, RootfsFile, Socket, Variable};

/// What differs between two checkpoints. Lists name what differs; what is equal is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The one that is compared with.
    pub from: Checkpoint,
    /// The one that is looked at.
    pub to: Checkpoint,
    /// Processes. They are the same if id and command are.
    pub processes: Vec<ProcessDiff>,
    /// Memory.
    pub memory: MemoryDiff,
    /// Open files that are no sockets.
    pub files: Vec<FileDiff>,
    /// Sockets.
    pub sockets: Vec<SocketDiff>,
    /// Variables of the environment.
    pub environment: Vec<VariableDiff>,
    /// The root file system.
    pub rootfs: RootfsDiff,
}

/// Whether something is there in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only in `to`.
    Added,
    /// Only in `from`.
    Removed,
    /// In both, and not the same.
    Changed,
}

/// A process that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessDiff {
    /// What has become of it.
    pub change: Change,
    /// Process id, in the container.
    pub pid: u32,
    /// Name of its command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What is not the same, as `state: alive, was stopped`.
    pub details: Vec<String>,
}

/// What differs in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryDiff {
    /// All pages; absent where those of one of the two are not known one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<PageChanges>,
    /// Areas with pages that differ, or that are only in one of the two.
    pub areas: Vec<AreaDiff>,
}

/// A memory area that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AreaDiff {
    /// What has become of it: one that has grown has changed.
    pub change: Change,
    /// Process id, in the container.
    pub pid: u32,
    /// First address.
    pub start: Address,
    /// Address after the last.
    pub end: Address,
    /// What it is, as in [`MemoryArea`](crate::contents::MemoryArea).
    pub kind: String,
    /// Path of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<PageChanges>,
}

/// An open file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileDiff {
    /// What has become of it.
    pub change: Change,
    /// Process id of who has it open.
    pub pid: u32,
    /// The descriptor.
    pub fd: u32,
    /// Path or what else it is.
    pub target: String,
    /// What is not the same, as `position: 512, was 0`.
    pub details: Vec<String>,
}

/// A socket that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SocketDiff {
    /// What has become of it; one whose state has changed has changed.
    pub change: Change,
    /// Process id of who has it open.
    pub pid: u32,
    /// The socket as it is in `to`, else in `from`.
    pub socket: Socket,
    /// What is not the same.
    pub details: Vec<String>,
}

/// A variable that differs. Masked values are compared too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VariableDiff {
    /// What has become of it.
    pub change: Change,
    /// The variable as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Variable>,
    /// The variable as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Variable>,
}

/// What differs in the root file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RootfsDiff {
    /// Files that differ. They are the same if kind, size, mode, time and target are.
    pub files: Vec<RootfsFileDiff>,
    /// Paths of the image that are deleted in `to` only.
    pub deleted: Vec<String>,
    /// Paths of the image that were deleted in `from` only.
    pub restored: Vec<String>,
    /// True if one of the two has changed more files than are kept.
    pub truncated: bool,
}

/// A file of the root file system that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootfsFileDiff {
    /// What has become of it.
    pub change: Change,
    /// The file as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RootfsFile>,
    /// The file as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<RootfsFile>,
}
