//! A store in a folder.
//!
//! ```text
//! LOCK            held by the one process that uses the folder
//! objects/<key>   the objects
//! tmp/            objects being written; emptied when the store is opened
//! ```
//!
//! An object is written to a temporary file, synced, renamed, and its folder synced: then it is
//! there whole, also after a power cut.

mod buffers;
mod list;
mod open_files;
mod small;
mod turns;
mod write;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{FlockOperation, flock};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::error::{ErrorKind, ObjectError};
use crate::key::Key;
use crate::{
    Listing, Meta, Object, ObjectStore, ObjectWriter, Precondition, Stamp, Version, check_range,
    content_version,
};
use buffers::Buffers;
use open_files::OpenFiles;
use small::SmallObjects;
use turns::Turns;

/// What a store in a folder needs to know.
#[derive(Debug, Clone, Copy)]
pub struct DiskOptions {
    /// Free space that large writes leave untouched, in bytes; small ones leave a quarter of it, so
    /// that collection can still do its work on a full disk.
    pub reserve_bytes: u64,
}

/// Room on the disk, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Space {
    /// What an ordinary user may still write.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// A store in a folder, used by one process at a time.
///
/// An object cannot have the name of another's folder: where `a/b` is, there can be no `a`.
#[derive(Debug)]
pub struct DiskStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    options: DiskOptions,
    turns: Arc<Turns>,
    open: OpenFiles,
    small: SmallObjects,
    buffers: Buffers,
    /// Folders that are known to survive a power cut.
    settled: Mutex<HashSet<PathBuf>>,
    /// Writes under way; closed once the folder is given back.
    writes: TaskTracker,
    lock: File,
}

impl DiskStore {
    /// Opens a folder, which is made if it is not there, and removes what a crash left half done.
    /// Blocks.
    pub fn open(root: &Path, options: DiskOptions) -> Result<Self, ObjectError> {
        let fail = |e| ObjectError::io(format!("folder {}", root.display()), e);
        make_folder(root).map_err(fail)?;
        let root = &root.canonicalize().map_err(fail)?;
        let lock = lock(root)?;
        let temporary = root.join("tmp");
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(fail)?;
        }
        make_folder(&temporary).map_err(fail)?;
        // A folder above that we may not read cannot be synced; it is the operator's.
        let _ = write::sync_folder(root);
        let inner = Inner {
            root: root.clone(),
            options,
            turns: Arc::default(),
            open: OpenFiles::default(),
            small: SmallObjects::default(),
            buffers: Buffers::default(),
            settled: Mutex::new(HashSet::from([root.clone()])),
            writes: TaskTracker::new(),
            lock,
        };
        inner.settle(&root.join("objects")).map_err(fail)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Room on the disk.
    pub fn space(&self) -> Result<Space, ObjectError> {
        self.inner.space()
    }

    /// Lets other processes have the folder, though parts of this one may still hold the store: waits
    /// for the writes that are under way and refuses all that come later.
    pub async fn give_back(&self) -> Result<(), ObjectError> {
        self.inner.writes.close();
        self.inner.writes.wait().await;
        flock(&self.inner.lock, FlockOperation::Unlock)
            .map_err(|e| ObjectError::io(format!("folder {}", self.inner.root.display()), e.into()))
    }
}

/// Takes the folder for this process.
fn lock(root: &Path) -> Result<File, ObjectError> {
    let fail = |e| ObjectError::io(format!("folder {}", root.display()), e);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(root.join("LOCK"))
        .map_err(fail)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let sentence = format!(
                "folder {} is in use by another process: one server at a time; stop it, or give \
                 this one another folder",
                root.display()
            );
            Err(ObjectError::told(ErrorKind::Unavailable, sentence))
        }
        Err(e) => Err(ObjectError::io(format!("locking folder {}", root.display()), e.into())),
    }
}

impl Inner {
    /// Lets a write begin, which goes on until what is returned is dropped.
    fn admit(&self) -> Result<TaskTrackerToken, ObjectError> {
        // Counted first: then whoever gives the folder back either waits for it, or is seen here.
        let write = self.writes.token();
        if self.writes.is_closed() {
            let sentence = format!("folder {} has been given back", self.root.display());
            return Err(ObjectError::told(ErrorKind::Unavailable, sentence));
        }
        Ok(write)
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join("objects").join(key.as_str())
    }

    fn space(&self) -> Result<Space, ObjectError> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|e| ObjectError::io(self.root.display(), e.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
    }

    /// Forgets what is kept of an object that has been replaced or removed.
    fn forget(&self, key: &Key) {
        self.open.forget(key);
        self.small.forget(key);
    }

    fn read(&self, key: &Key) -> Result<Bytes, ObjectError> {
        let read = fs::read(self.path(key));
        read.map(Bytes::from).map_err(|e| reading(key, e))
    }

