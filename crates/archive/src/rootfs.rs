//! Tars inside the tar: `rootfs-diff.tar` and its like hold a container's own files, so links are legal, escapes are not.

use std::io::Read;

use crate::decode;
use crate::entries::Entries;
use crate::entry::Entry;
use crate::error::{ArchiveError, shown};
use crate::extension::Rules;
use crate::limits::Limits;
use crate::source::{Streamed, read_full};
use crate::tree::{Tree, relative};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh.";
/// Major and minor number of overlayfs's own whiteouts.
const WHITEOUT_DEVICE: (u64, u64) = (0, 0);
/// Every container's `/dev` is a tmpfs with these in it: null, zero, full, random, urandom, tty, ptmx.
const DEVICES: [(u64, u64); 7] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)];

/// What an inner tar holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InnerSummary {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of the tar, uncompressed.
    pub bytes: u64,
}

/// Whether a member is a tar that a restore unpacks: `rootfs-diff.tar`, podman's `/dev/shm` and volumes, and CRIU's
/// copy of each tmpfs.
#[must_use]
pub fn is_inner_tar(path: &str) -> bool {
    let volume = path.strip_prefix("volumes/").and_then(|name| name.strip_suffix(".tar"));
    matches!(path, "rootfs-diff.tar" | "devshm-checkpoint.tar")
        || volume.is_some()
        || is_tmpfs(path)
}

/// The contents of a tmpfs, which CRIU has GNU tar unpack as root (`criu/filesystems.c`).
fn is_tmpfs(path: &str) -> bool {
    let name = path.strip_prefix("checkpoint/tmpfs-").and_then(|n| n.strip_suffix(".tar.gz.img"));
    name.is_some_and(|name| !name.contains('/'))
}

/// Reads an inner tar to its end, whatever compresses it, and checks that unpacking it stays in its folder.
///
/// `name` is the member, for messages. An empty input is an empty tar.
pub fn check_inner<R: Read + Send>(
    name: &str,
    reader: R,
    limits: &Limits,
) -> Result<InnerSummary, ArchiveError> {
    let rules = if is_tmpfs(name) { Rules::Tmpfs } else { Rules::Lenient };
    check(reader, rules, limits).map_err(|source| match source {
        // The input's own failures are not about the inner tar.
        ArchiveError::Io(_) => source,
        source => ArchiveError::Inner { archive: shown(name.as_bytes()), source: Box::new(source) },
    })
}

fn check<R: Read + Send>(
    mut reader: R,
    rules: Rules,
    limits: &Limits,
) -> Result<InnerSummary, ArchiveError> {
    let mut first = [0];
    if read_full(&mut reader, &mut first)? == 0 {
        return Ok(InnerSummary::default());
    }
    let (_, plain) = decode::open(first.chain(reader))?;
    let mut entries = Entries::new(Streamed(plain), limits.inner(), rules);
    let mut tree = Tree::default();
    while let Some(entry) = entries.next_entry()? {
        let path = relative(&entry.path, entries.limits())?;
        check_type(&entry, rules)?;
        if rules != Rules::Tmpfs {
            check_whiteout(&path, &entry)?;
        }
        tree.add(&entry, &path, entries.limits())?;
    }
    Ok(InnerSummary { entries: entries.count(), bytes: entries.offset() })
}

fn check_type(entry: &Entry, rules: Rules) -> Result<(), ArchiveError> {
    let name = || shown(&entry.path);
    match entry.flag {
        // To Go and GNU tar these are directories; Go reads the data as entries.
        b'0' | 0 if entry.is_folder() && entry.size > 0 => {
            let why = "a directory by its name has data";
            Err(ArchiveError::AmbiguousHeader { name: name(), why })
        }
        // Readers disagree about whether data follows these.
        b'1'..=b'6' if entry.size > 0 => {
            Err(ArchiveError::AmbiguousHeader { name: name(), why: "only files have data" })
        }
        b'0' | 0 | b'1' | b'2' | b'5' | b'6' => Ok(()),
        b'3' if entry.device == WHITEOUT_DEVICE => Ok(()),
        b'3' if rules == Rules::Tmpfs && DEVICES.contains(&entry.device) => Ok(()),
        b'3' | b'4' => Err(ArchiveError::Device { name: name() }),
        b'S' if rules == Rules::Tmpfs => Ok(()),
        b'S' => Err(ArchiveError::Sparse { name: name() }),
        flag => Err(ArchiveError::UnknownType { name: name(), flag }),
    }
}

/// A whiteout deletes what it names, so `.wh...` would delete the folder above.
fn check_whiteout(path: &[u8], entry: &Entry) -> Result<(), ArchiveError> {
    let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    if last.starts_with(OPAQUE) {
        return Ok(());
    }
    match last.strip_prefix(WHITEOUT) {
        Some(b"" | b"." | b"..") => Err(ArchiveError::BadWhiteout { name: shown(&entry.path) }),
        _ => Ok(()),
    }
}
