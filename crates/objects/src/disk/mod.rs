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

mod list;
mod write;

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{FlockOperation, flock};

use crate::error::{ErrorKind, ObjectError};
use crate::key::Key;
use crate::{
    Listing, Meta, Object, ObjectStore, ObjectWriter, Precondition, Version, content_version,
};

/// Files that are kept open for readers, who ask the same object for many ranges.
const OPEN_MAX: usize = 64;

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
#[derive(Debug)]
pub struct DiskStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    options: DiskOptions,
    /// Writers of the same key take turns; the number is that of those who wait or work.
    busy: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
    open: Mutex<OpenFiles>,
    _lock: File,
}

#[derive(Debug, Default)]
struct OpenFiles {
    files: HashMap<Key, Arc<File>>,
    order: VecDeque<Key>,
}

impl DiskStore {
    /// Opens a folder, which is made if it is not there, and removes what a crash left half done.
    /// Blocks.
    pub fn open(root: &Path, options: DiskOptions) -> Result<Self, ObjectError> {
        let fail = |e| ObjectError::io(format!("folder {}", root.display()), e);
        make_folder(root).map_err(fail)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("LOCK"))
            .map_err(fail)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let sentence = format!(
                "folder {} is in use by another process: one server at a time; stop it, or give \
                 this one another folder",
                root.display()
            );
            ObjectError::told(ErrorKind::Unavailable, sentence)
        })?;
        let temporary = root.join("tmp");
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(fail)?;
        }
        make_folder(&temporary).map_err(fail)?;
        make_folder(&root.join("objects")).map_err(fail)?;
        let inner = Inner {
            root: root.to_owned(),
            options,
            busy: Mutex::default(),
            open: Mutex::default(),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Room on the disk.
    pub fn space(&self) -> Result<Space, ObjectError> {
        self.inner.space()
    }
}

impl Inner {
    fn path(&self, key: &Key) -> PathBuf {
        self.root.join("objects").join(key.as_str())
    }

    fn space(&self) -> Result<Space, ObjectError> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|e| ObjectError::io(self.root.display(), e.into()))?;
        Ok(Space { free: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
    }

    /// An open file of an object, kept for the next reader.
    fn file(&self, key: &Key) -> Result<Arc<File>, ObjectError> {
        if let Some(file) = self.open_files().files.get(key) {
            return Ok(Arc::clone(file));
        }
        let file =
            File::open(self.path(key)).map_err(|e| ObjectError::io(format!("object {key}"), e))?;
        let file = Arc::new(file);
        let mut open = self.open_files();
        if open.files.insert(key.clone(), Arc::clone(&file)).is_none() {
            open.order.push_back(key.clone());
        }
        while open.order.len() > OPEN_MAX {
            let Some(oldest) = open.order.pop_front() else { break };
            open.files.remove(&oldest);
        }
        Ok(file)
    }

    /// Forgets the open file of an object that is replaced or removed.
    fn forget(&self, key: &Key) {
        let mut open = self.open_files();
        if open.files.remove(key).is_some() {
            open.order.retain(|other| other != key);
        }
    }

    fn open_files(&self) -> std::sync::MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, key: &Key) -> Result<Bytes, ObjectError> {
        let read = fs::read(self.path(key));
        read.map(Bytes::from).map_err(|e| ObjectError::io(format!("object {key}"), e))
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
        let turn = self.inner.turn(key);
        let _held = turn.lock().await;
        let (inner, name) = (Arc::clone(&self.inner), key.clone());
        let put = blocking(move || inner.put(&name, &bytes, &when)).await;
        drop(_held);
        self.inner.end_turn(key, turn);
        put
    }

    async fn put_file(&self, key: &Key, file: &Path) -> Result<u64, ObjectError> {
        let (inner, key, file) = (Arc::clone(&self.inner), key.clone(), file.to_owned());
        blocking(move || inner.take_over(&key, &file)).await
    }

    async fn writer(&self, key: &Key) -> Result<Box<dyn ObjectWriter>, ObjectError> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        let writer = blocking(move || write::Writer::open(inner, key)).await?;
        Ok(Box::new(writer))
    }

    async fn get(&self, key: &Key) -> Result<Object, ObjectError> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking(move || {
            let bytes = inner.read(&key)?;
            Ok(Object { version: content_version(&bytes), bytes })
        })
        .await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking(move || {
            let len = usize::try_from(range.end.saturating_sub(range.start))
                .map_err(|_| ObjectError::new(ErrorKind::Invalid, &key))?;
            let file = inner.file(&key)?;
            let mut buf = vec![0; len];
            let read = file.read_exact_at(&mut buf, range.start);
            read.map_err(|e| ObjectError::io(format!("object {key}"), e))?;
            Ok(Bytes::from(buf))
        })
        .await
    }

    async fn head(&self, key: &Key) -> Result<Meta, ObjectError> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking(move || {
            let meta = fs::metadata(inner.path(&key));
            let meta = meta.map_err(|e| ObjectError::io(format!("object {key}"), e))?;
            if !meta.is_file() {
                return Err(ObjectError::new(ErrorKind::NotFound, &key));
            }
            Ok(describe(key, &meta))
        })
        .await
    }

    async fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        let turn = self.inner.turn(key);
        let _held = turn.lock().await;
        let (inner, name) = (Arc::clone(&self.inner), key.clone());
        let deleted = blocking(move || inner.delete(&name)).await;
        drop(_held);
        self.inner.end_turn(key, turn);
        deleted
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
    Meta { key, bytes: meta.len(), modified: modified.map_or(0, |d| d.as_secs()) }
}

#[cfg(test)]
mod tests;
