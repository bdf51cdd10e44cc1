//! `pstree.img`: the processes (criu `images/pstree.proto`).

use std::collections::BTreeMap;

use crate::core::command;
use crate::error::{CriuError, Problem, Result};
use crate::limits::{DEPTH_MAX, PROCESSES_MAX};
use crate::magic::ImageKind;
use crate::message::{Entry, read_all};
use crate::warnings::Warnings;

const IMAGE: &str = "pstree.img";

/// A process, by its ids in its own pid namespace.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PstreeEntry {
    /// Process id.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    /// Id of its parent; 0 for the root of the tree.
    #[prost(uint32, tag = "2")]
    pub ppid: u32,
    /// Process group.
    #[prost(uint32, tag = "3")]
    pub pgid: u32,
    /// Session.
    #[prost(uint32, tag = "4")]
    pub sid: u32,
    /// Thread ids, the process id among them; none of a zombie.
    #[prost(uint32, repeated, packed = "false", tag = "5")]
    pub threads: Vec<u32>,
}

impl Entry for PstreeEntry {
    const REQUIRED: &'static [u32] = &[1, 2, 3, 4];
    const KNOWN: &'static [u32] = &[1, 2, 3, 4, 5];
}

/// The processes of `pstree.img`, by process id.
///
/// # Errors
///
/// If the image cannot be read.
pub fn read_pstree(bytes: &[u8]) -> Result<Vec<PstreeEntry>> {
    read(bytes, &mut Warnings::default())
}

pub(crate) fn read(bytes: &[u8], warnings: &mut Warnings) -> Result<Vec<PstreeEntry>> {
    let mut processes = read_all::<PstreeEntry>(IMAGE, bytes, ImageKind::Pstree, warnings)?;
    if processes.len() > PROCESSES_MAX {
        return Err(CriuError::new(IMAGE, Problem::TooManyEntries { max: PROCESSES_MAX }));
    }
    processes.sort_by_key(|process| process.pid);
    let before = processes.len();
    processes.dedup_by_key(|process| process.pid);
    if processes.len() < before {
        warnings.add(format_args!("{IMAGE}: names a process more than once"));
    }
    Ok(processes)
}

/// Commands from the root of the process tree down to each process, by process id: `sh/sleep`.
///
/// Process ids change from one checkpoint to the next of a container that was restored in between;
/// this path mostly does not. A process without a readable name counts as `?`; of a deep tree only
/// the levels next to the process are named.
pub fn command_paths(images: &BTreeMap<String, Vec<u8>>) -> BTreeMap<u32, String> {
    let processes = images.get(IMAGE).and_then(|bytes| read_pstree(bytes).ok());
    let processes = processes.unwrap_or_default();
    let known: BTreeMap<u32, (u32, String)> = processes
        .iter()
        .map(|process| {
            let command = command(images, process.pid).unwrap_or_else(|| "?".to_owned());
            (process.pid, (process.ppid, command))
        })
        .collect();
    known.keys().map(|pid| (*pid, path(&known, *pid))).collect()
}

fn path(known: &BTreeMap<u32, (u32, String)>, pid: u32) -> String {
    let mut names = Vec::new();
    let mut next = pid;
    // A tree from outside may be a ring.
    while names.len() < DEPTH_MAX
        && let Some((parent, command)) = known.get(&next)
    {
        names.push(command.as_str());
        next = *parent;
    }
    names.reverse();
    names.join("/")
}
