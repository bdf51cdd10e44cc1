//! Uploads under way: a folder each, which survives the process.
//!
//! ```text
//! spool/<id>/about.json   what is uploaded, and the outcome once there is one
//! spool/<id>/data         what has arrived
//! spool/<id>/inner        the tar inside, if what arrives is compressed
//! ```
//!
//! What has arrived is in the file before it is counted; a kill of the process loses nothing of it.
//! A power cut may: then the file is shorter, and the sender is told so.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pagevault_api::checkpoint::Pushed;
use pagevault_api::upload::NewUpload;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::growing::Growing;
use crate::hashing::StreamHash;
use crate::ingest::IngestTask;
use crate::{Result, blocking};

/// How long an upload that nobody goes on with is kept.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What an upload is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Purpose {
    /// A checkpoint tar.
    Checkpoint(Box<NewUpload>),
    /// A blob of a repository.
    Blob { repository: String },
}

/// What is written beside the data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct About {
    pub(crate) purpose: Purpose,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Pushed>,
}

/// The uploads of this process.
#[derive(Debug)]
pub(crate) struct Spool {
    root: PathBuf,
    open: Mutex<HashMap<String, Arc<Session>>>,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) folder: PathBuf,
    pub(crate) about: About,
    /// Held by the one request that appends or commits.
    pub(crate) work: tokio::sync::Mutex<Work>,
}

/// The changing part of an upload.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) file: Arc<File>,
    /// Hash of what has arrived. Absent after a restart, until someone goes on.
    pub(crate) hash: Option<StreamHash>,
    pub(crate) offset: u64,
    /// A batch that is being written; its outcome is the next hash and offset.
    pub(crate) writing: Option<JoinHandle<Result<(StreamHash, u64)>>>,
    pub(crate) growing: Arc<Growing>,
    pub(crate) ingest: Option<IngestTask>,
    pub(crate) result: Option<Pushed>,
    pub(crate) first_byte: Option<Instant>,
}

impl Spool {
    /// Opens the spool, and removes what nobody came back for.
    pub(crate) fn open(root: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&root)?;
        let spool = Self { root, open: Mutex::default() };
        spool.remove_abandoned()?;
        Ok(spool)
    }

    /// Opens a new upload.
    pub(crate) async fn create(&self, purpose: Purpose) -> Result<Arc<Session>> {
        let id = random_id()?;
        let folder = self.root.join(&id);
        let about = About { purpose, result: None };
        let session = blocking(move || {
            let made = make_folder(&folder, &about);
            made.map_err(|e| spool_error("opening an upload", e))?;
            Session::load(id, folder, about).map_err(|e| spool_error("opening an upload", e))
        })
        .await?;
        Ok(self.remember(session))
    }

    /// The upload of that name, also one from before a restart.
    pub(crate) async fn get(&self, id: &str) -> Result<Arc<Session>> {
        if let Some(session) = self.sessions().get(id) {
            return Ok(Arc::clone(session));
        }
        let unknown = || {
            RegistryError::new(Kind::UploadUnknown, "no such upload: it was ended, or never begun")
        };
        if id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let (id, folder) = (id.to_owned(), self.root.join(id));
        let session = blocking(move || {
            let about = fs::read(folder.join("about.json")).map_err(|_| unknown())?;
            let about = serde_json::from_slice(&about).map_err(|e| {
                RegistryError::new(Kind::UploadUnknown, "what is left of the upload cannot be read")
                    .caused_by(e)
            })?;
            Session::load(id, folder, about).map_err(|e| spool_error("opening an upload", e))
        })
        .await?;
        Ok(self.remember(session))
    }

    /// Forgets an upload and removes what has arrived.
    pub(crate) async fn remove(&self, session: &Session) -> Result<()> {
        self.sessions().remove(&session.id);
        session.work.lock().await.stop();
        let folder = session.folder.clone();
        blocking(move || fs::remove_dir_all(folder).map_err(|e| spool_error("ending an upload", e)))
            .await
    }

    /// Ends the ingests of uploads that nobody is sending to, and forgets those uploads: they are
    /// found again on the disk. With `all`, of every upload, once its request has ended.
    pub(crate) async fn rest(&self, all: bool) {
        let sessions: Vec<_> = self.sessions().values().cloned().collect();
        for session in sessions {
            let work = match all {
                true => Some(session.work.lock().await),
                false => session.work.try_lock().ok(),
            };
            let Some(mut work) = work else { continue };
            if work.settle_writing().await.is_err() {
                work.hash = None;
            }
            work.stop();
            let mut sessions = self.sessions();
            // Ours, and the map's: nobody else knows it.
            if Arc::strong_count(&session) == 2 {
                sessions.remove(&session.id);
            }
        }
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, session: Session) -> Arc<Session> {
        let mut sessions = self.sessions();
        Arc::clone(sessions.entry(session.id.clone()).or_insert_with(|| Arc::new(session)))
    }

    /// Removes what nobody came back for.
    pub(crate) fn remove_abandoned(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let file = entry.path().join("data");
            let age = fs::metadata(file).or_else(|_| entry.metadata())?.modified()?;
            let age = SystemTime::now().duration_since(age).unwrap_or_default();
            if age > ABANDONED_AFTER {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Session {
    fn load(id: String, folder: PathBuf, about: About) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("data"))?;
        let offset = file.metadata()?.len();
        let file = Arc::new(file);
        let growing = Arc::new(Growing::new(Arc::clone(&file), offset));
        let hash = (offset == 0).then(StreamHash::default);
        let result = about.result.clone();
        let work = Work {
            file,
            hash,
            offset,
            writing: None,
            growing,
            ingest: None,
            result,
            first_byte: None,
        };
        Ok(Self { id, folder, about, work: tokio::sync::Mutex::new(work) })
    }

    /// Writes down the outcome and lets the data go. After this the upload answers, and no more.
    pub(crate) async fn settle(&self, work: &mut Work, result: Pushed) -> Result<()> {
        work.result = Some(result.clone());
        work.stop();
        let about = About { purpose: self.about.purpose.clone(), result: Some(result) };
        let folder = self.folder.clone();
        let file = Arc::clone(&work.file);
        blocking(move || {
            let settled = write_about(&folder, &about).and_then(|()| {
                let _ = fs::remove_file(folder.join("inner"));
                file.set_len(0)
            });
            settled.map_err(|e| spool_error("ending an upload", e))
        })
        .await
    }
}

