//! The processes of a report, put together from their images.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::areas::{Memory, PresentPages, read_mm};
use crate::budget::Budget;
use crate::core::{self, CoreEntry, Credentials, Ids, TaskState, architecture, command_text};
use crate::file_messages::FdInfo;
use crate::files::{FileTable, fdinfo};
use crate::magic::ImageKind;
use crate::message::read_one;
use crate::mm::Mm;
use crate::open_files::Resolver;
use crate::pagemap::Pagemap;
use crate::pages::{Owner, owner};
use crate::pipes;
use crate::pstree::{self, PstreeEntry};
use crate::report::{OpenFile, Process, TcpConnection, Thread};
use crate::warnings::Warnings;

type Images = BTreeMap<String, Vec<u8>>;

/// What is told of processes.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) architecture: Option<String>,
    pub(crate) processes: Vec<Process>,
    pub(crate) tcp_connections: Vec<TcpConnection>,
}

/// Reads all processes.
pub(crate) fn read(images: &Images, warnings: &mut Warnings) -> Found {
    let Some(bytes) = images.get("pstree.img") else {
        warnings.add("pstree.img: is missing");
        return Found::default();
    };
    let tree = pstree::read(bytes, warnings);
    let tree = warnings.take(tree).unwrap_or_default();
    let files = FileTable::read(images, warnings);
    let waiting = pipes::waiting(images, warnings);
    let mut reader = Reader {
        images,
        files: &files,
        waiting: &waiting,
        shared: shared_memory(images, warnings),
        budget: Budget::new(),
        architecture: None,
        holders: BTreeMap::new(),
        names: BTreeMap::new(),
        tables: BTreeMap::new(),
        warnings,
    };
    let processes = tree.iter().map(|entry| reader.process(entry)).collect();
    let tcp_connections = reader.connections();
    let architecture = reader.architecture.map(str::to_owned);
    Found { architecture, processes, tcp_connections }
}

fn shared_memory(images: &Images, warnings: &mut Warnings) -> BTreeMap<u64, PresentPages> {
    let mut shared = BTreeMap::new();
    for (name, bytes) in images {
        if let Some(Owner::Shmem { id }) = owner(name)
            && let Some(map) = read_pagemap(name, bytes, warnings)
        {
            shared.insert(id, PresentPages::new(&map));
        }
    }
    shared
}

fn read_pagemap(name: &str, bytes: &[u8], warnings: &mut Warnings) -> Option<Pagemap> {
    let map = warnings.take(Pagemap::read(name, bytes))?;
    for remark in map.remarks() {
        warnings.add(format_args!("{name}: {remark}"));
    }
    Some(map)
}

struct Reader<'a> {
    images: &'a Images,
    files: &'a FileTable,
    waiting: &'a BTreeMap<u32, u64>,
    shared: BTreeMap<u64, PresentPages>,
    budget: Budget,
    architecture: Option<&'static str>,
    /// Who has an open socket, by its id.
    holders: BTreeMap<u32, BTreeSet<u32>>,
    /// Names of threads and tables of files that were read: many processes may name the same.
    names: BTreeMap<u32, Option<String>>,
    tables: BTreeMap<u32, Rc<Vec<FdInfo>>>,
    warnings: &'a mut Warnings,
}

