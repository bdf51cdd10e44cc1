//! From descriptors to what they stand for.

use std::collections::{BTreeMap, BTreeSet};

use crate::budget::Budget;
use crate::file_messages::{FdInfo, FileEntry};
use crate::files::{FileKind, FileTable};
use crate::report::{OpenFile, Socket, TcpConnection};
use crate::socket::{is_connection, socket};
use crate::tables::access;
use crate::warnings::Warnings;

/// Flag of a descriptor (Linux `FD_CLOEXEC`).
const CLOSE_ON_EXEC: u32 = 1;

/// All that is needed to tell what a descriptor is.
pub(crate) struct Resolver<'a> {
    pub(crate) table: &'a FileTable,
    /// Bytes that wait in pipes, by inode.
    pub(crate) waiting: &'a BTreeMap<u32, u64>,
    /// Byte order of the host that dumped.
    pub(crate) big_endian: bool,
}

impl Resolver<'_> {
    /// The open file of a descriptor.
    pub(crate) fn open_file(
        &self,
        info: &FdInfo,
        budget: &mut Budget,
        warnings: &mut Warnings,
    ) -> OpenFile {
        let file = self.table.get(info.kind, info.id);
        if file.is_none() {
            let FdInfo { id, kind, .. } = info;
            warnings.add(format_args!("files.img: file {id} of kind {kind} is not there"));
        }
        let socket = file.and_then(|file| socket(file, self.big_endian, warnings));
        let name = file.and_then(|file| self.name(file, socket.as_ref(), budget, warnings));
        OpenFile {
            fd: info.fd,
            kind: FileKind::from_number(info.kind),
            path_or_address: name.unwrap_or_else(|| FileKind::label(info.kind).to_owned()),
            access: file.and_then(flags).map(|flags| access(flags).to_owned()),
            position: file.and_then(|file| file.regular.as_ref()).map(|file| file.pos),
            waiting_bytes: file.and_then(pipe_inode).map(|id| self.waiting(id)),
            close_on_exec: info.flags & CLOSE_ON_EXEC != 0,
            socket,
        }
    }

    fn waiting(&self, pipe: u32) -> u64 {
        self.waiting.get(&pipe).copied().unwrap_or(0)
    }

    fn name(
        &self,
        file: &FileEntry,
        socket: Option<&Socket>,
        budget: &mut Budget,
        warnings: &mut Warnings,
    ) -> Option<String> {
        if let Some(socket) = socket {
            return budget.text(socket_name(file, socket), warnings);
        }
        if let Some(pipe) = &file.pipe {
            return Some(format!("pipe:[{}]", pipe.pipe_id));
        }
        let path = file.fifo.as_ref().map(|fifo| fifo.path_id.unwrap_or(fifo.id));
        let path = path.or(file.tty.as_ref().map(|tty| tty.path_id.unwrap_or(tty.id)));
        let path = path.and_then(|id| self.table.regular(id)).or(file.regular.as_ref());
        path.and_then(|file| budget.name(&file.name, warnings))
    }

    /// The TCP connections among all files. `holders` has the ids of processes, by a socket's id.
    pub(crate) fn connections(
        &self,
        holders: &BTreeMap<u32, BTreeSet<u32>>,
        budget: &mut Budget,
        warnings: &mut Warnings,
    ) -> Vec<TcpConnection> {
        let mut connections = Vec::new();
        for file in self.table.iter() {
            let connected = file.inet.as_ref().is_some_and(is_connection);
            let Some(socket) = connected.then(|| socket(file, self.big_endian, warnings)).flatten()
            else {
                continue;
            };
            if !budget.item(warnings) {
                break;
            }
            let processes = holders.get(&file.id).into_iter().flatten().copied().collect();
            let Socket { state, local, remote, .. } = socket;
            connections.push(TcpConnection { state, local, remote, processes });
        }
        connections
    }
}

fn socket_name(file: &FileEntry, socket: &Socket) -> String {
    match (&socket.local, &socket.remote) {
        (Some(local), Some(remote)) => format!("{local} -> {remote}"),
        (Some(local), None) => local.clone(),
        (None, Some(remote)) => format!("-> {remote}"),
        (None, None) => {
            let unix = file.unix.as_ref().map(|unix| unix.ino);
            let inode = unix.or(file.inet.as_ref().map(|inet| inet.ino));
            inode.map_or_else(|| "socket".to_owned(), |inode| format!("socket:[{inode}]"))
        }
    }
}

fn pipe_inode(file: &FileEntry) -> Option<u32> {
    let pipe = file.pipe.as_ref().map(|pipe| pipe.pipe_id);
    pipe.or(file.fifo.as_ref().map(|fifo| fifo.pipe_id))
}

/// Flags of open(2), of the kinds for which they are read.
fn flags(file: &FileEntry) -> Option<u32> {
    let regular = file.regular.as_ref().map(|file| file.flags);
    let pipe = file.pipe.as_ref().map(|pipe| pipe.flags);
    regular.or(pipe).or(file.tty.as_ref().map(|tty| tty.flags))
}
