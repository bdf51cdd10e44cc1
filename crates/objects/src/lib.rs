//! The object store under everything: immutable and conditionally replaced objects, on disk, in
//! memory or in a bucket.
//!
//! Every backend passes the same conformance suite (feature `suite`). What an object holds is not known
//! here. A crash never shows a torn object: an object is there whole, or not at all, and a call
//! that has returned `Ok` has made it durable.

mod disk;
mod error;
#[cfg(any(test, feature = "suite"))]
mod fault;
mod key;
mod memory;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

use std::fmt;
use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;

pub use disk::{DiskOptions, DiskStore, Space};
pub use error::{ErrorKind, ObjectError};
#[cfg(any(test, feature = "suite"))]
pub use fault::{FaultStore, LastWrite};
pub use key::Key;
pub use memory::MemoryStore;

/// A range as places in an object of this size.
fn check_range(key: &Key, range: &Range<u64>, bytes: u64) -> Result<Range<usize>, ObjectError> {
    if range.start > range.end {
        return Err(ObjectError::new(ErrorKind::Invalid, key));
    }
    let place = |at: u64| usize::try_from(at).ok().filter(|_| at <= bytes);
    match (place(range.start), place(range.end)) {
        (Some(start), Some(end)) => Ok(start..end),
        _ => Err(ObjectError::new(ErrorKind::Truncated, key)),
    }
}

/// Names one content of an object: two reads with equal versions read the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(pub String);

/// When a write may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Always.
    None,
    /// Only if there is no object of that name.
    Absent,
    /// Only if the object is still the one that was read.
    Matches(Version),
}

impl Precondition {
    /// Whether a write may happen while the object has this version, or is not there.
    fn check(&self, key: &Key, current: Option<&Version>) -> Result<(), ObjectError> {
        let holds = match self {
            Self::None => true,
            Self::Absent => current.is_none(),
            Self::Matches(version) => current == Some(version),
        };
        if holds { Ok(()) } else { Err(ObjectError::new(ErrorKind::Precondition, key)) }
    }
}

/// The version of a small object, from its content: records that come back carry a nonce, so equal
/// content is the same write.
fn content_version(bytes: &[u8]) -> Version {
    Version(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes)))
}

/// Tells one writing of an object from another: while it is equal, so is the content. It says
/// nothing else, and means nothing in another store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp(pub u128);

/// An object's name, size and age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Its name.
    pub key: Key,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was written, by the store's clock, in seconds since the epoch.
    pub modified: u64,
    /// Which writing of it this is.
    pub stamp: Stamp,
}

/// A small object, read whole.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its content.
    pub bytes: Bytes,
    /// What to name in [`Precondition::Matches`].
    pub version: Version,
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Objects in the byte order of their keys.
    pub objects: Vec<Meta>,
    /// Whether there are more after the last of these.
    pub more: bool,
}

/// Writes one large object in order. Nothing is visible before [`ObjectWriter::finish`]; dropping
/// it leaves nothing behind (at the latest after a restart). After a write that failed, or that was
/// not waited for, it can only be dropped.
#[async_trait]
pub trait ObjectWriter: Send {
    /// Appends; returns the offset that the bytes got.
    async fn write(&mut self, bytes: Bytes) -> Result<u64, ObjectError>;

    /// Makes the object durable and visible, and returns its size.
    async fn finish(self: Box<Self>) -> Result<u64, ObjectError>;
}

/// A store of objects.
///
/// A write that its caller no longer waits for happens whole or not at all, and in order with later
/// writes of the same key. No key is to be a folder of another (`a` beside `a/b`): not every store
/// can hold both.
#[async_trait]
pub trait ObjectStore: Send + Sync + fmt::Debug {
    /// Writes a small object whole, if the precondition holds ([`ErrorKind::Precondition`] if not).
    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        when: Precondition,
    ) -> Result<Version, ObjectError>;

    /// Makes a finished local file the object; the file is gone afterwards, whatever the outcome
    /// of a later step. On the same file system this is a rename.
    async fn put_file(&self, key: &Key, file: &Path) -> Result<u64, ObjectError>;

    /// Opens a writer for a large object of a fresh name.
    async fn writer(&self, key: &Key) -> Result<Box<dyn ObjectWriter>, ObjectError>;

    /// Reads a small object whole ([`ErrorKind::NotFound`] if there is none).
    async fn get(&self, key: &Key) -> Result<Object, ObjectError>;

    /// Reads part of an object; a range past its end is an error of kind
    /// [`ErrorKind::Truncated`], and one that ends before it starts of [`ErrorKind::Invalid`].
    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, ObjectError>;

    /// Size and age of an object.
    async fn head(&self, key: &Key) -> Result<Meta, ObjectError>;

    /// Removes an object; one that is not there is no error.
    async fn delete(&self, key: &Key) -> Result<(), ObjectError>;

    /// Removes a small object if it is still the one that was read ([`ErrorKind::Precondition`] if not).
    async fn delete_if(&self, key: &Key, version: &Version) -> Result<(), ObjectError>;

    /// Lists the objects whose keys start with `prefix` (whole segments or not), after the key
    /// `after`, at most `limit`.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Listing, ObjectError>;

    /// The time by the clock that [`Meta::modified`] is of, in seconds since the epoch. Ages are told
    /// by this clock alone: those of the machines around a store differ.
    async fn now(&self) -> Result<u64, ObjectError> {
        Ok(local_seconds())
    }
}

/// Seconds since the epoch, by this machine's clock.
fn local_seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
