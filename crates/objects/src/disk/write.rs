//! Writing into a folder: whole objects, conditional ones, and large ones piece by piece.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Inner, blocking, make_folder};
use crate::error::{ErrorKind, ObjectError};
use crate::key::Key;
use crate::{ObjectWriter, Precondition, Version, content_version};

static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

impl Inner {
    /// The turn of writers of a key.
    pub(super) fn turn(&self, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(busy.entry(key.clone()).or_default())
    }

    /// Forgets the turn if nobody else waits for it.
    pub(super) fn end_turn(&self, key: &Key, turn: Arc<tokio::sync::Mutex<()>>) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        drop(turn);
        if busy.get(key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            busy.remove(key);
        }
    }

    pub(super) fn put(
        &self,
        key: &Key,
        bytes: &Bytes,
        when: &Precondition,
    ) -> Result<Version, ObjectError> {
        if *when != Precondition::None {
            let current = match self.read(key) {
                Ok(bytes) => Some(content_version(&bytes)),
                Err(e) if e.kind() == ErrorKind::NotFound => None,
                Err(e) => return Err(e),
            };
            when.check(key, current.as_ref())?;
        }
        self.check_space(key, bytes.len() as u64, self.options.reserve_bytes / 4)?;
        let (path, mut file) = self.temporary().map_err(|e| at(key, e))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        written.and_then(|()| self.publish(key, &path)).map_err(|e| {
            let _ = fs::remove_file(&path);
            at(key, e)
        })?;
        Ok(content_version(bytes))
    }

    /// Makes a file of ours, or of the caller's, the object.
    pub(super) fn take_over(&self, key: &Key, file: &Path) -> Result<u64, ObjectError> {
        let opened = File::open(file).map_err(|e| at(key, e))?;
        opened.sync_all().map_err(|e| at(key, e))?;
        let bytes = opened.metadata().map_err(|e| at(key, e))?.len();
        match self.publish(key, file) {
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => self.copy(key, &opened, file)?,
            published => published.map_err(|e| at(key, e))?,
        }
        Ok(bytes)
    }

    /// Copies a file from another file system.
    fn copy(&self, key: &Key, mut from: &File, path: &Path) -> Result<(), ObjectError> {
        let bytes = from.metadata().map_err(|e| at(key, e))?.len();
        self.check_space(key, bytes, self.options.reserve_bytes)?;
        let (temporary, mut file) = self.temporary().map_err(|e| at(key, e))?;
        io::copy(&mut from, &mut file)
            .and_then(|_| file.sync_data())
            .and_then(|()| self.publish(key, &temporary))
            .and_then(|()| fs::remove_file(path))
            .map_err(|e| at(key, e))
    }

    pub(super) fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        self.forget(key);
        let path = self.path(key);
        match fs::remove_file(&path) {
            Ok(()) => sync_folder(&path).map_err(|e| at(key, e)),
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                Ok(())
            }
            Err(e) => Err(at(key, e)),
        }
    }

    fn temporary(&self) -> io::Result<(PathBuf, File)> {
        let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join("tmp").join(number.to_string());
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((path, file))
    }

    /// Renames a synced file to its place and makes that durable.
    fn publish(&self, key: &Key, file: &Path) -> io::Result<()> {
        let path = self.path(key);
        if let Some(folder) = path.parent() {
            self.make_folders(folder)?;
        }
        fs::rename(file, &path)?;
        self.forget(key);
        sync_folder(&path)
    }

    /// Makes the folders of an object, each synced into the one above it.
    fn make_folders(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(above) = folder.parent().filter(|above| above.starts_with(&self.root)) {
            self.make_folders(above)?;
        }
        make_folder(folder)?;
        sync_folder(folder)
    }

    fn check_space(&self, key: &Key, bytes: u64, reserve: u64) -> Result<(), ObjectError> {
        if self.space()?.free < reserve.saturating_add(bytes) {
            return Err(ObjectError::new(ErrorKind::Full, key));
        }
        Ok(())
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn at(key: &Key, error: io::Error) -> ObjectError {
    ObjectError::io(format!("object {key}"), error)
}

/// Bytes after which the room on the disk is looked at again.
const CHECK_EVERY: u64 = 64 << 20;

/// Writes one large object into a temporary file.
#[derive(Debug)]
pub(super) struct Writer {
    inner: Arc<Inner>,
    key: Key,
    path: PathBuf,
    file: Arc<File>,
    bytes: u64,
    checked: u64,
    finished: bool,
}

impl Writer {
    pub(super) fn open(inner: Arc<Inner>, key: Key) -> Result<Self, ObjectError> {
        inner.check_space(&key, 0, inner.options.reserve_bytes)?;
        let (path, file) = inner.temporary().map_err(|e| at(&key, e))?;
        let file = Arc::new(file);
        Ok(Self { inner, key, path, file, bytes: 0, checked: 0, finished: false })
    }
}

#[async_trait]
impl ObjectWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<u64, ObjectError> {
        let at_byte = self.bytes;
        self.bytes += bytes.len() as u64;
        let check = self.bytes >= self.checked + CHECK_EVERY;
        if check {
            self.checked = self.bytes;
        }
        let (inner, key, file) =
            (Arc::clone(&self.inner), self.key.clone(), Arc::clone(&self.file));
        blocking(move || {
            if check {
                inner.check_space(&key, bytes.len() as u64, inner.options.reserve_bytes)?;
            }
            (&*file).write_all(&bytes).map_err(|e| at(&key, e))
        })
        .await?;
        Ok(at_byte)
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, ObjectError> {
        let (inner, key) = (Arc::clone(&self.inner), self.key.clone());
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        blocking(move || {
            let published = file.sync_data().and_then(|()| inner.publish(&key, &path));
            published.map_err(|e| at(&key, e))
        })
        .await?;
        self.finished = true;
        Ok(self.bytes)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // What stays behind here is removed when the store is opened again.
            let _ = fs::remove_file(&self.path);
        }
    }
}
