//! Names of entries: one spelling for each, and no two entries of one name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::error::{ArchiveError, shown};
use crate::limits::Limits;

/// Checks a name of the outer tar and takes off the slash after a directory.
///
/// Refused is what no engine writes, harmless spellings too ("./", "a//b"): a name in one spelling is one file to every
/// reader. Even a "./" in front and an entry for the root itself, which other tar writers make, are not accepted.
pub(crate) fn canonical(
    path: &[u8],
    is_directory: bool,
    limits: &Limits,
) -> Result<String, ArchiveError> {
    let odd = |why| Err(ArchiveError::NonCanonical { name: shown(path), why });
    if path.len() > limits.max_path_bytes {
        return Err(ArchiveError::NameTooLong { name: shown(path), max: limits.max_path_bytes });
    }
    let Ok(text) = std::str::from_utf8(path) else {
        return odd("not UTF-8");
    };
    if text.chars().any(|c| c.is_control() || is_invisible(c)) {
        return odd("it has a control character");
    }
    if text.contains('\\') {
        return odd("it has a backslash");
    }
    if text.starts_with('/') {
        return Err(ArchiveError::AbsoluteName { name: shown(path) });
    }
    let name = match is_directory {
        true => text.strip_suffix('/').unwrap_or(text),
        false => text,
    };
    let mut depth = 0_usize;
    for component in name.split('/') {
        depth = depth.saturating_add(1);
        match component {
            ".." => return Err(ArchiveError::ParentComponent { name: shown(path) }),
            "." => return odd("it has a . component"),
            "" => return odd("it has an empty component"),
            _ => {}
        }
    }
    if depth > limits.max_depth {
        return Err(ArchiveError::NameTooDeep { name: shown(path), max: limits.max_depth });
    }
    Ok(name.to_owned())
}

/// Characters that turn text around or take no room: two names must not look the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What a name was used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    File,
    Directory,
    /// Only as a folder of others; an entry of its own may still come.
    Parent,
}

/// All names so far.
#[derive(Debug, Default)]
pub(crate) struct Names {
    uses: HashMap<String, Use>,
    bytes: usize,
}

impl Names {
    /// Adds a canonical name, with the folders that it implies.
    pub(crate) fn add(
        &mut self,
        name: &str,
        is_directory: bool,
        limits: &Limits,
    ) -> Result<(), ArchiveError> {
        for (at, _) in name.match_indices('/') {
            let parent = name.get(..at).unwrap_or(name);
            match self.uses.get(parent) {
                Some(Use::File) => {
                    return Err(ArchiveError::FileAndDirectory { name: shown(parent.as_bytes()) });
                }
                Some(_) => {}
                None => self.insert(parent, Use::Parent, limits)?,
            }
        }
        match (self.uses.get(name), is_directory) {
            (None, true) | (Some(Use::Parent), true) => self.insert(name, Use::Directory, limits),
            (None, false) => self.insert(name, Use::File, limits),
            (Some(Use::Parent), false) => {
                Err(ArchiveError::FileAndDirectory { name: shown(name.as_bytes()) })
            }
            (Some(_), _) => Err(ArchiveError::Duplicate { name: shown(name.as_bytes()) }),
        }
    }

    fn insert(&mut self, name: &str, used: Use, limits: &Limits) -> Result<(), ArchiveError> {
        match self.uses.entry(name.to_owned()) {
            Entry::Occupied(mut entry) => *entry.get_mut() = used,
            Entry::Vacant(entry) => {
                entry.insert(used);
                self.bytes = self.bytes.saturating_add(name.len());
            }
        }
        match self.bytes > limits.max_names_bytes {
            true => Err(ArchiveError::NamesTooLong { max: limits.max_names_bytes }),
            false => Ok(()),
        }
    }
}
