//! Writing into a folder: whole objects, conditional ones, and large ones piece by piece.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Inner, blocking, make_folder};
use crate::error::{ErrorKind, ObjectError};
use crate::key::Key;
use crate::{ObjectWriter, Precondition, Version, content_version};

/// Folders that are remembered as durable; more are synced again.
const SETTLED_MAX: usize = 65_536;

static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

impl Inner {
    pub(super) fn put(
        &self,
        key: &Key,
        bytes: &Bytes,
        when: &Precondition,
    ) -> Result<Version, ObjectError> {
        self.check(key, when)?;
        self.check_space(key, bytes.len() as u64, self.options.reserve_bytes / 4)?;
        let (path, mut file) = self.temporary().map_err(|e| at(key, e))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        written.and_then(|()| self.publish(key, &path)).map_err(|e| {
            let _ = fs::remove_file(&path);
            at(key, e)
        })?;
        Ok(content_version(bytes))
    }

    /// Whether an object is as it is to be. The caller has its turn.
    pub(super) fn check(&self, key: &Key, when: &Precondition) -> Result<(), ObjectError> {
        if *when == Precondition::None {
            return Ok(());
        }
        let current = match self.read(key) {
            Ok(bytes) => Some(content_version(&bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        // What is kept in memory is not what is there: let it be read again.
        when.check(key, current.as_ref()).inspect_err(|_| self.small.forget(key))
    }

    /// Makes a file of ours, or of the caller's, the object.
    pub(super) fn take_over(&self, key: &Key, file: &Path) -> Result<u64, ObjectError> {
        let meta = fs::symlink_metadata(file).map_err(|e| at(key, e))?;
        if !meta.is_file() {
            let what = format!("{} for object {key}, which is no file,", file.display());
            return Err(ObjectError::other(ErrorKind::Invalid, what));
        }
        let opened = File::open(file).map_err(|e| at(key, e))?;
        opened.set_permissions(fs::Permissions::from_mode(0o600)).map_err(|e| at(key, e))?;
        opened.sync_all().map_err(|e| at(key, e))?;
        let bytes = meta.len();
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
        let published = io::copy(&mut from, &mut file)
            .and_then(|_| file.sync_data())
            .and_then(|()| self.publish(key, &temporary));
        published.map_err(|e| {
            let _ = fs::remove_file(&temporary);
            at(key, e)
        })?;
        fs::remove_file(path).map_err(|e| at(key, e))
    }

    pub(super) fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Ok(()) => {
                self.forget(key);
                sync_folder(&path).map_err(|e| at(key, e))
            }
            // Nothing, something above that is no folder, or a folder: no object of that name.
            Err(e) if e.kind() == io::ErrorKind::NotFound || is_other(&e) || path.is_dir() => {
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
            self.settle(folder)?;
        }
        fs::rename(file, &path)?;
        self.forget(key);
        sync_folder(&path)
    }

    /// Makes a folder and those above it, each synced into the one above. One that is there may
    /// have been made a moment ago, by another writer or before a crash: only what was synced once
    /// is known to stay.
    pub(super) fn settle(&self, folder: &Path) -> io::Result<()> {
        let settled = || self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if settled().contains(folder) {
            return Ok(());
        }
        if let Some(above) = folder.parent().filter(|above| above.starts_with(&self.root)) {
            self.settle(above)?;
        }
        make_folder(folder)?;
        sync_folder(folder)?;
        let mut settled = settled();
        if settled.len() >= SETTLED_MAX {
            settled.retain(|folder| folder == &self.root);
        }
        settled.insert(folder.to_owned());
        Ok(())
    }

    /// Refuses what would touch the reserve; returns what is left above it.
    fn check_space(&self, key: &Key, bytes: u64, reserve: u64) -> Result<u64, ObjectError> {
        let left = self.space()?.free.checked_sub(reserve.saturating_add(bytes));
        left.ok_or_else(|| ObjectError::new(ErrorKind::Full, key))
    }
}

/// Makes the name of a file or folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Whether a file is where a folder would have to be, or the other way round.
fn is_other(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
    )
}

fn at(key: &Key, error: io::Error) -> ObjectError {
    if is_other(&error) {
        let what = format!("object {key}, where others have a folder or an object,");
        return ObjectError::other(ErrorKind::Invalid, what);
    }
    ObjectError::io(format!("object {key}"), error)
}

/// Bytes after which the room on the disk is looked at again, at the latest.
const CHECK_EVERY: u64 = 64 << 20;
/// Part of what is left that one object may take between two looks: several are written at once.
const SHARE: u64 = 16;

/// Writes one large object into a temporary file.
#[derive(Debug)]
pub(super) struct Writer {
    inner: Arc<Inner>,
    key: Key,
    path: PathBuf,
    file: Arc<File>,
    bytes: u64,
    /// Where the room is looked at next.
    check_at: u64,
    /// A write has failed or was given up half way: what the file holds is not known.
    broken: bool,
    /// The file has become the object.
    published: bool,
    /// The folder stays ours until this file is the object, or removed: the next process gives the
    /// same names.
    under_way: Option<TaskTrackerToken>,
}

impl Writer {
    fn check(&self) -> Result<(), ObjectError> {
        if self.broken {
            let what = format!("object {}, of which a write has failed,", self.key);
            return Err(ObjectError::other(ErrorKind::Unavailable, what));
        }
        Ok(())
    }

    pub(super) fn open(inner: Arc<Inner>, key: Key) -> Result<Self, ObjectError> {
        let under_way = Some(inner.admit()?);
        let left = inner.check_space(&key, 0, inner.options.reserve_bytes)?;
        let (path, file) = inner.temporary().map_err(|e| at(&key, e))?;
        let (file, check_at) = (Arc::new(file), CHECK_EVERY.min(left / SHARE));
        let (bytes, broken, published) = (0, false, false);
        Ok(Self { inner, key, path, file, bytes, check_at, broken, published, under_way })
    }
}

#[async_trait]
impl ObjectWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<u64, ObjectError> {
        self.check()?;
        let start = self.bytes;
        let end = start + bytes.len() as u64;
        let mut check_at = self.check_at;
        let (inner, key, file) =
            (Arc::clone(&self.inner), self.key.clone(), Arc::clone(&self.file));
        self.broken = true;
        self.check_at = blocking(move || {
            if end >= check_at {
                let reserve = inner.options.reserve_bytes;
                let left = inner.check_space(&key, bytes.len() as u64, reserve)?;
                check_at = end + CHECK_EVERY.min(left / SHARE);
            }
            (&*file).write_all(&bytes).map_err(|e| at(&key, e))?;
            Ok(check_at)
        })
        .await?;
        self.broken = false;
        self.bytes = end;
        Ok(start)
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, ObjectError> {
        self.check()?;
        let turn = self.inner.turns.take(&self.key).await;
        // The writer goes along: it must not remove the file while that is being renamed.
        blocking(move || {
            let _turn = turn;
            let published =
                self.file.sync_data().and_then(|()| self.inner.publish(&self.key, &self.path));
            published.map_err(|e| at(&self.key, e))?;
            self.published = true;
            Ok(self.bytes)
        })
        .await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        // What stays here is removed when the store is opened.
        let (path, file) = (std::mem::take(&mut self.path), Arc::clone(&self.file));
        let (inner, under_way) = (Arc::clone(&self.inner), self.under_way.take());
        let remove = move || {
            let _ = fs::remove_file(path);
            drop((file, inner, under_way));
        };
        // The blocks of gigabytes are freed when the last of name and descriptor goes: not on a
        // thread that others' tasks wait for.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
