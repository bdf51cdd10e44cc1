//! `core-<tid>.img`: a thread, and for the first of a process the process
//! (criu `images/core.proto`, `images/creds.proto`); `ids-<pid>.img`: what processes share.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::magic::ImageKind;
use crate::message::{Entry, read_one, text};
use crate::warnings::Warnings;

/// Bytes of a command's name: the kernel keeps 15 (`TASK_COMM_LEN`).
const COMMAND_BYTES_MAX: usize = 15;

/// The entry of `core-<tid>.img`, without registers.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CoreEntry {
    /// The architecture, see [`architecture`].
    #[prost(uint32, tag = "1")]
    pub mtype: u32,
    /// The process; only in the image of its first thread.
    #[prost(message, optional, tag = "3")]
    pub task: Option<TaskCore>,
    /// What it shares with others, if there is no `ids-<pid>.img`.
    #[prost(message, optional, tag = "4")]
    pub ids: Option<Ids>,
    /// The thread; absent for a zombie.
    #[prost(message, optional, tag = "5")]
    pub thread: Option<ThreadCore>,
}

/// A process.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TaskCore {
    /// State, see [`TaskState`].
    #[prost(uint32, optional, tag = "1")]
    pub task_state: Option<u32>,
    /// Exit code, of a zombie, as wait(2) has it.
    #[prost(uint32, tag = "2")]
    pub exit_code: u32,
    /// Blocked signals, one bit each.
    #[prost(uint64, tag = "5")]
    pub blk_sigset: u64,
    /// Name of the command, as bytes.
    #[prost(bytes = "vec", tag = "6")]
    pub comm: Vec<u8>,
    /// Preference of the kernel to kill it when memory runs out.
    #[prost(int32, optional, tag = "14")]
    pub oom_score_adj: Option<i32>,
}

/// A thread.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ThreadCore {
    /// Blocked signals, one bit each.
    #[prost(uint64, optional, tag = "6")]
    pub blk_sigset: Option<u64>,
    /// Whose rights it has; absent before CRIU 2, then in `creds-<pid>.img`.
    #[prost(message, optional, tag = "10")]
    pub creds: Option<Credentials>,
    /// Seccomp: 0 off, 1 strict, 2 filter.
    #[prost(uint32, optional, tag = "11")]
    pub seccomp_mode: Option<u32>,
    /// Name of the thread, as bytes.
    #[prost(bytes = "vec", optional, tag = "13")]
    pub comm: Option<Vec<u8>>,
}

/// Rights of a thread, in numbers of its user namespace.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Credentials {
    /// Real user.
    #[prost(uint32, tag = "1")]
    pub uid: u32,
    /// Real group.
    #[prost(uint32, tag = "2")]
    pub gid: u32,
    /// Effective user.
    #[prost(uint32, tag = "3")]
    pub euid: u32,
    /// Effective group.
    #[prost(uint32, tag = "4")]
    pub egid: u32,
    /// Effective capabilities, 32 bits a word, the low ones first.
    #[prost(uint32, repeated, packed = "false", tag = "11")]
    pub cap_eff: Vec<u32>,
    /// Capabilities that it can ever have.
    #[prost(uint32, repeated, packed = "false", tag = "12")]
    pub cap_bnd: Vec<u32>,
    /// Groups besides its own.
    #[prost(uint32, repeated, packed = "false", tag = "14")]
    pub groups: Vec<u32>,
    /// Profile of the security module, as bytes.
    #[prost(bytes = "vec", optional, tag = "15")]
    pub lsm_profile: Option<Vec<u8>>,
    /// 1 if no program that it starts can gain rights.
    #[prost(uint32, optional, tag = "18")]
    pub no_new_privs: Option<u32>,
}

/// The entry of `ids-<pid>.img`: processes with equal numbers share the thing
/// (criu `images/core.proto`, `task_kobj_ids_entry`).
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Ids {
    /// Memory.
    #[prost(uint32, tag = "1")]
    pub vm_id: u32,
    /// Table of open files: N of `fdinfo-N.img`.
    #[prost(uint32, tag = "2")]
    pub files_id: u32,
    /// Root and working folder.
    #[prost(uint32, tag = "3")]
    pub fs_id: u32,
    /// Signal handlers.
    #[prost(uint32, tag = "4")]
    pub sighand_id: u32,
    /// Process ids.
    #[prost(uint32, optional, tag = "5")]
    pub pid_ns_id: Option<u32>,
    /// Network.
    #[prost(uint32, optional, tag = "6")]
    pub net_ns_id: Option<u32>,
    /// Mounts.
    #[prost(uint32, optional, tag = "9")]
    pub mnt_ns_id: Option<u32>,
    /// Users.
    #[prost(uint32, optional, tag = "10")]
    pub user_ns_id: Option<u32>,
}

impl Entry for CoreEntry {
    const REQUIRED: &'static [u32] = &[1];
    const KNOWN: &'static [u32] = &[1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13];
}

impl Entry for Credentials {
    const REQUIRED: &'static [u32] = &[1, 2];
    const KNOWN: &'static [u32] =
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];
}

impl Entry for Ids {
    const REQUIRED: &'static [u32] = &[1, 2, 3, 4];
    const KNOWN: &'static [u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
}

/// State of a process (criu `compel/include/uapi/task-state.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// It runs.
    Alive,
    /// It is gone.
    Dead,
    /// Stopped by a signal.
    Stopped,
    /// Ended, and its parent has not asked yet.
    Zombie,
}

impl TaskState {
    /// The state for a number of an image.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Alive),
            2 => Some(Self::Dead),
            3 => Some(Self::Stopped),
            6 => Some(Self::Zombie),
            _ => None,
        }
    }
}

/// Name of an architecture in the manner of OCI images, for [`CoreEntry::mtype`]
/// (criu `images/core.proto`, `march`).
pub const fn architecture(mtype: u32) -> Option<&'static str> {
    match mtype {
        1 => Some("amd64"),
        2 => Some("arm"),
        3 => Some("arm64"),
        4 => Some("ppc64le"),
        5 => Some("s390x"),
        6 => Some("mips64le"),
        7 => Some("loong64"),
        8 => Some("riscv64"),
        _ => None,
    }
}

/// The image of a thread, if there is one.
pub(crate) fn read(
    images: &BTreeMap<String, Vec<u8>>,
    tid: u32,
    warnings: &mut Warnings,
) -> Option<CoreEntry> {
    let name = format!("core-{tid}.img");
    let read = read_one(&name, images.get(&name)?, ImageKind::Core, warnings);
    warnings.take(read)
}

/// Name of a process's command.
pub(crate) fn command(images: &BTreeMap<String, Vec<u8>>, pid: u32) -> Option<String> {
    let core = read(images, pid, &mut Warnings::default())?;
    core.task.map(|task| command_text(&task.comm))
}

/// A command's name, no longer than the kernel's.
pub(crate) fn command_text(comm: &[u8]) -> String {
    text(&comm[..comm.len().min(COMMAND_BYTES_MAX)])
}
