//! What a checkpoint holds, for people and for those who decide where it can be restored.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::TaskState;
use crate::files::FileKind;
use crate::inventory::{self, InventorySummary};
use crate::magic::{identify, is_raw};
use crate::mm::AreaKind;
use crate::processes;
use crate::warnings::Warnings;

/// What the images of a checkpoint tell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The dump as a whole, if `inventory.img` can be read.
    pub criu: Option<InventorySummary>,
    /// Architecture in the manner of OCI images, such as `amd64`.
    pub architecture: Option<String>,
    /// The processes, by process id.
    pub processes: Vec<Process>,
    /// Connections over TCP: a restore elsewhere must close them or bring the address along.
    pub tcp_connections: Vec<TcpConnection>,
    /// What could not be read or is not known.
    pub warnings: Vec<String>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Process id, in the container.
    pub pid: u32,
    /// Id of the parent; 0 for the root of the tree.
    pub ppid: u32,
    /// Process group.
    pub pgid: u32,
    /// Session.
    pub sid: u32,
    /// Its threads, the first one too.
    pub threads: Vec<Thread>,
    /// Name of the command: at most 15 bytes.
    pub comm: Option<String>,
    /// Path of the executable, in the container.
    pub exe: Option<String>,
    /// State.
    pub state: Option<TaskState>,
    /// Real user, as a number of the container.
    pub uid: Option<u32>,
    /// Real group, as a number of the container.
    pub gid: Option<u32>,
    /// Memory areas, in the order of the image.
    pub areas: Vec<Area>,
    /// Open files, by descriptor.
    pub files: Vec<OpenFile>,
    /// N of the `pages-N.img` that holds its memory.
    pub pages_id: Option<u32>,
    /// Pages of its memory in that file, shared memory not counted.
    pub present_pages: u64,
}

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Thread {
    /// Thread id, in the container.
    pub tid: u32,
    /// Its name: at most 15 bytes.
    pub comm: Option<String>,
}

/// A memory area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Area {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// What it is.
    pub kind: AreaKind,
    /// Rights as in `/proc/<pid>/maps`, such as `rw-p`.
    pub perms: String,
    /// Path of its file.
    pub file: Option<String>,
    /// Pages of it that are in the pages file.
    pub present_pages: u64,
}

/// An open file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenFile {
    /// The descriptor.
    pub fd: u32,
    /// What it is.
    pub kind: FileKind,
    /// Path or address, or what `/proc/<pid>/fd` says of those that have neither.
    pub path_or_address: String,
    /// How it was opened: `r`, `w`, `rw` or `path`.
    pub access: Option<String>,
    /// Offset in bytes, of a file with a path.
    pub position: Option<u64>,
    /// Bytes that wait in it, of a pipe.
    pub waiting_bytes: Option<u64>,
    /// Closed when the process starts another program.
    pub close_on_exec: bool,
    /// Of a socket.
    pub socket: Option<Socket>,
}

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Socket {
    /// `inet`, `inet6`, `unix`, `netlink` or `packet`.
    pub family: String,
    /// `stream`, `dgram` …
    #[serde(rename = "type")]
    pub socket_type: String,
    /// `tcp`, `udp` …; nothing for a Unix socket.
    pub protocol: Option<String>,
    /// `established`, `listen`, `close` …
    pub state: String,
    /// Address at this side.
    pub local: Option<String>,
    /// Address at the other side.
    pub remote: Option<String>,
}

/// A connection over TCP in whatever state: not a listening nor a closed socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TcpConnection {
    /// State, such as `established`.
    pub state: String,
    /// Address and port at this side.
    pub local: Option<String>,
    /// Address and port at the other side.
    pub remote: Option<String>,
    /// Process ids of those that have it open; none if it is on its way in a message.
    pub processes: Vec<u32>,
}

/// Tells what a checkpoint holds. Keys are names such as `pstree.img`; pages files need not be there.
pub fn inspect(images: &BTreeMap<String, Vec<u8>>) -> Report {
    let mut warnings = Warnings::default();
    let criu = match images.get("inventory.img") {
        Some(bytes) => inventory::summary(bytes, &mut warnings),
        None => {
            warnings.add("inventory.img: is missing");
            None
        }
    };
    note_unknown_images(images, &mut warnings);
    let found = processes::read(images, &mut warnings);
    Report {
        criu,
        architecture: found.architecture,
        processes: found.processes,
        tcp_connections: found.tcp_connections,
        warnings: warnings.finish(),
    }
}

/// Images of plugins and of a newer CRIU, which may matter to a restore.
fn note_unknown_images(images: &BTreeMap<String, Vec<u8>>, warnings: &mut Warnings) {
    for (name, bytes) in images {
        if name.ends_with(".img") && !is_raw(name) && identify(bytes).is_none() {
            warnings.add(format_args!("{name}: not an image of a known kind"));
        }
    }
}
