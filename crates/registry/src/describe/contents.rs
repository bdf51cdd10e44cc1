//! What CRIU's images and the archive tell, in the words of the API.

use jiff::Timestamp;
use pagevault_api::contents::{
    Address, MemoryArea, OpenFile, OpenFiles, Process, ProcessMemory, RootfsChanges, RootfsFile,
    Socket, TcpConnection, Thread,
};
use pagevault_archive::Checkpoint as Archive;
use pagevault_criu::{PAGE_BYTES, Report};
use serde::Serialize;

pub(super) fn processes(report: &Report) -> Vec<Process> {
    report.processes.iter().map(process).collect()
}

fn process(process: &pagevault_criu::Process) -> Process {
    let threads = process.threads.iter();
    Process {
        pid: process.pid,
        parent: process.ppid,
        group: process.pgid,
        session: process.sid,
        command: process.comm.clone(),
        executable: process.exe.clone(),
        state: process.state.as_ref().map(word),
        uid: process.uid,
        gid: process.gid,
        threads: threads.map(|t| Thread { tid: t.tid, name: t.comm.clone() }).collect(),
        memory_bytes: process.present_pages.saturating_mul(PAGE_BYTES),
        area_count: process.areas.len() as u64,
        file_count: process.files.len() as u64,
    }
}

pub(super) fn memory(report: &Report) -> Vec<ProcessMemory> {
    let memory = |process: &pagevault_criu::Process| ProcessMemory {
        pid: process.pid,
        command: process.comm.clone(),
        areas: process.areas.iter().map(area).collect(),
    };
    report.processes.iter().map(memory).collect()
}

fn area(area: &pagevault_criu::Area) -> MemoryArea {
    MemoryArea {
        start: Address(area.start),
        end: Address(area.end),
        kind: word(&area.kind),
        rights: area.perms.clone(),
        file: area.file.clone(),
        pages: area.present_pages,
        changes: None,
    }
}

pub(super) fn files(report: &Report) -> OpenFiles {
    let of = |process: &pagevault_criu::Process| {
        let pid = process.pid;
        process.files.iter().map(move |file| open_file(pid, file)).collect::<Vec<_>>()
    };
    OpenFiles {
        items: report.processes.iter().flat_map(of).collect(),
        connections: connections(report),
    }
}

fn open_file(pid: u32, file: &pagevault_criu::OpenFile) -> OpenFile {
    OpenFile {
        pid,
        fd: file.fd,
        kind: word(&file.kind),
        target: file.path_or_address.clone(),
        access: file.access.clone(),
        position: file.position,
        waiting_bytes: file.waiting_bytes,
        close_on_exec: file.close_on_exec,
        socket: file.socket.as_ref().map(|socket| Socket {
            family: socket.family.clone(),
            socket_type: socket.socket_type.clone(),
            protocol: socket.protocol.clone(),
            state: socket.state.clone(),
            local: socket.local.clone(),
            remote: socket.remote.clone(),
        }),
    }
}

pub(super) fn connections(report: &Report) -> Vec<TcpConnection> {
    let connection = |connection: &pagevault_criu::TcpConnection| TcpConnection {
        state: connection.state.clone(),
        local: connection.local.clone(),
        remote: connection.remote.clone(),
        processes: connection.processes.clone(),
    };
    report.tcp_connections.iter().map(connection).collect()
}

pub(super) fn rootfs(archive: &Archive) -> RootfsChanges {
    let changes = &archive.rootfs;
    let file = |file: &pagevault_archive::ChangedFile| RootfsFile {
        path: file.path.clone(),
        kind: file.kind.to_owned(),
        bytes: file.size,
        mode: file.mode,
        modified_at: file.mtime.and_then(time),
        target: file.target.clone(),
    };
    let mut items: Vec<_> = changes.files.iter().map(file).collect();
    items.sort_by(|a, b| a.path.cmp(&b.path));
    let mut deleted: Vec<_> =
        changes.deleted.iter().chain(&archive.deleted_files).cloned().collect();
    deleted.sort_unstable();
    deleted.dedup();
    RootfsChanges { items, deleted, truncated: changes.truncated }
}

fn time(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// The word that a kind is called by.
fn word(kind: &impl Serialize) -> String {
    let word = serde_json::to_value(kind).ok();
    word.as_ref().and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned()
}
