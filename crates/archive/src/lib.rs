//! A container checkpoint, as podman, containerd and CRI-O write it: a tar that nothing trusts.
//!
//! [`decode`] takes off the outer compression, [`Scanner`] walks the tar and refuses what no engine writes,
//! [`Collector`] keeps the small members and says whose checkpoint it is, [`check_inner`] walks the tars inside the tar.
//! [`read_checkpoint`] is all of it in one call. No I/O beyond `Read`, no async, and memory bounded by [`Limits`].

mod annotations;
mod bomb;
mod changes;
mod checkpoint;
mod collect;
pub mod decode;
mod entries;
mod entry;
mod error;
mod extension;
mod header;
mod identity;
mod json;
mod limits;
mod metadata;
mod names;
mod number;
mod read;
mod rootfs;
mod scan;
mod shapes;
mod source;
mod sparse;
mod syntax;
mod tree;
mod validate;

pub use changes::{ChangedFile, Changes};
pub use checkpoint::{Checkpoint, IMAGES};
pub use collect::Collector;
pub use decode::Outer;
pub use error::{ArchiveError, ErrorKind};
pub use identity::{Engine, Identity};
pub use limits::Limits;
pub use metadata::{
    BindMount, ConfigDump, Device, Linux, Mount, Namespace, Process, Root, SpecDump, StatusDump,
    StatusImage, StatusMetadata, User,
};
pub use read::{read_checkpoint, read_plain};
pub use rootfs::{InnerSummary, check_inner, is_inner_tar};
pub use scan::{Member, MemberKind, Scanned, Scanner};
pub use source::{Source, Streamed};
