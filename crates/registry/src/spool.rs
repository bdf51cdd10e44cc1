//! Uploads under way, found by name: at most one session of each, which wakes, rests and ends.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pagevault_api::checkpoint::Pushed;
use pagevault_api::upload::Hint;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::folder::{About, Folder, abandoned, is_id, random_id, spool_error};
use crate::session::{End, Held, Purpose, Session, State, unknown};
use crate::work::Work;
use crate::{Result, blocking};

/// The uploads of this process. Of each there is one session at a time, and its folder is touched
/// under the session's lock alone.
#[derive(Debug)]
pub(crate) struct Spool {
    root: PathBuf,
    known: Mutex<HashMap<String, Arc<Session>>>,
}

impl Spool {
    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Opens the spool. Blocks.
    pub(crate) fn open(root: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&root)?;
        Ok(Self { root, known: Mutex::default() })
    }

    /// Opens a new upload, and returns its name.
    pub(crate) async fn create(&self, purpose: Purpose, hint: Option<Hint>) -> Result<String> {
        let id = random_id()?;
        let folder = Folder::new(self.root.join(&id));
        let about = About { purpose: Arc::new(purpose), result: None };
        blocking(move || {
            let made = folder.make(&about, hint.as_ref());
            made.map_err(|e| spool_error("opening an upload", e))
        })
        .await?;
        // It rests now: whoever comes first wakes it.
        Ok(id)
    }

    /// Waits until the upload is free, and takes it; also one from before a restart.
    pub(crate) async fn hold(&self, id: &str) -> Result<Held> {
        let session = self.session(id)?;
        let state = Arc::clone(&session.state).lock_owned().await;
        self.wake(Held { session, state }).await
    }

    /// Takes the upload, unless another request has it.
    pub(crate) async fn try_hold(&self, id: &str) -> Result<Held> {
        let session = self.session(id)?;
        let state = Arc::clone(&session.state).try_lock_owned().map_err(|_| {
            let message = "another request is sending to this upload; wait for it";
            RegistryError::new(Kind::Conflict, message)
        })?;
        self.wake(Held { session, state }).await
    }

    /// The session of a name, which need not be that of an upload.
    pub(crate) fn session(&self, id: &str) -> Result<Arc<Session>> {
        if !is_id(id) {
            return Err(unknown());
        }
        let new = || Arc::new(Session::new(id.to_owned(), Folder::new(self.root.join(id))));
        Ok(Arc::clone(self.known().entry(id.to_owned()).or_insert_with(new)))
    }

    /// Reads an upload that rests, and waits for what a dropped request was still writing.
    async fn wake(&self, mut held: Held) -> Result<Held> {
        if matches!(*held.state, State::Resting) {
            let (folder, seen) = (held.session.folder.clone(), Arc::clone(&held.session.seen));
            let read = blocking(move || {
                let about = folder.about()?;
                let open = || {
                    let mut work = Work::open(&folder.data(), seen)?;
                    work.hash_by(about.purpose.algorithm());
                    Ok(Box::new(work))
                };
                let state = match about.result {
                    Some(pushed) => State::Pushed(Box::new(pushed)),
                    None => State::Open(
                        open().map_err(|e: io::Error| spool_error("opening an upload", e))?,
                    ),
                };
                Ok((about.purpose, state))
            });
            match read.await {
                Ok((purpose, state)) => {
                    let _ = held.session.purpose.set(purpose);
                    *held.state = state;
                }
                Err(error) => {
                    self.forget(&held.session);
                    return Err(error);
                }
            }
        }
        if let Some(work) = held.work()
            && let Err(error) = work.settle_writing().await
        {
            // Whoever sent it is gone; what counts is what the file holds.
            tracing::warn!(%error, "a batch of a dropped request is lost");
        }
        Ok(held)
    }

    /// Ends an upload and removes what has arrived. That the removal fails changes nothing for
    /// whoever waits: it is tried again.
    pub(crate) async fn end(&self, mut held: Held, end: End) {
        *held.state = State::Ended(end);
        held.session.folder.clone().discard().await;
    }

    /// Writes down the outcome and lets the data go. After this the upload answers, and no more.
    pub(crate) async fn settle(&self, held: &mut Held, pushed: Pushed) {
        *held.state = State::Pushed(Box::new(pushed.clone()));
        let Some(purpose) = held.session.purpose.get().map(Arc::clone) else { return };
        let (folder, about) =
            (held.session.folder.clone(), About { purpose, result: Some(pushed) });
        let settled =
            blocking(move || folder.settle(&about).map_err(|e| spool_error("ending an upload", e)));
        if let Err(error) = settled.await {
            // The checkpoint is stored; at worst it is sent once more, and found.
            tracing::warn!(%error, "an upload that is done stays on the disk");
        }
    }

    /// Lets uploads rest that nobody has used for so long. Those that a request has are not waited
    /// for.
    pub(crate) async fn rest(&self, idle: Duration) {
        for session in self.sessions() {
            if session.idle() >= idle
                && let Ok(state) = Arc::clone(&session.state).try_lock_owned()
            {
                self.let_rest(Held { session, state }).await;
            }
        }
    }

    /// Lets all uploads rest, each once its request has ended.
    pub(crate) async fn rest_all(&self) {
        for session in self.sessions() {
            let state = Arc::clone(&session.state).lock_owned().await;
            self.let_rest(Held { session, state }).await;
        }
    }

    async fn let_rest(&self, mut held: Held) {
        if let Some(work) = held.work()
            && let Err(error) = work.settle_writing().await
        {
            tracing::warn!(%error, "a batch of a dropped request is lost");
        }
        if !matches!(*held.state, State::Ended(_)) {
            *held.state = State::Resting;
        }
        let mut known = self.known();
        // Ours, and the map's: nobody waits for it.
        if Arc::strong_count(&held.session) == 2 {
            known.remove(&held.session.id);
        }
    }

    /// Removes what nobody came back for, each by itself: what cannot be removed keeps nothing
    /// else from it.
    pub(crate) async fn remove_abandoned(&self) {
        let root = self.root.clone();
        let found = blocking(move || {
            abandoned(&root).map_err(|e| spool_error("looking for old uploads", e))
        });
        let found = match found.await {
            Ok(found) => found,
            Err(error) => return tracing::warn!(%error, "old uploads stay"),
        };
        for folder in found.gone {
            folder.discard().await;
        }
        for id in found.old {
            let Ok(session) = self.session(&id) else { continue };
            let Ok(state) = Arc::clone(&session.state).try_lock_owned() else { continue };
            // What is in memory is in use.
            if matches!(*state, State::Resting) {
                self.end(Held { session, state }, End::Cancelled).await;
            }
        }
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        self.known().values().cloned().collect()
    }

    fn forget(&self, session: &Arc<Session>) {
        let mut known = self.known();
        if known.get(&session.id).is_some_and(|known| Arc::ptr_eq(known, session)) {
            known.remove(&session.id);
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
