//! The file that is pushed, and how it was when the push began.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{ClientError, Result};

/// What tells that a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) bytes: u64,
    pub(crate) modified: (i64, i64),
    pub(crate) inode: (u64, u64),
}

/// A regular file, held open: a rename over its path does not change what is sent.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    pub(crate) stamp: Stamp,
}

/// What was found at the path.
pub(crate) enum Opened {
    Regular(SourceFile),
    /// A pipe or the like.
    Stream(tokio::fs::File),
}

impl SourceFile {
    pub(crate) async fn open(path: &Path) -> Result<Opened> {
        let failed = || ClientError::io(format!("opening {}", path.display()));
        let file = tokio::fs::File::open(path).await.map_err(failed())?;
        let metadata = file.metadata().await.map_err(failed())?;
        if metadata.is_dir() {
            return Err(ClientError::Invalid(format!("{} is a folder", path.display())));
        }
        if !metadata.is_file() {
            return Ok(Opened::Stream(file));
        }
        let path = tokio::fs::canonicalize(path).await.map_err(failed())?;
        let file = Arc::new(file.into_std().await);
        Ok(Opened::Regular(Self { path, file, stamp: Stamp::of(&metadata) }))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.stamp.bytes
    }

    /// Reads exactly one buffer; a file that has become shorter has changed.
    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buf, offset).map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => self.changed(),
            _ => ClientError::Io { doing: format!("reading {}", self.path.display()), source },
        })
    }

    /// An error if the file was written to since it was opened.
    pub(crate) fn check(&self) -> Result<()> {
        let failed = ClientError::io(format!("reading {}", self.path.display()));
        let now = Stamp::of(&self.file.metadata().map_err(failed)?);
        if now == self.stamp { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> ClientError {
        ClientError::FileChanged { path: self.path.clone() }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            inode: (metadata.dev(), metadata.ino()),
        }
    }
}