impl Work {
    /// Waits for the batch that is being written, also one of a request that was dropped.
    pub(crate) async fn settle_writing(&mut self) -> Result<()> {
        // Taken out only when it has ended: this too may be dropped while it waits.
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let outcome = writing.await.unwrap_or_else(|e| Err(crate::task_error(&e)));
        self.writing = None;
        let (hash, offset) = outcome?;
        (self.hash, self.offset) = (Some(hash), offset);
        self.growing.advance(offset);
        Ok(())
    }

    /// Ends an ingest that is waiting for bytes; it begins again when someone goes on.
    pub(crate) fn stop(&mut self) {
        if self.ingest.take().is_some() {
            self.growing.abort();
            self.growing = Arc::new(Growing::new(Arc::clone(&self.file), self.offset));
        }
    }

    /// The hash of what has arrived, read from the file again after a restart.
    pub(crate) async fn take_hash(&mut self) -> Result<StreamHash> {
        if let Some(hash) = self.hash.take() {
            return Ok(hash);
        }
        let (file, offset) = (Arc::clone(&self.file), self.offset);
        blocking(move || {
            let mut hash = StreamHash::default();
            let mut buf = vec![0; 1 << 20];
            let mut at = 0;
            while at < offset {
                let want = usize::try_from(offset - at).unwrap_or(buf.len()).min(buf.len());
                file.read_exact_at(&mut buf[..want], at)
                    .map_err(|e| spool_error("reading an upload", e))?;
                hash.update(&buf[..want]);
                at += want as u64;
            }
            Ok(hash)
        })
        .await
    }
}

fn make_folder(folder: &Path, about: &About) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    write_about(folder, about)
}

/// Writes the description so that a crash leaves the old or the new one.
fn write_about(folder: &Path, about: &About) -> io::Result<()> {
    let temporary = folder.join("about.json.new");
    fs::write(&temporary, serde_json::to_vec(about)?)?;
    fs::rename(temporary, folder.join("about.json"))
}

/// A name that cannot be guessed: whoever knows it may append.
fn random_id() -> Result<String> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random)
        .map_err(|e| RegistryError::new(Kind::Internal, format!("no random numbers: {e}")))?;
    Ok(hex::encode(random))
}

/// An error of the spool's file system.
pub(crate) fn spool_error(doing: &str, error: io::Error) -> RegistryError {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let kind = if full { Kind::Full } else { Kind::Unavailable };
    RegistryError::new(kind, format!("{doing}: {error}")).caused_by(error)
}
