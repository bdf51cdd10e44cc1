//! Where a pull is written to.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{ClientError, Result};

/// Where a pulled checkpoint goes.
pub enum PullTarget {
    /// A file, readable by its owner only: it holds the memory of processes.
    File {
        /// Its path.
        path: PathBuf,
        /// Replaces a file that is there.
        force: bool,
    },
    /// A stream.
    Stream(Box<dyn Write + Send>),
}

pub(crate) enum Target {
    File { path: PathBuf, force: bool, temporary: Box<NamedTempFile> },
    Stream(std::sync::Mutex<Option<Box<dyn Write + Send>>>),
}

impl Target {
    /// Finds out early what would fail late.
    pub(crate) fn open(target: PullTarget) -> Result<Self> {
        let (path, force) = match target {
            PullTarget::File { path, force } => (path, force),
            PullTarget::Stream(writer) => return Ok(Self::stream(writer)),
        };
        let writing = || ClientError::io(format!("writing {}", path.display()));
        match path.metadata() {
            Ok(found) if found.is_dir() => {
                return Err(ClientError::Invalid(format!("{} is a folder", path.display())));
            }
            // A device or a pipe is written to, never replaced.
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(&path).map_err(writing())?;
                return Ok(Self::stream(Box::new(file)));
            }
            Ok(_) if !force => return Err(ClientError::Exists { path }),
            _ => {}
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // Made with mode 0600, removed when the pull does not end well.
        let temporary = tempfile::Builder::new()
            .prefix(".pagevault-")
            .suffix(".part")
            .tempfile_in(folder)
            .map_err(writing())?;
        Ok(Self::File { path, force, temporary: Box::new(temporary) })
    }

    fn stream(writer: Box<dyn Write + Send>) -> Self {
        Self::Stream(std::sync::Mutex::new(Some(writer)))
    }

    pub(crate) fn writer(&self) -> Result<Box<dyn Write + Send>> {
        match self {
            Self::File { path, temporary, .. } => {
                let writing = ClientError::io(format!("writing {}", path.display()));
                Ok(Box::new(temporary.as_file().try_clone().map_err(writing)?))
            }
            Self::Stream(writer) => {
                let writer =
                    writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
                writer.ok_or_else(|| ClientError::Invalid("a stream is written once".to_owned()))
            }
        }
    }

    /// Gives the file its name.
    pub(crate) async fn finish(self) -> Result<()> {
        let Self::File { path, force, temporary } = self else { return Ok(()) };
        let done = tokio::task::spawn_blocking(move || name(*temporary, path, force));
        done.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(ClientError::Io { doing: "writing the file".to_owned(), source })
        })
    }
}

fn name(temporary: NamedTempFile, path: PathBuf, force: bool) -> Result<()> {
    let writing = || ClientError::io(format!("writing {}", path.display()));
    File::sync_all(temporary.as_file()).map_err(writing())?;
    let named = if force { temporary.persist(&path) } else { temporary.persist_noclobber(&path) };
    match named {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(ClientError::Exists { path })
        }
        Err(error) => Err(writing()(error.error)),
    }
}
