//! CRIU image files: bytes in, types out. No I/O, no async.
//!
//! A checkpoint is a folder of small images (who ran, what was mapped, which files were open) and of
//! large `pages-N.img` files that hold nothing but memory. The small ones tell where each page of the
//! large ones lived:
//!
//! ```text
//! pstree.img ── pid ──┬── core-<pid>.img      name, credentials, state
//!                     ├── mm-<pid>.img        areas, executable ─────────┐
//!                     ├── ids-<pid>.img ───── fdinfo-<files id>.img ─────┴── files.img
//!                     └── pagemap-<pid>.img   addresses ──── pages-<pages id>.img
//! ```
//!
//! [`inspect`] tells what a checkpoint holds, [`page_spaces`] where its pages were. Both read what
//! they understand and put the rest into warnings: an image of a newer CRIU is reported, never
//! guessed at, and never stops the reading of the others.
//!
//! Images come from outside. Nothing here panics on them, no declared length makes more memory than
//! the input has, and what a report may hold is bounded ([`limits`]).
//!
//! Facts are from CRIU 4.2 (`images/*.proto`, `criu/include/{magic,image,pagemap}.h`).

mod areas;
mod budget;
mod core;
mod error;
mod file_messages;
mod files;
mod image;
mod inventory;
pub mod limits;
mod log;
mod magic;
mod message;
mod mm;
mod open_files;
mod pagemap;
mod pages;
mod pipes;
mod processes;
mod pstree;
mod report;
mod socket;
mod tables;
mod warnings;

pub use crate::core::{CoreEntry, Credentials, Ids, TaskCore, TaskState, ThreadCore, architecture};
pub use error::{CriuError, Problem, Result};
pub use file_messages::{
    FdInfo, Fifo, FileEntry, InetSocket, NetlinkSocket, PacketSocket, Pipe, RegularFile, Tty,
    UnixSocket,
};
pub use files::{FileKind, FileTable, read_fdinfo};
pub use image::{Entries, entries};
pub use inventory::{Inventory, InventorySummary, Plugins};
pub use log::{LogHead, log_head};
pub use magic::{ImageKind, identify};
pub use mm::{AreaKind, Mm, Vma};
pub use pagemap::{Flags, PageRun, Pagemap};
pub use pages::{Owner, PAGE_BYTES, PageSpace, Run, check_pages, page_spaces};
pub use pstree::{PstreeEntry, command_paths, read_pstree};
pub use report::{Area, OpenFile, Process, Report, Socket, TcpConnection, Thread, inspect};
