//! Resumable uploads of checkpoints.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pagevault_api::checkpoint::Pushed;
use pagevault_api::reference::Selector;
use pagevault_api::upload::{CommitUpload, NewUpload, Upload};
use pagevault_archive::decode::{self, Outer};

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::growing::Growing;
use crate::hashing::StreamHash;
use crate::ingest::{Finish, Ingest, micros};
use crate::receive::receive;
use crate::spool::{Purpose, Session, Work, spool_error};
use crate::{Body, Registry, Result, archive_error, blocking, sha256_digest};

/// Bytes that tell how a tar is compressed.
const MAGIC_BYTES: usize = 6;

impl Registry {
    /// Opens a resumable upload of a checkpoint tar.
    pub async fn open_upload(&self, new: NewUpload) -> Result<Upload> {
        if let Some(Selector::Digest(_)) = new.options.reference.as_ref().map(|r| &r.selector) {
            return Err(RegistryError::new(
                Kind::Invalid,
                "a checkpoint is pushed to a tag, not to a digest",
            ));
        }
        self.check_space(new.bytes.unwrap_or(0))?;
        let session = self.spool.create(Purpose::Checkpoint(Box::new(new))).await?;
        Ok(Upload { id: session.id.clone(), offset: 0, result: None })
    }

    /// State of an upload, also after a restart.
    pub async fn upload(&self, id: &str) -> Result<Upload> {
        let (session, _) = self.checkpoint_upload(id).await?;
        let mut work = session.work.lock().await;
        work.settle_writing().await?;
        Ok(Upload { id: session.id.clone(), offset: work.offset, result: work.result.clone() })
    }

    /// Appends at `offset` and returns the new size. What arrived before a broken connection stays.
    pub async fn append_upload(&self, id: &str, offset: u64, body: Body) -> Result<u64> {
        let (session, new) = self.checkpoint_upload(id).await?;
        let mut work = lock(&session)?;
        work.settle_writing().await?;
        if offset != work.offset || work.result.is_some() {
            let message = format!("the upload holds {} bytes: go on there", work.offset);
            return Err(RegistryError::new(Kind::Offset(work.offset), message));
        }
        self.check_space(new.bytes.unwrap_or(0).saturating_sub(offset))?;
        // Only where there is a hint is there anything to do before the end.
        if new.hint.is_some() && work.ingest.is_none() {
            work.ingest = Some(self.ingest().start(Arc::clone(&work.growing), &new));
        }
        let received = Box::pin(receive(&mut work, body)).await;
        if let Err(error) = &received {
            work.stop();
            drop(work);
            self.forget_refused(&session, error).await?;
        }
        received
    }

    /// Ends an upload: the checkpoint is read, stored, checked and named. Asked again, answers the same.
    pub async fn commit_upload(&self, id: &str, commit: CommitUpload) -> Result<Pushed> {
        let (session, new) = self.checkpoint_upload(id).await?;
        // A second commit waits for the first and gets its answer.
        let mut work = session.work.lock().await;
        work.settle_writing().await?;
        if let Some(result) = work.result.clone() {
            return Ok(result);
        }
        if commit.bytes != work.offset {
            let message = format!("the upload holds {} bytes, not {}", work.offset, commit.bytes);
            return Err(RegistryError::new(Kind::Offset(work.offset), message));
        }
        let sha256 = commit.sha256.as_deref();
        let outcome = Box::pin(self.store_upload(&session, &new, &mut work, sha256)).await;
        match outcome {
            Ok(pushed) => {
                session.settle(&mut work, pushed.clone()).await?;
                Ok(pushed)
            }
            Err(error) => {
                work.stop();
                drop(work);
                self.forget_refused(&session, &error).await?;
                Err(error)
            }
        }
    }

    /// Forgets an upload.
    pub async fn cancel_upload(&self, id: &str) -> Result<()> {
        let (session, _) = self.checkpoint_upload(id).await?;
        self.spool.remove(&session).await
    }

    async fn checkpoint_upload(&self, id: &str) -> Result<(Arc<Session>, NewUpload)> {
        let session = self.spool.get(id).await?;
        match &session.about.purpose {
            Purpose::Checkpoint(new) => {
                let new = NewUpload::clone(new);
                Ok((session, new))
            }
            Purpose::Blob { .. } => Err(RegistryError::new(Kind::UploadUnknown, "no such upload")),
        }
    }

    /// Removes what will not become acceptable.
    async fn forget_refused(&self, session: &Session, error: &RegistryError) -> Result<()> {
        match error.kind() {
            Kind::Archive | Kind::TooLarge | Kind::DigestMismatch | Kind::Invalid => {
                self.spool.remove(session).await
            }
            _ => Ok(()),
        }
    }

