//! Tars inside the tar: `rootfs-diff.tar` and its like hold a container's own files, so links are legal, escapes are not.

use std::collections::HashSet;
use std::io::Read;

use crate::bomb::{RATIO, Ratio};
use crate::changes::Changes;
use crate::decode;
use crate::entries::Entries;
use crate::entry::Entry;
use crate::error::{ArchiveError, shown};
use crate::extension::Rules;
use crate::limits::Limits;
use crate::source::{Source, Streamed, read_full};
use crate::tree::{Tree, relative};

pub(crate) const WHITEOUT: &[u8] = b".wh.";
pub(crate) const OPAQUE: &[u8] = b".wh..wh.";
/// Major and minor number of overlayfs's own whiteouts.
const WHITEOUT_DEVICE: (u64, u64) = (0, 0);
/// Every container's `/dev` is a tmpfs with these in it: null, zero, full, random, urandom, tty, ptmx.
const DEVICES: [(u64, u64); 7] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)];

/// What an inner tar holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InnerSummary {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of the tar, uncompressed.
    pub bytes: u64,
    /// Paths of its symbolic links: a later step of a restore must not be led through one.
    pub links: HashSet<Vec<u8>>,
    /// What it changes, in its order.
    pub changes: Changes,
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
    let ratio = Ratio::default();
    let (_, plain) = decode::open(ratio.taken(first.chain(reader)))?;
    let entries = Entries::new(Streamed(ratio.given(plain)), limits.inner(), rules);
    let walked = walk(entries, rules);
    if ratio.exceeded() {
        return Err(ArchiveError::Bomb { ratio: RATIO });
    }
    walked
}

fn walk<S: Source>(mut entries: Entries<S>, rules: Rules) -> Result<InnerSummary, ArchiveError> {
    let mut tree = Tree::default();
    let mut changes = Changes::default();
    while let Some(entry) = entries.next_entry()? {
        let path = relative(&entry.path, entries.limits())?;
        check_type(&entry, rules)?;
        if rules != Rules::Tmpfs {
            check_whiteout(&path, &entry)?;
        }
        tree.add(&entry, &path, entries.limits())?;
        changes.add(&entry, &path);
    }
    let (count, bytes) = (entries.count(), entries.offset());
    Ok(InnerSummary { entries: count, bytes, links: tree.into_links(), changes })
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
