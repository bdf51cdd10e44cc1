//! Tars inside the tar: `rootfs-diff.tar` and its like hold a container's own files, so links are legal, escapes are not.

use std::collections::HashSet;
use std::io::Read;

use crate::decode;
use crate::entries::Entries;
use crate::entry::Entry;
use crate::error::{ArchiveError, shown};
use crate::extension::Rules;
use crate::limits::Limits;
use crate::source::{Streamed, read_full};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh.";

/// What an inner tar holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InnerSummary {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of the tar, uncompressed.
    pub bytes: u64,
}

/// Whether a member is a tar that a restore unpacks: `rootfs-diff.tar`, and podman's `/dev/shm` and volumes.
#[must_use]
pub fn is_inner_tar(path: &str) -> bool {
    let volume = path.strip_prefix("volumes/").and_then(|name| name.strip_suffix(".tar"));
    matches!(path, "rootfs-diff.tar" | "devshm-checkpoint.tar") || volume.is_some()
}

/// Reads an inner tar to its end, whatever compresses it, and checks that unpacking it stays in its folder.
///
/// `name` is the member, for messages. An empty input is an empty tar.
pub fn check_inner<R: Read + Send>(
    name: &str,
    reader: R,
    limits: &Limits,
) -> Result<InnerSummary, ArchiveError> {
    check(reader, limits).map_err(|source| match source {
        // The input's own failures are not about the inner tar.
        ArchiveError::Io(_) => source,
        source => ArchiveError::Inner { archive: shown(name.as_bytes()), source: Box::new(source) },
    })
}

fn check<R: Read + Send>(mut reader: R, limits: &Limits) -> Result<InnerSummary, ArchiveError> {
    let mut first = [0];
    if read_full(&mut reader, &mut first)? == 0 {
        return Ok(InnerSummary::default());
    }
    let (_, plain) = decode::open(first.chain(reader))?;
    let mut entries = Entries::new(Streamed(plain), limits.inner(), Rules::Lenient);
    let mut tree = Tree::default();
    while let Some(entry) = entries.next_entry()? {
        tree.add(&entry, entries.limits())?;
    }
    Ok(InnerSummary { entries: entries.count(), bytes: entries.offset() })
}

/// What the entries so far would have made of a folder, as far as later ones can be led astray by it.
#[derive(Debug, Default)]
struct Tree {
    /// Paths of symbolic links.
    links: HashSet<Vec<u8>>,
    bytes: usize,
}

impl Tree {
    fn add(&mut self, entry: &Entry, limits: &Limits) -> Result<(), ArchiveError> {
        let name = || shown(&entry.path);
        let path = relative(&entry.path, limits)?;
        if path.is_empty() && !entry.is_folder() {
            let why = "only a directory can be the root";
            return Err(ArchiveError::NonCanonical { name: name(), why });
        }
        check_type(entry)?;
        check_whiteout(&path, entry)?;
        if let Some(link) = self.link_above(&path) {
            return Err(ArchiveError::ThroughSymlink { name: name(), link: shown(&link) });
        }
        // Some readers write over a link, some through it.
        if self.links.contains(&path) {
            return Err(ArchiveError::Duplicate { name: name() });
        }
        match entry.flag {
            b'2' => self.remember(path, limits),
            b'1' => self.add_hard_link(entry, path, limits),
            _ => Ok(()),
        }
    }

    fn add_hard_link(
        &mut self,
        entry: &Entry,
        path: Vec<u8>,
        limits: &Limits,
    ) -> Result<(), ArchiveError> {
        let target = relative(&entry.link, limits)
            .ok()
            .filter(|target| !target.is_empty() && self.link_above(target).is_none());
        let Some(target) = target else {
            let (name, target) = (shown(&entry.path), shown(&entry.link));
            return Err(ArchiveError::HardLinkEscapes { name, target });
        };
        // A second name of a symbolic link is one too.
        if self.links.contains(&target) { self.remember(path, limits) } else { Ok(()) }
    }

    fn remember(&mut self, path: Vec<u8>, limits: &Limits) -> Result<(), ArchiveError> {
        self.bytes = self.bytes.saturating_add(path.len());
        if self.bytes > limits.max_names_bytes {
            return Err(ArchiveError::NamesTooLong { max: limits.max_names_bytes });
        }
        self.links.insert(path);
        Ok(())
    }

    /// A symbolic link among the folders of a path.
    fn link_above(&self, path: &[u8]) -> Option<Vec<u8>> {
        if self.links.is_empty() {
            return None;
        }
        let slashes = (0_usize..).zip(path).filter(|(_, byte)| **byte == b'/');
        let mut parents = slashes.filter_map(|(at, _)| path.get(..at));
        parents.find(|parent| self.links.contains(*parent)).map(<[u8]>::to_vec)
    }
}

/// The path without what does not change it ("./", "//", a slash at the end); the root itself is empty.
fn relative(path: &[u8], limits: &Limits) -> Result<Vec<u8>, ArchiveError> {
    let name = || shown(path);
    if path.len() > limits.max_path_bytes {
        return Err(ArchiveError::NameTooLong { name: name(), max: limits.max_path_bytes });
    }
    if path.first() == Some(&b'/') {
        return Err(ArchiveError::AbsoluteName { name: name() });
    }
    let mut components = Vec::new();
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(ArchiveError::ParentComponent { name: name() }),
            _ => components.push(component),
        }
    }
    // Not the outer limit: what a container nests is its own business.
    let max = limits.max_depth.saturating_mul(4);
    if components.len() > max {
        return Err(ArchiveError::NameTooDeep { name: name(), max });
    }
    Ok(components.join(&b'/'))
}

fn check_type(entry: &Entry) -> Result<(), ArchiveError> {
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
        b'3' if entry.device == (0, 0) => Ok(()),
        b'3' | b'4' => Err(ArchiveError::Device { name: name() }),
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