    fn ingest(&self) -> Ingest {
        Ingest { pages: self.pages.clone(), catalog: Arc::clone(&self.catalog) }
    }

    /// Reads, stores, checks and names what has arrived.
    async fn store_upload(
        &self,
        session: &Session,
        new: &NewUpload,
        work: &mut Work,
        sha256: Option<&str>,
    ) -> Result<Pushed> {
        let received = Instant::now();
        let receive_micros = work.first_byte.map_or(0, |first| micros(first.elapsed()));
        let hash = work.take_hash().await?;
        let arrived = hash.sha256();
        work.hash = Some(hash);
        if let Some(expected) = sha256.filter(|expected| *expected != arrived) {
            let message =
                format!("what arrived has sha256 {arrived}, not {expected}; send it again");
            return Err(RegistryError::new(Kind::DigestMismatch, message));
        }
        let (growing, layer) = match self.inner(session, work).await? {
            Some((inner, layer)) => {
                work.stop();
                (inner, layer)
            }
            None => {
                work.growing.end();
                (Arc::clone(&work.growing), arrived)
            }
        };
        let ingest = match work.ingest.take() {
            Some(ingest) => ingest,
            None => self.ingest().start(growing, new),
        };
        let finish = Finish {
            catalog: Arc::clone(&self.catalog),
            options: new.options.clone(),
            ingested: ingest.outcome().await?,
            layer: sha256_digest(&layer)?,
            received,
            receive_micros,
        };
        Box::pin(finish.run()).await
    }

    /// The tar inside, if what arrived is compressed: unpacked beside it, with its sha256.
    async fn inner(
        &self,
        session: &Session,
        work: &Work,
    ) -> Result<Option<(Arc<Growing>, String)>> {
        let mut magic =
            vec![0; MAGIC_BYTES.min(usize::try_from(work.offset).unwrap_or(MAGIC_BYTES))];
        let (file, path) = (Arc::clone(&work.file), session.folder.join("inner"));
        let reserve = self.space_left()?;
        blocking(move || {
            file.read_exact_at(&mut magic, 0).map_err(|e| spool_error("reading an upload", e))?;
            if decode::detect(&magic) == Outer::Plain {
                return Ok(None);
            }
            let (inner, bytes, sha256) = unpack(&file, &path, reserve)?;
            Ok(Some((Arc::new(Growing::whole(Arc::new(inner), bytes)), sha256)))
        })
        .await
    }
}

/// Takes an upload for one request; a second one at the same time is told so.
fn lock(session: &Session) -> Result<tokio::sync::MutexGuard<'_, Work>> {
    session.work.try_lock().map_err(|_| {
        RegistryError::new(Kind::Conflict, "another request is sending to this upload; wait for it")
    })
}

/// From this size on, what unpacks to far more than arrived is taken for a bomb. Memory of real
/// processes shrinks to a hundredth at the best.
const BOMB_FROM: u64 = 1 << 30;
const BOMB_RATIO: u64 = 1000;

/// Unpacks an upload into a file that has no name once it is open.
fn unpack(file: &File, path: &Path, most: u64) -> Result<(File, u64, String)> {
    let fail = |e| spool_error("unpacking an upload", e);
    let arrived = file.metadata().map_err(fail)?.len();
    let mut reader = file.try_clone().map_err(fail)?;
    io::Seek::rewind(&mut reader).map_err(fail)?;
    let (_, mut reader) = decode::open(reader).map_err(archive_error)?;
    let mut options = File::options();
    let mut inner =
        options.read(true).write(true).create(true).truncate(true).open(path).map_err(fail)?;
    std::fs::remove_file(path).map_err(fail)?;
    let (mut hash, mut bytes, mut buf) = (StreamHash::default(), 0u64, vec![0; 1 << 20]);
    loop {
        let len = match reader.read(&mut buf) {
            Ok(0) => return Ok((inner, bytes, hash.sha256())),
            Ok(len) => len,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(archive_error(e.into())),
        };
        bytes += len as u64;
        if bytes > BOMB_FROM && bytes / BOMB_RATIO > arrived {
            return Err(RegistryError::new(
                Kind::TooLarge,
                format!("the archive unpacks to more than {BOMB_RATIO} times its size: refused"),
            ));
        }
        if bytes > most {
            return Err(RegistryError::new(
                Kind::Full,
                format!("the archive unpacks to more than the {most} bytes that are free here"),
            ));
        }
        inner.write_all(&buf[..len]).map_err(fail)?;
        hash.update(&buf[..len]);
    }
}
