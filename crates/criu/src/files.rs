//! `files.img` and `fdinfo-<files id>.img`: open files. Images of before CRIU 3 have one image for
//! each kind of file instead.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Result;
use crate::file_messages::{FdInfo, FileEntry, InetSocket, Pipe, RegularFile, UnixSocket};
use crate::limits::ENTRIES_MAX;
use crate::magic::ImageKind;
use crate::message::{Entry, read_all};
use crate::warnings::Warnings;

/// Kinds of open files (criu `images/fdinfo.proto`, `fd_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A file with a path, a folder or a device.
    Regular,
    /// An end of a pipe.
    Pipe,
    /// A named pipe.
    Fifo,
    /// An IP socket.
    InetSocket,
    /// A Unix socket.
    UnixSocket,
    /// An eventfd.
    Eventfd,
    /// An epoll set.
    Eventpoll,
    /// An inotify queue.
    Inotify,
    /// A signalfd.
    Signalfd,
    /// A packet socket.
    PacketSocket,
    /// A terminal.
    Tty,
    /// A fanotify queue.
    Fanotify,
    /// A netlink socket.
    NetlinkSocket,
    /// A namespace.
    Namespace,
    /// A network tunnel.
    Tunnel,
    /// From a plugin.
    External,
    /// A timerfd.
    Timerfd,
    /// A file in memory.
    Memfd,
    /// A BPF map.
    BpfMap,
    /// A process.
    Pidfd,
    /// Not known here.
    Unknown,
}

/// Kinds by their number, and what `/proc/<pid>/fd` says of those without path or address.
const KINDS: [(FileKind, &str); 20] = [
    (FileKind::Regular, "file"),
    (FileKind::Pipe, "pipe"),
    (FileKind::Fifo, "fifo"),
    (FileKind::InetSocket, "socket"),
    (FileKind::UnixSocket, "socket"),
    (FileKind::Eventfd, "anon_inode:[eventfd]"),
    (FileKind::Eventpoll, "anon_inode:[eventpoll]"),
    (FileKind::Inotify, "anon_inode:inotify"),
    (FileKind::Signalfd, "anon_inode:[signalfd]"),
    (FileKind::PacketSocket, "socket"),
    (FileKind::Tty, "tty"),
    (FileKind::Fanotify, "anon_inode:[fanotify]"),
    (FileKind::NetlinkSocket, "socket"),
    (FileKind::Namespace, "namespace"),
    (FileKind::Tunnel, "/dev/net/tun"),
    (FileKind::External, "external"),
    (FileKind::Timerfd, "anon_inode:[timerfd]"),
    (FileKind::Memfd, "memfd"),
    (FileKind::BpfMap, "anon_inode:bpf-map"),
    (FileKind::Pidfd, "anon_inode:[pidfd]"),
];

impl FileKind {
    /// The kind for a number of an image.
    pub fn from_number(number: u32) -> Self {
        entry(number).map_or(Self::Unknown, |(kind, _)| *kind)
    }

    /// Name for a file that has no other.
    pub(crate) fn label(number: u32) -> &'static str {
        entry(number).map_or("unknown", |(_, label)| label)
    }
}

fn entry(number: u32) -> Option<&'static (FileKind, &'static str)> {
    KINDS.get(usize::try_from(number.checked_sub(1)?).ok()?)
}

/// Number of the kind of files with a path.
const REGULAR: u32 = 1;

/// The open files of a checkpoint, by kind and id: CRIU looks them up by both.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FileTable {
    files: BTreeMap<(u32, u32), FileEntry>,
}

impl FileTable {
    /// The file that a descriptor names.
    pub fn get(&self, kind: u32, id: u32) -> Option<&FileEntry> {
        self.files.get(&(kind, id))
    }

    /// The file with a path that an area, an executable or a terminal names.
    pub fn regular(&self, id: u32) -> Option<&RegularFile> {
        self.get(REGULAR, id)?.regular.as_ref()
    }

    /// All files, by kind and id.
    pub fn iter(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.values()
    }

    /// Reads `files.img`, or the images that older checkpoints have in its place.
    pub(crate) fn read(images: &BTreeMap<String, Vec<u8>>, warnings: &mut Warnings) -> Self {
        let mut table = Self::default();
        table.add(images, "files.img", ImageKind::Files, |file: FileEntry| file, warnings);
        let regular = |file: RegularFile| FileEntry {
            kind: REGULAR,
            id: file.id,
            regular: Some(file),
            ..FileEntry::default()
        };
        table.add(images, "reg-files.img", ImageKind::RegFiles, regular, warnings);
        let pipe = |pipe: Pipe| FileEntry {
            kind: 2,
            id: pipe.id,
            pipe: Some(pipe),
            ..FileEntry::default()
        };
        table.add(images, "pipes.img", ImageKind::Pipes, pipe, warnings);
        let inet = |inet: InetSocket| FileEntry {
            kind: 4,
            id: inet.id,
            inet: Some(inet),
            ..FileEntry::default()
        };
        table.add(images, "inetsk.img", ImageKind::InetSockets, inet, warnings);
        let unix = |unix: UnixSocket| FileEntry {
            kind: 5,
            id: unix.id,
            unix: Some(unix),
            ..FileEntry::default()
        };
        table.add(images, "unixsk.img", ImageKind::UnixSockets, unix, warnings);
        table
    }

    fn add<M: Entry>(
        &mut self,
        images: &BTreeMap<String, Vec<u8>>,
        name: &str,
        kind: ImageKind,
        file_of: impl Fn(M) -> FileEntry,
        warnings: &mut Warnings,
    ) {
        let Some(bytes) = images.get(name) else { return };
        let read = read_all::<M>(name, bytes, kind, warnings);
        for file in warnings.take(read).unwrap_or_default().into_iter().map(file_of) {
            if self.files.len() >= ENTRIES_MAX {
                warnings.add(format_args!("{name}: more than {ENTRIES_MAX} files"));
                return;
            }
            if FileKind::from_number(file.kind) == FileKind::Unknown {
                let (id, kind) = (file.id, file.kind);
                warnings.add(format_args!("{name}: kind {kind} of file {id} is not known"));
            }
            self.files.entry((file.kind, file.id)).or_insert(file);
        }
    }
}

/// The descriptors of an `fdinfo-<files id>.img`, in its order.
///
/// # Errors
///
/// If the image cannot be read.
pub fn read_fdinfo(image: &str, bytes: &[u8]) -> Result<Vec<FdInfo>> {
    fdinfo(image, bytes, &mut Warnings::default())
}

pub(crate) fn fdinfo(image: &str, bytes: &[u8], warnings: &mut Warnings) -> Result<Vec<FdInfo>> {
    read_all(image, bytes, ImageKind::Fdinfo, warnings)
}
