//! What is in a checkpoint: archive members, processes, memory areas, open files, environment, root
//! file system. All of it was written by strangers: whoever shows it escapes it.

use std::fmt;

use jiff::Timestamp;
use oci_spec::image::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::stats::PageStats;

/// Bytes of raw memory that one request gives, at most.
pub const MEMORY_BYTES_MAX: u64 = 1 << 20;

/// A member of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveMember {
    /// Path in the archive.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
}

/// Answer of `GET /api/v1/checkpoints/{reference}/processes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessList {
    /// The processes, by process id. `parent` makes a tree of them.
    pub items: Vec<Process>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Process id, in the container.
    pub pid: u32,
    /// Process id of the parent; 0 for the root of the tree.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// Session.
    pub session: u32,
    /// Name of the command: at most 15 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Path of the executable, in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// `alive`, `stopped`, `zombie` or `dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Real user, as a number of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Real group, as a number of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Its threads, the first one too.
    pub threads: Vec<Thread>,
    /// Bytes of its memory in the checkpoint, shared memory not counted.
    pub memory_bytes: u64,
    /// Number of its memory areas.
    pub area_count: u64,
    /// Number of its open files.
    pub file_count: u64,
}

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Thread {
    /// Thread id, in the container.
    pub tid: u32,
    /// Its name: at most 15 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// An address in the memory of a process: in JSON a text such as `0x7f12a4c00000`, as not every
/// reader of JSON keeps 64 bits of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-f]+$", example = "0x7f12a4c00000")]
pub struct Address(pub u64);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl std::str::FromStr for Address {
    type Err = std::num::ParseIntError;

    /// Hexadecimal after `0x`, else decimal.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).map(Self),
            None => text.parse().map(Self),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Answer of `GET /api/v1/checkpoints/{reference}/memory-areas`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryMap {
    /// Manifest digest of the checkpoint that pages are compared with: the one that was asked for,
    /// else the one before it of the same container. Absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub against: Option<Digest>,
    /// All pages of the answer together, compared; absent where there is nothing to compare with,
    /// or the pages are not known one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<PageChanges>,
    /// The processes, by process id.
    pub processes: Vec<ProcessMemory>,
}

/// The memory of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessMemory {
    /// Process id, in the container.
    pub pid: u32,
    /// Name of its command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its areas, by address.
    pub areas: Vec<MemoryArea>,
}

/// A memory area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryArea {
    /// First address.
    pub start: Address,
    /// Address after the last.
    pub end: Address,
    /// What it is: `heap`, `stack`, `anonymous`, `file`, `shared-file`, `shared-anonymous`, `vdso` …
    pub kind: String,
    /// Rights as in `/proc/<pid>/maps`, such as `rw-p`.
    pub rights: String,
    /// Path of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Pages of it that are in the checkpoint. The others are in its file, or were never written.
    pub pages: u64,
    /// Those pages, compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<PageChanges>,
}

/// Pages of 4 KiB, compared with those at the same addresses of the same process in another
/// checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PageChanges {
    /// Equal.
    pub same: u64,
    /// Not equal.
    pub changed: u64,
    /// Not in the other checkpoint.
    pub added: u64,
    /// Only in the other checkpoint.
    pub removed: u64,
}

impl PageChanges {
    /// Adds up two counts.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            same: self.same + other.same,
            changed: self.changed + other.changed,
            added: self.added + other.added,
            removed: self.removed + other.removed,
        }
    }

    /// Whether all pages are equal.
    pub fn is_same(&self) -> bool {
        self.changed + self.added + self.removed == 0
    }
}

impl From<PageStats> for PageChanges {
    /// What an ingest found out, where it compared with the same checkpoint.
    fn from(stats: PageStats) -> Self {
        let PageStats { zero, same, changed, new, shared } = stats;
        Self { same: same + zero, changed, added: new + shared, removed: 0 }
    }
}

/// Answer of `GET /api/v1/checkpoints/{reference}/files`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenFiles {
    /// Open files and sockets, by process and descriptor.
    pub items: Vec<OpenFile>,
    /// Connections over TCP: a restore elsewhere must close them or bring the address along.
    pub connections: Vec<TcpConnection>,
}

/// An open file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenFile {
    /// Process id of who has it open.
    pub pid: u32,
    /// The descriptor.
    pub fd: u32,
    /// What it is: `regular`, `pipe`, `fifo`, `tty`, `eventfd`, `eventpoll`, `inet-socket` …
    pub kind: String,
    /// Path or address, or what `/proc/<pid>/fd` says of those that have neither.
    pub target: String,
    /// How it was opened: `r`, `w`, `rw` or `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
    /// Offset in bytes, of a file with a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Bytes that wait in it, of a pipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_bytes: Option<u64>,
    /// Closed when the process starts another program.
    pub close_on_exec: bool,
    /// Of a socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<Socket>,
}

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Socket {
    /// `inet`, `inet6`, `unix`, `netlink` or `packet`.
    pub family: String,
    /// `stream`, `dgram` …
    #[serde(rename = "type")]
    pub socket_type: String,
    /// `tcp`, `udp` …; nothing for a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// `established`, `listen`, `close` …
    pub state: String,
    /// Address at this side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// Address at the other side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
}

/// A connection over TCP in whatever state: not a listening nor a closed socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpConnection {
    /// State, such as `established`.
    pub state: String,
    /// Address and port at this side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// Address and port at the other side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Process ids of those that have it open; none if it is on its way in a message.
    pub processes: Vec<u32>,
}

/// Answer of `GET /api/v1/checkpoints/{reference}/environment`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// What the container was started with, by name.
    pub items: Vec<Variable>,
}

/// A variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; absent where it looks like a secret, by its name or by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// True if the value looks like a secret, and is kept back.
    pub masked: bool,
}

/// Answer of `GET /api/v1/checkpoints/{reference}/rootfs`: what the container changed in its root
/// file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RootfsChanges {
    /// Files that it made or wrote to, by path.
    pub items: Vec<RootfsFile>,
    /// Paths of the image that it deleted.
    pub deleted: Vec<String>,
    /// True if there are more than are kept here: 10,000.
    pub truncated: bool,
}

/// A file that a container made or wrote to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootfsFile {
    /// Path from the root of the container.
    pub path: String,
    /// `file`, `directory`, `symlink`, `hardlink`, `fifo` or `device`.
    pub kind: String,
    /// Bytes of a file.
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// Time of its last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub modified_at: Option<Timestamp>,
    /// What a link points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}
