//! The outer tar, member by member: regular files and directories, each once, under one spelling.

use crate::entries::Entries;
use crate::entry::Entry;
use crate::error::{ArchiveError, shown};
use crate::extension::Rules;
use crate::limits::Limits;
use crate::names::{Names, canonical};
use crate::source::Source;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A directory; it has no data.
    Directory,
}

/// An entry of the outer tar.
///
/// `[header_offset..data_offset)`, the data and its zero padding to 512 bytes follow each other without a gap; after the
/// last member comes the tail. Extension headers (pax, long names) belong to the header of their member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Canonical: relative, no `.` or `..`, no slash at the end, no control characters.
    pub path: String,
    /// File or directory.
    pub kind: MemberKind,
    /// Bytes of data.
    pub size: u64,
    /// Where its first header block begins, in bytes from the start of the tar.
    pub header_offset: u64,
    /// Where its data begins.
    pub data_offset: u64,
    /// Permission bits.
    pub mode: u32,
    /// Time of the last change, in whole seconds since 1970.
    pub mtime: u64,
}

/// A tar that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Bytes of the whole stream.
    pub total_bytes: u64,
    /// Where the end marker begins; from here on there are only zeros.
    pub tail_offset: u64,
    /// Number of members.
    pub members: u64,
}

/// Walks an uncompressed tar and refuses what no engine writes. See [`ArchiveError`] for what that is.
#[derive(Debug)]
pub struct Scanner<S> {
    entries: Entries<S>,
    names: Names,
}

impl<S: Source> Scanner<S> {
    /// Begins at the first byte of the tar.
    pub fn new(source: S, limits: Limits) -> Self {
        Self { entries: Entries::new(source, limits, Rules::Strict), names: Names::default() }
    }

    /// The next member; passes over what was not read of the one before. `None` once the whole stream was consumed.
    pub fn next_member(&mut self) -> Result<Option<Member>, ArchiveError> {
        let Some(entry) = self.entries.next_entry()? else { return Ok(None) };
        let kind = kind(&entry)?;
        let is_directory = kind == MemberKind::Directory;
        let limits = self.entries.limits();
        let path = canonical(&entry.path, is_directory, limits)?;
        self.names.add(&path, is_directory, limits)?;
        check_mode(&entry, kind)?;
        let bad = |field| ArchiveError::BadField { name: shown(&entry.path), field };
        Ok(Some(Member {
            kind,
            size: entry.size,
            header_offset: entry.header_offset,
            data_offset: entry.data_offset,
            mode: entry.mode & 0o7777,
            mtime: entry.mtime.ok_or_else(|| bad("modification time"))?,
            path,
        }))
    }

    /// Data of the current member; 0 at its end.
    pub fn read_data(&mut self, buf: &mut [u8]) -> Result<usize, ArchiveError> {
        self.entries.read_data(buf)
    }

    /// All data of the current member that was not read yet, if it is at most `max` bytes.
    pub fn read_member(&mut self, max: u64) -> Result<Vec<u8>, ArchiveError> {
        self.entries.read_rest(max)
    }

    /// Bytes of the tar that were consumed.
    pub fn offset(&self) -> u64 {
        self.entries.offset()
    }

    /// Reads what is left, still with all checks, to the end of the stream.
    pub fn finish(mut self) -> Result<Scanned, ArchiveError> {
        while self.next_member()?.is_some() {}
        Ok(Scanned {
            total_bytes: self.entries.offset(),
            tail_offset: self.entries.end_offset().unwrap_or(0),
            members: self.entries.count(),
        })
    }
}

fn kind(entry: &Entry) -> Result<MemberKind, ArchiveError> {
    let name = || shown(&entry.path);
    match entry.flag {
        b'0' | 0 => Ok(MemberKind::File),
        // Go takes the size of a directory for 0 whatever its header says, others do not.
        b'5' if entry.size > 0 => Err(ArchiveError::DirectoryWithData { name: name() }),
        b'5' => Ok(MemberKind::Directory),
        b'S' => Err(ArchiveError::Sparse { name: name() }),
        flag => match what(flag) {
            Some(what) => Err(ArchiveError::NotFileOrDirectory { name: name(), what }),
            None => Err(ArchiveError::UnknownType { name: name(), flag }),
        },
    }
}

fn what(flag: u8) -> Option<&'static str> {
    Some(match flag {
        b'1' => "hard link",
        b'2' => "symbolic link",
        b'3' => "character device",
        b'4' => "block device",
        b'6' => "fifo",
        b'7' => "contiguous file",
        _ => return None,
    })
}

fn check_mode(entry: &Entry, kind: MemberKind) -> Result<(), ArchiveError> {
    let bits = match (kind, entry.mode & 0o7000) {
        (_, 0) | (MemberKind::Directory, 0o1000) => return Ok(()),
        (_, special) if special & 0o4000 != 0 => "setuid",
        (_, special) if special & 0o2000 != 0 => "setgid",
        _ => "a sticky bit",
    };
    Err(ArchiveError::SpecialMode { name: shown(&entry.path), bits })
}