impl Reader<'_> {
    fn process(&mut self, entry: &PstreeEntry) -> Process {
        let pid = entry.pid;
        let core = self.core(pid);
        let state = core.as_ref().and_then(|core| self.state(pid, core));
        let creds = core.as_ref().and_then(|core| self.credentials(pid, core));
        let mm = read_mm(self.images, pid, self.warnings);
        // The dead have neither memory nor files.
        let lives = matches!(state, Some(TaskState::Alive | TaskState::Stopped));
        if lives && mm.is_none() {
            self.warnings.add(format_args!("mm-{pid}.img: is missing or cannot be read"));
        }
        let name = format!("pagemap-{pid}.img");
        let bytes = self.images.get(&name);
        let map = bytes.and_then(|bytes| read_pagemap(&name, bytes, self.warnings));
        let present = map.as_ref().map(PresentPages::new).unwrap_or_default();
        let exe = mm.as_ref().and_then(|mm| self.files.regular(mm.exe_file_id));
        Process {
            pid,
            ppid: entry.ppid,
            pgid: entry.pgid,
            sid: entry.sid,
            threads: self.threads(entry),
            comm: core.as_ref().and_then(|core| core.task.as_ref()).map(|t| command_text(&t.comm)),
            exe: exe.and_then(|exe| self.budget.name(&exe.name, self.warnings)),
            state,
            uid: creds.as_ref().map(|creds| creds.uid),
            gid: creds.as_ref().map(|creds| creds.gid),
            areas: mm.map(|mm| self.areas(pid, &mm, &present)).unwrap_or_default(),
            files: self.open_files(pid, core.as_ref(), lives),
            pages_id: map.as_ref().map(|map| map.pages_id),
            present_pages: map.as_ref().map_or(0, Pagemap::present_pages),
        }
    }

    fn core(&mut self, pid: u32) -> Option<CoreEntry> {
        let core = core::read(self.images, pid, self.warnings);
        let Some(core) = core else {
            self.warnings.add(format_args!("core-{pid}.img: is missing or cannot be read"));
            return None;
        };
        match (architecture(core.mtype), self.architecture) {
            (None, _) => {
                let number = core.mtype;
                self.warnings
                    .add(format_args!("core-{pid}.img: architecture {number} is not known"));
            }
            (found, None) => self.architecture = found,
            (Some(found), Some(first)) if found != first => {
                self.warnings
                    .add(format_args!("core-{pid}.img: is of {found}, others are of {first}"));
            }
            _ => {}
        }
        Some(core)
    }

    fn state(&mut self, pid: u32, core: &CoreEntry) -> Option<TaskState> {
        let number = core.task.as_ref()?.task_state?;
        let state = TaskState::from_number(number);
        if state.is_none() {
            self.warnings.add(format_args!("core-{pid}.img: state {number} is not known"));
        }
        state
    }

    fn credentials(&mut self, pid: u32, core: &CoreEntry) -> Option<Credentials> {
        let inside = core.thread.as_ref().and_then(|thread| thread.creds.clone());
        inside.or_else(|| {
            let name = format!("creds-{pid}.img");
            let bytes = self.images.get(&name)?;
            let read = read_one(&name, bytes, ImageKind::Creds, self.warnings);
            self.warnings.take(read)
        })
    }

    fn threads(&mut self, entry: &PstreeEntry) -> Vec<Thread> {
        let mut threads = Vec::new();
        for tid in &entry.threads {
            if !self.budget.item(self.warnings) {
                break;
            }
            threads.push(Thread { tid: *tid, comm: self.thread_name(*tid) });
        }
        threads
    }

    fn thread_name(&mut self, tid: u32) -> Option<String> {
        if let Some(name) = self.names.get(&tid) {
            return name.clone();
        }
        let core = core::read(self.images, tid, self.warnings);
        let comm = core.and_then(|core| core.thread?.comm);
        let name = comm.as_deref().map(command_text);
        self.names.insert(tid, name.clone());
        name
    }

    fn areas(&mut self, pid: u32, mm: &Mm, present: &PresentPages) -> Vec<crate::report::Area> {
        let memory = Memory { pid, mm, files: self.files, present, shared: &self.shared };
        memory.areas(&mut self.budget, self.warnings)
    }

    fn open_files(&mut self, pid: u32, core: Option<&CoreEntry>, lives: bool) -> Vec<OpenFile> {
        let Some(ids) = self.ids(pid, core) else {
            if lives {
                self.warnings.add(format_args!("ids-{pid}.img: is missing or cannot be read"));
            }
            return Vec::new();
        };
        let infos = self.descriptors(ids.files_id);
        let resolver = self.resolver();
        let mut files = Vec::new();
        for info in infos.iter() {
            if !self.budget.item(self.warnings) {
                break;
            }
            let file = resolver.open_file(info, &mut self.budget, self.warnings);
            if file.socket.is_some() {
                self.holders.entry(info.id).or_default().insert(pid);
            }
            files.push(file);
        }
        files
    }

    fn ids(&mut self, pid: u32, core: Option<&CoreEntry>) -> Option<Ids> {
        let name = format!("ids-{pid}.img");
        match self.images.get(&name) {
            Some(bytes) => {
                let read = read_one(&name, bytes, ImageKind::Ids, self.warnings);
                self.warnings.take(read)
            }
            None => core.and_then(|core| core.ids),
        }
    }

    fn descriptors(&mut self, files_id: u32) -> Rc<Vec<FdInfo>> {
        if let Some(infos) = self.tables.get(&files_id) {
            return Rc::clone(infos);
        }
        let name = format!("fdinfo-{files_id}.img");
        let mut infos = match self.images.get(&name) {
            Some(bytes) => {
                let read = fdinfo(&name, bytes, self.warnings);
                self.warnings.take(read).unwrap_or_default()
            }
            None => {
                self.warnings.add(format_args!("{name}: is missing"));
                Vec::new()
            }
        };
        infos.sort_by_key(|info| info.fd);
        let infos = Rc::new(infos);
        self.tables.insert(files_id, Rc::clone(&infos));
        infos
    }

    fn connections(&mut self) -> Vec<TcpConnection> {
        let resolver = self.resolver();
        resolver.connections(&self.holders, &mut self.budget, self.warnings)
    }
}

impl<'a> Reader<'a> {
    fn resolver(&self) -> Resolver<'a> {
        // The one big-endian architecture that CRIU knows.
        Resolver {
            table: self.files,
            waiting: self.waiting,
            big_endian: self.architecture == Some("s390x"),
        }
    }
}
