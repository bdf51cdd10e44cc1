//! What can be wrong with an archive. Names in messages are escaped and cut, for they come from whoever made it.

use std::io;

use crate::decode::Outer;

/// Longest name or text of an archive in a message, in characters.
const SHOWN_CHARS_MAX: usize = 160;

/// What a caller can do about an [`ArchiveError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input failed; the archive may be fine.
    Io,
    /// The end is missing: send it again, whole.
    Truncated,
    /// Bytes were changed on the way, or were never a tar: make or send it again.
    Damaged,
    /// A whole tar, but not one of a container checkpoint that can be restored.
    NotACheckpoint,
    /// More than [`crate::Limits`] allow.
    TooLarge,
    /// Holds what no engine writes, or what a restore must not be given. Sending it again does not help.
    Refused,
}

/// Why an archive was not accepted. Every text in it that came from the archive is fit to be printed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each variant and its fields are")]
pub enum ArchiveError {
    #[error("the archive cannot be read: {0}")]
    Io(#[source] io::Error),

    #[error("archive is truncated: its {format} stream ends too early")]
    TruncatedOuter { format: Outer },
    #[error("archive is truncated: ends inside a header at byte {offset}")]
    TruncatedHeader { offset: u64 },
    #[error("archive is truncated: ends inside the data of {name}")]
    TruncatedData { name: String },
    #[error("archive is truncated: ends inside the padding after {name}")]
    TruncatedPadding { name: String },
    #[error("archive is truncated: it has no end marker")]
    NoEndMarker,

    #[error("archive is damaged: its {format} stream is corrupt: {reason}")]
    CorruptOuter { format: Outer, reason: String },
    #[error("not a tar archive")]
    NotATar,
    #[error("archive is damaged: wrong checksum of the header at byte {offset}")]
    BadChecksum { offset: u64 },
    #[error("padding after {name} is not zero")]
    DirtyPadding { name: String },
    #[error("data after the end marker, at byte {offset}")]
    TrailingData { offset: u64 },

    #[error("header of {name} has no valid {field}")]
    BadField { name: String, field: &'static str },
    #[error("header of {name} is ambiguous: {why}")]
    AmbiguousHeader { name: String, why: &'static str },
    #[error("{name} is a {what}; only regular files and directories are accepted")]
    NotFileOrDirectory { name: String, what: &'static str },
    #[error("{name} has an unknown entry type {flag:#04x}")]
    UnknownType { name: String, flag: u8 },
    #[error("{name} is a sparse file; these are refused")]
    Sparse { name: String },
    #[error("{name} has a sparse map that does not fit its data")]
    SparseMap { name: String },
    #[error("directory {name} has data")]
    DirectoryWithData { name: String },
    #[error("{name} has a mode with {bits}")]
    SpecialMode { name: String, bits: &'static str },

    #[error("extension header at byte {offset} is malformed: {why}")]
    BadExtension { offset: u64, why: &'static str },
    #[error("pax key {key} is refused (header at byte {offset})")]
    PaxKey { offset: u64, key: String },
    #[error("pax size {pax} of {name} disagrees with its header, which says {header}")]
    PaxSize { name: String, pax: u64, header: u64 },
    #[error("global pax header at byte {offset} sets {key}; only comments are accepted")]
    GlobalPax { offset: u64, key: String },
    #[error("extension header at byte {offset} belongs to no entry")]
    DanglingExtension { offset: u64 },

    #[error("name {name} is absolute")]
    AbsoluteName { name: String },
    #[error("name {name} leads out of the archive (..)")]
    ParentComponent { name: String },
    #[error("name {name} is not canonical: {why}")]
    NonCanonical { name: String, why: &'static str },
    #[error("{name} is in the archive twice")]
    Duplicate { name: String },
    #[error("{name} is both a file and a folder of other entries")]
    FileAndDirectory { name: String },

    #[error("more than {max} entries")]
    TooManyEntries { max: u64 },
    #[error("{name} takes the archive past {max} bytes")]
    TooManyBytes { name: String, max: u64 },
    #[error("name {name} is longer than {max} bytes")]
    NameTooLong { name: String, max: usize },
    #[error("name {name} has more than {max} components")]
    NameTooDeep { name: String, max: usize },
    #[error("all names together are longer than {max} bytes")]
    NamesTooLong { max: usize },
    #[error("extension header at byte {offset} is larger than {max} bytes")]
    ExtensionTooLarge { offset: u64, max: u64 },
    #[error("more than {max} bytes of zeros after the end marker")]
    TailTooLong { max: u64 },
    #[error("{name} is larger than {max} bytes")]
    MemberTooLarge { name: String, max: u64 },

    #[error("not a checkpoint archive: {what} is missing")]
    Missing { what: &'static str },
    #[error(
        "not a restorable checkpoint: {name} belongs to an incremental one, whose parent is not here"
    )]
    Incremental { name: String },
    #[error("not a restorable checkpoint: it is encrypted ({name})")]
    Encrypted { name: String },
    #[error("not a checkpoint of one container: {name} belongs to a whole pod")]
    WholePod { name: String },
    #[error("{name} is not what an engine writes: {reason}")]
    BadMetadata { name: String, reason: String },
    #[error("{name} has key {key}, which some readers take for {taken_for}")]
    AmbiguousKey { name: String, key: String, taken_for: &'static str },

    #[error("{name} asks for a device by annotation {key}; CDI annotations are refused")]
    CdiAnnotation { name: &'static str, key: String },
    #[error("spec.dump asks for device {path}; devices of the host are refused")]
    HostDevice { path: String },
    #[error("spec.dump has {stage} hooks; these would run on the host and are refused")]
    Hooks { stage: String },
    #[error("bind.mounts: {path} {why}")]
    BindMount { path: String, why: &'static str },
    #[error("deleted.files: {path} {why}")]
    DeletedFile { path: String, why: &'static str },
    #[error("identity has no {field}")]
    NoIdentity { field: &'static str },
    #[error("identity has an invalid {field}: {value}")]
    BadIdentity { field: &'static str, value: String },
    #[error("identity is contradictory: {field} is {one} in {in_one}, but {other} in {in_other}")]
    Contradiction {
        field: &'static str,
        one: String,
        in_one: &'static str,
        other: String,
        in_other: &'static str,
    },

    #[error("{name} would be written through symbolic link {link}")]
    ThroughSymlink { name: String, link: String },
    #[error("hard link {name} leads out of its archive, to {target}")]
    HardLinkEscapes { name: String, target: String },
    #[error(
        "{name} is a device; only overlay whiteouts (0:0), and in a tmpfs /dev/null and its like, are accepted"
    )]
    Device { name: String },
    #[error("{name} is a whiteout of nothing that a folder can hold")]
    BadWhiteout { name: String },
    #[error("in {archive}: {source}")]
    Inner { archive: String, source: Box<ArchiveError> },
}

impl ArchiveError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io(_) => ErrorKind::Io,
            Self::TruncatedOuter { .. }
            | Self::TruncatedHeader { .. }
            | Self::TruncatedData { .. }
            | Self::TruncatedPadding { .. }
            | Self::NoEndMarker => ErrorKind::Truncated,
            Self::CorruptOuter { .. } | Self::BadChecksum { .. } => ErrorKind::Damaged,
            Self::NotATar
            | Self::Missing { .. }
            | Self::Incremental { .. }
            | Self::Encrypted { .. }
            | Self::WholePod { .. } => ErrorKind::NotACheckpoint,
            Self::TooManyEntries { .. }
            | Self::TooManyBytes { .. }
            | Self::NameTooLong { .. }
            | Self::NameTooDeep { .. }
            | Self::NamesTooLong { .. }
            | Self::ExtensionTooLarge { .. }
            | Self::TailTooLong { .. }
            | Self::MemberTooLarge { .. } => ErrorKind::TooLarge,
            // The outer archive is whole: sending it again changes nothing.
            Self::Inner { source, .. } => match source.kind() {
                ErrorKind::TooLarge => ErrorKind::TooLarge,
                _ => ErrorKind::Refused,
            },
            _ => ErrorKind::Refused,
        }
    }
}

impl From<io::Error> for ArchiveError {
    /// Also takes out the error that a layer below has put into the `io::Error`.
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => Self::Io(error),
        }
    }
}

/// A name or text of an archive, fit for a message: escaped, cut, and in UTF-8.
pub(crate) fn shown(bytes: &[u8]) -> String {
    // Four bytes a character at most; what is cut off is never looked at.
    let head = bytes.get(..SHOWN_CHARS_MAX.saturating_mul(4)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(head);
    let mut shown = text.chars().take(SHOWN_CHARS_MAX).flat_map(escaped).collect::<String>();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() || head.len() < bytes.len() {
        shown.push('…');
    }
    if shown.is_empty() { "(no name)".to_owned() } else { shown }
}

/// Quotes stay readable; all that could move a cursor or turn a line around does not.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let plain = (c == '\'' || c == '"').then_some(c);
    let escaped = plain.is_none().then(|| c.escape_debug());
    plain.into_iter().chain(escaped.into_iter().flatten())
}
