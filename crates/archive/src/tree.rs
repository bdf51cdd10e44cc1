//! What the entries of an inner tar would make of a folder, as far as later ones can be led astray by it.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::entry::Entry;
use crate::error::{ArchiveError, shown};
use crate::limits::Limits;

/// Names so far. Files and folders are kept as keyed hashes of 64 bits: a name that is there twice is always
/// found, and a million different ones collide by chance, which nobody can arrange, once in thirty million tars.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Paths of symbolic links.
    links: HashSet<Vec<u8>>,
    link_bytes: usize,
    /// All that is no directory, links too.
    files: HashSet<u64>,
    /// Directories, and folders that other names imply.
    folders: HashSet<u64>,
    hasher: RandomState,
}

impl Tree {
    /// Adds an entry under its path from [`relative`].
    pub(crate) fn add(
        &mut self,
        entry: &Entry,
        path: &[u8],
        limits: &Limits,
    ) -> Result<(), ArchiveError> {
        let name = || shown(&entry.path);
        if path.is_empty() && !entry.is_folder() {
            let why = "only a directory can be the root";
            return Err(ArchiveError::NonCanonical { name: name(), why });
        }
        if let Some(link) = self.link_above(path) {
            return Err(ArchiveError::ThroughSymlink { name: name(), link: shown(&link) });
        }
        self.use_name(entry, path, limits)?;
        match entry.flag {
            b'2' => self.remember_link(path, limits),
            b'1' => self.add_hard_link(entry, path, limits),
            _ => Ok(()),
        }
    }

    /// Each name once: some readers write over what is there, some through it, some keep the first. Only a
    /// directory may come again, which changes nothing but its mode.
    fn use_name(
        &mut self,
        entry: &Entry,
        path: &[u8],
        limits: &Limits,
    ) -> Result<(), ArchiveError> {
        for parent in parents(path) {
            let hash = self.hasher.hash_one(parent);
            if self.files.contains(&hash) {
                return Err(ArchiveError::FileAndDirectory { name: shown(parent) });
            }
            self.folders.insert(hash);
        }
        let hash = self.hasher.hash_one(path);
        let was_file = self.files.contains(&hash);
        if entry.is_folder() {
            self.folders.insert(hash);
        } else {
            self.files.insert(hash);
        }
        if was_file {
            return Err(ArchiveError::Duplicate { name: shown(&entry.path) });
        }
        if self.files.contains(&hash) && self.folders.contains(&hash) {
            return Err(ArchiveError::FileAndDirectory { name: shown(path) });
        }
        // Folders that are only implied count too: one long name implies many.
        let names = self.files.len().saturating_add(self.folders.len());
        match u64::try_from(names) {
            // The root is not an entry of its own.
            Ok(names) if names <= limits.max_entries.saturating_add(1) => Ok(()),
            _ => Err(ArchiveError::TooManyEntries { max: limits.max_entries }),
        }
    }

    fn add_hard_link(
        &mut self,
        entry: &Entry,
        path: &[u8],
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
        if self.links.contains(&target) { self.remember_link(path, limits) } else { Ok(()) }
    }

    fn remember_link(&mut self, path: &[u8], limits: &Limits) -> Result<(), ArchiveError> {
        self.link_bytes = self.link_bytes.saturating_add(path.len());
        if self.link_bytes > limits.max_names_bytes {
            return Err(ArchiveError::NamesTooLong { max: limits.max_names_bytes });
        }
        self.links.insert(path.to_vec());
        Ok(())
    }

    /// A symbolic link among the folders of a path.
    fn link_above(&self, path: &[u8]) -> Option<Vec<u8>> {
        if self.links.is_empty() {
            return None;
        }
        parents(path).find(|parent| self.links.contains(*parent)).map(<[u8]>::to_vec)
    }
}

/// The folders of a path, from the outermost.
fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = (0_usize..).zip(path).filter(|(_, byte)| **byte == b'/');
    slashes.filter_map(|(at, _)| path.get(..at))
}

/// The path without what does not change it ("./", "//", a slash at the end); the root itself is empty.
pub(crate) fn relative(path: &[u8], limits: &Limits) -> Result<Vec<u8>, ArchiveError> {
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
