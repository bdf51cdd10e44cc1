//! Listing a folder in the byte order of whole keys, without reading what comes before or after.

use std::fs;
use std::io;
use std::path::Path;

use super::describe;
use crate::error::ObjectError;
use crate::key::Key;
use crate::{Listing, Meta};

/// Lists objects under `root`.
pub(super) fn list(
    root: &Path,
    prefix: &str,
    after: Option<&Key>,
    limit: usize,
) -> Result<Listing, ObjectError> {
    let mut walk = Walk { prefix, after: after.map_or("", Key::as_str), limit, found: Vec::new() };
    // The folder of the prefix is where the walk begins.
    let folder = prefix.rfind('/').map_or("", |end| &prefix[..=end]);
    // One that no object can be in could be anywhere on this machine.
    if !folder.is_empty() && Key::new(folder.trim_end_matches('/')).is_err() {
        return Ok(Listing::default());
    }
    let done = walk.folder(&root.join(folder), folder);
    done.map_err(|e| ObjectError::io(format!("listing {prefix:?}"), e))?;
    let more = walk.found.len() > limit;
    walk.found.truncate(limit);
    Ok(Listing { objects: walk.found, more })
}

struct Walk<'a> {
    prefix: &'a str,
    after: &'a str,
    limit: usize,
    found: Vec<Meta>,
}

impl Walk<'_> {
    fn folder(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            let is_folder = entry.file_type()?.is_dir();
            if let Ok(entry) = entry.file_name().into_string() {
                // A folder sorts as its objects do: `a-b` comes before `a/b`.
                let slash = if is_folder { "/" } else { "" };
                let name = format!("{name}{entry}{slash}");
                if self.wants(&name) {
                    names.push(name);
                }
            }
        }
        names.sort_unstable();
        for name in names {
            if self.found.len() > self.limit {
                break;
            }
            self.entry(path, &name)?;
        }
        Ok(())
    }

    /// Whether an object may be listed, or what is in a folder.
    fn wants(&self, name: &str) -> bool {
        if name.ends_with('/') {
            let inside = self.prefix.starts_with(name) || name.starts_with(self.prefix);
            return inside && (self.after < name || self.after.starts_with(name));
        }
        name.starts_with(self.prefix) && name > self.after
    }

    fn entry(&mut self, parent: &Path, name: &str) -> io::Result<()> {
        let last = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let path = parent.join(last);
        if name.ends_with('/') {
            return self.folder(&path, name);
        }
        let Ok(key) = Key::new(name) else { return Ok(()) };
        match fs::metadata(path) {
            Ok(meta) => self.found.push(describe(key, &meta)),
            // Removed while we looked.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}