    fn read_range(&self, key: &Key, range: &Range<u64>) -> Result<Bytes, ObjectError> {
        let open = || File::open(self.path(key));
        let file = self.open.get(key, open).map_err(|e| reading(key, e))?;
        let meta = file.metadata().map_err(|e| reading(key, e))?;
        if !meta.is_file() {
            return Err(ObjectError::new(ErrorKind::NotFound, key));
        }
        let range = check_range(key, range, meta.len())?;
        let read = |buf: &mut [u8]| file.read_exact_at(buf, range.start as u64);
        self.buffers.fill(range.len(), read).map_err(|e| reading(key, e))
    }

    fn head(&self, key: Key) -> Result<Meta, ObjectError> {
        let meta = fs::metadata(self.path(&key)).map_err(|e| reading(&key, e));
        let meta = meta.inspect_err(|_| self.small.forget(&key))?;
        if !meta.is_file() {
            return Err(ObjectError::new(ErrorKind::NotFound, &key));
        }
        Ok(describe(key, &meta))
    }
}

/// A failure to read: a folder is no object, and nothing is below an object.
fn reading(key: &Key, error: io::Error) -> ObjectError {
    match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            ObjectError::new(ErrorKind::NotFound, key)
        }
        _ => ObjectError::io(format!("object {key}"), error),
    }
}

/// Makes a folder that only its owner may look into.
fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Runs file system work off the async threads.
async fn blocking<T, F>(work: F) -> Result<T, ObjectError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ObjectError> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(ObjectError::other(ErrorKind::Unavailable, e.to_string())))
}

#[async_trait]
impl ObjectStore for DiskStore {
    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        when: Precondition,
    ) -> Result<Version, ObjectError> {
        let (write, turn) = (self.inner.admit()?, self.inner.turns.take(key).await);
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking(move || {
            let _until_done = (turn, write);
            inner.put(&key, &bytes, &when)
        })
        .await
    }

    async fn put_file(&self, key: &Key, file: &Path) -> Result<u64, ObjectError> {
        let (write, turn) = (self.inner.admit()?, self.inner.turns.take(key).await);
        let (inner, key, file) = (Arc::clone(&self.inner), key.clone(), file.to_owned());
        blocking(move || {
            let _until_done = (turn, write);
            inner.take_over(&key, &file)
        })
        .await
    }

    async fn writer(&self, key: &Key) -> Result<Box<dyn ObjectWriter>, ObjectError> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        let writer = blocking(move || write::Writer::open(inner, key)).await?;
        Ok(Box::new(writer))
    }

    async fn get(&self, key: &Key) -> Result<Object, ObjectError> {
        let began = match self.inner.small.get(key) {
            Ok(object) => return Ok(object),
            Err(began) => began,
        };
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking(move || {
            let bytes = inner.read(&key)?;
            let object = Object { version: content_version(&bytes), bytes };
            inner.small.keep(&key, &object, began);
            Ok(object)
        })
        .await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking(move || inner.read_range(&key, &range)).await
    }

    async fn head(&self, key: &Key) -> Result<Meta, ObjectError> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking(move || inner.head(key)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        let (write, turn) = (self.inner.admit()?, self.inner.turns.take(key).await);
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking(move || {
            let _until_done = (turn, write);
            inner.delete(&key)
        })
        .await
    }

    async fn delete_if(&self, key: &Key, version: &Version) -> Result<(), ObjectError> {
        let (write, turn) = (self.inner.admit()?, self.inner.turns.take(key).await);
        let when = Precondition::Matches(version.clone());
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking(move || {
            let _until_done = (turn, write);
            inner.check(&key, &when)?;
            inner.delete(&key)
        })
        .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Listing, ObjectError> {
        let (inner, prefix, after) = (Arc::clone(&self.inner), prefix.to_owned(), after.cloned());
        blocking(move || list::list(&inner.root.join("objects"), &prefix, after.as_ref(), limit))
            .await
    }
}

fn describe(key: Key, meta: &fs::Metadata) -> Meta {
    let modified = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |d| d.as_secs());
    Meta { key, bytes: meta.len(), modified, stamp: stamp(meta) }
}

/// Every write of an object is a new file that is renamed into place: it has an inode of its own, or
/// else that of one that was gone by then, and other times.
fn stamp(meta: &fs::Metadata) -> Stamp {
    let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
    let numbers = [meta.ino(), meta.size()].map(u64::to_le_bytes);
    let bytes = [numbers.concat(), times.map(i64::to_le_bytes).concat()].concat();
    Stamp(xxhash_rust::xxh3::xxh3_128(&bytes))
}

#[cfg(test)]
mod tests;
