//! The folder of an upload, which survives the process.
//!
//! ```text
//! spool/<id>/about.json   what is uploaded, and the outcome once there is one
//! spool/<id>/hint.json    what the sender said ahead, if anything
//! spool/<id>/data         what has arrived
//! spool/<id>/stored       the same file, while it becomes an object
//! spool/<id>.gone         one that has ended, while it is being removed
//! ```
//!
//! What has arrived is in the file before it is counted; a kill of the process loses nothing of it.
//! Nothing here is synced: a power cut may take what came last, or the whole upload. Then the file
//! is shorter, and the sender is told so. What was committed is in the store, whatever is left here.

use std::fs::{self, DirEntry, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pagevault_api::checkpoint::Pushed;
use pagevault_api::upload::Hint;
use serde::{Deserialize, Serialize};

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::session::{Purpose, unknown};
use crate::{Result, blocking};

/// How long an upload that nobody goes on with is kept.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Hex digits of a name.
const ID_LEN: usize = 32;
const GONE: &str = "gone";

/// What is written beside the data.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct About {
    #[serde(with = "shared")]
    pub(crate) purpose: Arc<Purpose>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Pushed>,
}

/// The folder of one upload. Its methods block, unless they are async.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where what arrives is kept.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Where a file may be unpacked to.
    pub(crate) fn inner(&self) -> PathBuf {
        self.0.join("inner")
    }

    /// A second name of what has arrived.
    pub(crate) fn stored(&self) -> PathBuf {
        self.0.join("stored")
    }

    fn hint_path(&self) -> PathBuf {
        self.0.join("hint.json")
    }

    pub(crate) fn make(&self, about: &About, hint: Option<&Hint>) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(&self.0)?;
        if let Some(hint) = hint {
            write(&self.hint_path(), &serde_json::to_vec(hint)?)?;
        }
        self.write_about(about)
    }

    /// What is said of the upload; without that there is none.
    pub(crate) fn about(&self) -> Result<About> {
        let about = fs::read(self.0.join("about.json")).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => unknown(),
            _ => spool_error("reading an upload", e),
        })?;
        serde_json::from_slice(&about).map_err(|e| {
            RegistryError::new(Kind::UploadUnknown, "what is left of the upload cannot be read")
                .caused_by(e)
        })
    }

    /// What the sender said ahead, if it can still be read.
    pub(crate) fn hint(&self) -> Option<Hint> {
        serde_json::from_slice(&fs::read(self.hint_path()).ok()?).ok()
    }

    /// Writes down the outcome, and lets go of the rest.
    pub(crate) fn settle(&self, about: &About) -> io::Result<()> {
        let written = self.write_about(about);
        let _ = fs::remove_file(self.hint_path());
        let freed = OpenOptions::new().write(true).open(self.data()).and_then(|f| f.set_len(0));
        // On a full disk there is room for it now.
        written.or_else(|_| self.write_about(about)).and(freed)
    }

    /// A crash leaves the old or the new one.
    fn write_about(&self, about: &About) -> io::Result<()> {
        let temporary = self.0.join("about.json.new");
        write(&temporary, &serde_json::to_vec(about)?)?;
        fs::rename(temporary, self.0.join("about.json"))
    }

    /// Removes it, first from sight. What cannot be removed is tried again later.
    pub(crate) async fn discard(self) {
        let removed = blocking(move || {
            self.remove().map_err(|e| spool_error("removing an upload that has ended", e))
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, "what is left of an upload stays for now");
        }
    }

    fn remove(&self) -> io::Result<()> {
        let gone = self.0.with_extension(GONE);
        if gone != self.0 {
            absent_is_fine(fs::rename(&self.0, &gone))?;
        }
        absent_is_fine(fs::remove_dir_all(gone))
    }
}

fn absent_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// For the owner's eyes only: whoever knows the name of an upload may append to it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file: File = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// What may be removed.
#[derive(Debug, Default)]
pub(crate) struct Abandoned {
    /// Uploads that have ended.
    pub(crate) gone: Vec<Folder>,
    /// Names of uploads that nobody came back for.
    pub(crate) old: Vec<String>,
}

/// Looks for what may be removed. What is not ours stays, and is nobody's obstacle. Blocks.
pub(crate) fn abandoned(root: &Path) -> io::Result<Abandoned> {
    let mut found = Abandoned::default();
    for entry in fs::read_dir(root)?.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        match name.split_once('.') {
            Some((id, GONE)) if is_id(id) => found.gone.push(Folder(entry.path())),
            None if is_id(&name) && is_old(&entry) => found.old.push(name),
            _ => {}
        }
    }
    Ok(found)
}

/// How long an upload stays that nobody goes on with, by the file of what has arrived.
pub(crate) fn time_left(data: &File) -> io::Result<Duration> {
    let age = SystemTime::now().duration_since(data.metadata()?.modified()?).unwrap_or_default();
    Ok(ABANDONED_AFTER.saturating_sub(age))
}

/// Whether nothing has arrived for long; also of a folder in which there is nothing.
fn is_old(entry: &DirEntry) -> bool {
    let modified = fs::metadata(entry.path().join("data"))
        .or_else(|_| entry.metadata())
        .and_then(|meta| meta.modified());
    modified.is_ok_and(|modified| {
        SystemTime::now().duration_since(modified).is_ok_and(|age| age > ABANDONED_AFTER)
    })
}

/// Whether it has the form of a name.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A name that cannot be guessed: whoever knows it may append.
pub(crate) fn random_id() -> Result<String> {
    let mut random = [0u8; ID_LEN / 2];
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

/// An `Arc` is written as what is in it.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::session::Purpose;

    pub(super) fn serialize<S: Serializer>(of: &Arc<Purpose>, to: S) -> Result<S::Ok, S::Error> {
        Purpose::serialize(of, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<Purpose>, D::Error> {
        Purpose::deserialize(from).map(Arc::new)
    }
}
