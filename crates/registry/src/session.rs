//! The life of one upload.
//!
//! ```text
//!  Resting ◀──── nobody sends for a minute ────┐
//!     └──────────── someone asks ───────────▶ Open ── commit ──▶ Pushed: answers so, for a day
//!                                              ├── PUT ───────▶ Ended: a blob was made of it
//!                                              ├── refused ───▶ Ended: says why, for a while
//!                                              └── DELETE ────▶ Ended: unknown
//! ```
//!
//! Every step is taken under the session's lock, and there is one session of an upload at a time:
//! whoever waited for the lock sees what became of it. A resting or pushed upload is its folder
//! alone and may be dropped from memory; an ended one has no folder, and is kept for a moment so
//! that a question whose answer was lost can be asked again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pagevault_api::Digest;
use pagevault_api::checkpoint::Pushed;
use pagevault_api::upload::PushOptions;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use crate::Result;
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::folder::Folder;
use crate::hashing::DigestAlgorithm;
use crate::work::Work;

/// What an upload is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Purpose {
    /// A checkpoint tar.
    Checkpoint(Announced),
    /// A blob of a repository.
    Blob {
        repository: String,
        /// What it will be named by, as far as is known.
        #[serde(default)]
        algorithm: DigestAlgorithm,
    },
}

impl Purpose {
    pub(crate) fn algorithm(&self) -> DigestAlgorithm {
        match self {
            Self::Blob { algorithm, .. } => *algorithm,
            Self::Checkpoint(_) => DigestAlgorithm::default(),
        }
    }
}

/// What was said of a checkpoint when its upload was opened. The hint lies beside it, as it is
/// large and read once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Announced {
    pub(crate) options: PushOptions,
    pub(crate) bytes: Option<u64>,
    pub(crate) hinted: bool,
}

/// Where an upload stands.
#[derive(Debug)]
pub(crate) enum State {
    /// It is what its folder says.
    Resting,
    /// It takes bytes.
    Open(Box<Work>),
    /// The checkpoint is stored.
    Pushed(Box<Pushed>),
    /// Nothing more can come of it.
    Ended(End),
}

/// How an upload has ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// A blob was made of it.
    Stored { repository: String, digest: Digest },
    /// What has arrived will not become acceptable.
    Refused { kind: Kind, message: String },
    /// Nobody wants it any more.
    Cancelled,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) folder: Folder,
    /// Known once it was read from the folder.
    pub(crate) purpose: OnceLock<Arc<Purpose>>,
    /// Held by the one request that appends or commits.
    pub(crate) state: Arc<tokio::sync::Mutex<State>>,
    /// Bytes that have arrived, for those who only look.
    pub(crate) seen: Arc<AtomicU64>,
    touched: Mutex<Instant>,
}

impl Session {
    pub(crate) fn new(id: String, folder: Folder) -> Self {
        Self {
            id,
            folder,
            purpose: OnceLock::new(),
            state: Arc::new(tokio::sync::Mutex::new(State::Resting)),
            seen: Arc::default(),
            touched: Mutex::new(Instant::now()),
        }
    }

    /// How long nobody has used it.
    pub(crate) fn idle(&self) -> Duration {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Bytes of a checkpoint that have arrived, as far as can be told while a request is at work.
    pub(crate) fn glance(&self) -> Result<u64> {
        match self.purpose.get().map(Arc::as_ref) {
            Some(Purpose::Checkpoint(_)) => Ok(self.seen.load(Ordering::Relaxed)),
            Some(Purpose::Blob { .. }) => Err(unknown()),
            None => {
                Err(RegistryError::new(Kind::Unavailable, "the upload is being read; ask again"))
            }
        }
    }
}

/// An upload in the hands of one request.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) session: Arc<Session>,
    pub(crate) state: OwnedMutexGuard<State>,
}

impl Held {
    /// What was announced, if it is an upload of a checkpoint that goes on or was pushed.
    pub(crate) fn checkpoint(&self) -> Result<Announced> {
        match (self.session.purpose.get().map(Arc::as_ref), &*self.state) {
            (Some(Purpose::Checkpoint(announced)), State::Open(_) | State::Pushed(_)) => {
                Ok(announced.clone())
            }
            (Some(Purpose::Checkpoint(_)), State::Ended(end)) => Err(end.error()),
            _ => Err(unknown()),
        }
    }

    /// The work on a blob of that repository.
    pub(crate) fn blob(&mut self, repository: &str) -> Result<&mut Work> {
        match (self.session.purpose.get().map(Arc::as_ref), &mut *self.state) {
            (Some(Purpose::Blob { repository: of, .. }), State::Open(work)) if of == repository => {
                Ok(work)
            }
            _ => Err(RegistryError::new(Kind::UploadUnknown, "no such upload in this repository")),
        }
    }

    /// Whether this very blob was made of it: then the question is asked again.
    pub(crate) fn was_stored_as(&self, repository: &str, digest: &Digest) -> bool {
        matches!(&*self.state, State::Ended(End::Stored { repository: of, digest: as_ })
            if of == repository && as_ == digest)
    }

    /// The outcome, if the checkpoint is stored.
    pub(crate) fn pushed(&self) -> Option<&Pushed> {
        match &*self.state {
            State::Pushed(pushed) => Some(pushed),
            _ => None,
        }
    }

    /// The work on it, if it goes on.
    pub(crate) fn work(&mut self) -> Option<&mut Work> {
        match &mut *self.state {
            State::Open(work) => Some(work),
            _ => None,
        }
    }

    /// Takes the file away from those who write to it. Whatever happens next, nobody goes on with
    /// this upload, unless it is given back.
    pub(crate) fn take_work(&mut self) -> Option<Box<Work>> {
        match std::mem::replace(&mut *self.state, State::Ended(End::Cancelled)) {
            State::Open(work) => Some(work),
            other => {
                *self.state = other;
                None
            }
        }
    }

    /// Gives it back.
    pub(crate) fn put_back(&mut self, work: Box<Work>) {
        *self.state = State::Open(work);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.session.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl End {
    pub(crate) fn refused(error: &RegistryError) -> Self {
        Self::Refused { kind: error.kind(), message: error.to_string() }
    }

    fn error(&self) -> RegistryError {
        match self {
            Self::Refused { kind, message } => RegistryError::new(*kind, message.clone()),
            Self::Stored { .. } | Self::Cancelled => unknown(),
        }
    }
}

/// What is said of an upload that is not there.
pub(crate) fn unknown() -> RegistryError {
    RegistryError::new(Kind::UploadUnknown, "no such upload: it was ended, or never begun")
}
