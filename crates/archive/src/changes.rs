//! What a tar of a file system's changes holds: for people, who want to know what a container wrote.

use crate::entry::Entry;
use crate::rootfs::{OPAQUE, WHITEOUT};

/// Changes that are kept, at most.
const CHANGES_MAX: usize = 10_000;
/// Bytes of all their names, at most.
const NAMES_BYTES_MAX: usize = 2 << 20;

/// Files that were made or written to, and paths that were deleted. Those beyond a limit are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files, in the order of the tar.
    pub files: Vec<ChangedFile>,
    /// Paths that whiteouts delete.
    pub deleted: Vec<String>,
    /// Whether there are more.
    pub truncated: bool,
    names_bytes: usize,
}

/// A file that was made or written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    /// Path from the root; what is not UTF-8 is replaced.
    pub path: String,
    /// `file`, `directory`, `symlink`, `hardlink`, `fifo` or `device`.
    pub kind: &'static str,
    /// Bytes of a file.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Time of the last change, in whole seconds since 1970.
    pub mtime: Option<u64>,
    /// What a link points to.
    pub target: Option<String>,
}

impl Changes {
    /// Takes note of an entry that lies at `path`.
    pub(crate) fn add(&mut self, entry: &Entry, path: &[u8]) {
        self.names_bytes = self.names_bytes.saturating_add(path.len() + entry.link.len());
        let full = self.files.len() + self.deleted.len() >= CHANGES_MAX;
        if full || self.names_bytes > NAMES_BYTES_MAX {
            self.truncated = true;
            return;
        }
        let (folder, last) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(at) => path.split_at(at + 1),
            None => (&[][..], path),
        };
        match last.strip_prefix(WHITEOUT) {
            Some(_) if last.starts_with(OPAQUE) => self.deleted.push(text(&[folder, b"*"])),
            Some(deleted) => self.deleted.push(text(&[folder, deleted])),
            // overlayfs itself writes a device of no number where something was deleted.
            None if entry.flag == b'3' && entry.device == (0, 0) => {
                self.deleted.push(text(&[path]));
            }
            None => self.files.push(changed(entry, path)),
        }
    }
}

fn changed(entry: &Entry, path: &[u8]) -> ChangedFile {
    let kind = match entry.flag {
        _ if entry.is_folder() => "directory",
        b'1' => "hardlink",
        b'2' => "symlink",
        b'3' | b'4' => "device",
        b'6' => "fifo",
        _ => "file",
    };
    ChangedFile {
        path: text(&[path]),
        kind,
        size: entry.size,
        mode: entry.mode & 0o7777,
        mtime: entry.mtime,
        target: (!entry.link.is_empty()).then(|| String::from_utf8_lossy(&entry.link).into_owned()),
    }
}

fn text(parts: &[&[u8]]) -> String {
    format!("/{}", String::from_utf8_lossy(&parts.concat()).trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, flag: u8, link: &str) -> Entry {
        Entry {
            flag,
            path: path.into(),
            link: link.into(),
            size: 3,
            mode: 0o100_644,
            mtime: Some(9),
            device: (0, 0),
            header_offset: 0,
            data_offset: 0,
        }
    }

    #[test]
    fn files_links_and_deletions_are_told_apart_and_bounded() {
        let mut changes = Changes::default();
        for (path, flag, link) in [
            ("a/b", b'0', ""),
            ("a/l", b'2', "../etc"),
            ("a/.wh.gone", b'0', ""),
            ("b/.wh..wh..opq", b'0', ""),
            ("c", b'3', ""),
        ] {
            changes.add(&entry(path, flag, link), path.as_bytes());
        }
        let kinds: Vec<_> = changes.files.iter().map(|f| (f.path.as_str(), f.kind)).collect();
        assert_eq!(kinds, [("/a/b", "file"), ("/a/l", "symlink")]);
        assert_eq!(changes.files[1].target.as_deref(), Some("../etc"));
        assert_eq!(changes.files[0].mode, 0o644);
        assert_eq!(changes.deleted, ["/a/gone", "/b/*", "/c"]);
        assert!(!changes.truncated);
        (0..CHANGES_MAX).for_each(|_| changes.add(&entry("x", b'0', ""), b"x"));
        assert!(changes.truncated && changes.files.len() < CHANGES_MAX);
    }
}
