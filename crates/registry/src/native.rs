//! Resumable uploads of checkpoints.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pagevault_api::checkpoint::Pushed;
use pagevault_api::event::EventKind;
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::upload::{CommitUpload, HINT_BYTES_MAX, NewUpload, Upload};
use pagevault_archive::decode::Outer;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::growing::Growing;
use crate::ingest::{Basis, Early, Finish, Ingest, micros};
use crate::receive::receive;
use crate::session::{Announced, End, Held, Purpose};
use crate::unpack::unpack;
use crate::work::Work;
use crate::{Body, Registry, Result, blocking, sha256_digest};

/// How long a question about an upload waits for a request that is at work on it.
const GLANCE_AFTER: Duration = Duration::from_secs(1);

/// Times that a push is stored before it is given up: each time a collector has to get in between.
const TRIES: u32 = 5;

impl Registry {
    /// Opens a resumable upload of a checkpoint tar.
    pub async fn open_upload(&self, new: NewUpload) -> Result<Upload> {
        let NewUpload { options, bytes, hint } = new;
        options.check().map_err(|e| RegistryError::new(Kind::Invalid, e.to_string()))?;
        if let Some(Selector::Digest(_)) = options.reference.as_ref().map(|r| &r.selector) {
            return Err(RegistryError::new(
                Kind::Invalid,
                "a checkpoint is pushed to a tag, not to a digest",
            ));
        }
        if hint.as_ref().is_some_and(|hint| hint.bytes() > HINT_BYTES_MAX) {
            let message = format!("a hint has {HINT_BYTES_MAX} bytes at most: push without one");
            return Err(RegistryError::new(Kind::TooLarge, message));
        }
        self.room.check(bytes.unwrap_or(0))?;
        let announced = Announced { options, bytes, hinted: hint.is_some() };
        let id = self.spool.create(Purpose::Checkpoint(announced), hint).await?;
        Ok(Upload { id, offset: 0, result: None })
    }

    /// State of an upload, also after a restart, and while another request is at work on it.
    pub async fn upload(&self, id: &str) -> Result<Upload> {
        let session = self.spool.session(id)?;
        let (offset, result) = match tokio::time::timeout(GLANCE_AFTER, self.spool.hold(id)).await {
            Ok(held) => {
                let held = held?;
                held.checkpoint()?;
                (session.glance()?, held.pushed().cloned())
            }
            Err(_) => (session.glance()?, None),
        };
        Ok(Upload { id: id.to_owned(), offset, result })
    }

    /// Appends at `offset` and returns the new size. What arrived before a broken connection stays.
    pub async fn append_upload(&self, id: &str, offset: u64, body: Body) -> Result<u64> {
        let mut held = self.spool.try_hold(id).await?;
        let announced = held.checkpoint()?;
        let early = announced.hinted.then(|| Early {
            ingest: self.ingest(),
            workload: announced.options.workload.clone(),
            folder: held.session.folder.clone(),
        });
        let Some(work) = held.work() else {
            return Err(RegistryError::new(Kind::Conflict, "the upload is committed already"));
        };
        check_offset(work, offset)?;
        self.room.check(announced.bytes.unwrap_or(0).saturating_sub(offset))?;
        match Box::pin(receive(work, body, &self.room, early.as_ref())).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(self.failed(held, error).await),
        }
    }

    /// Ends an upload: the checkpoint is read, stored, checked and named. Asked again, answers the same.
    pub async fn commit_upload(&self, id: &str, commit: CommitUpload) -> Result<Pushed> {
        // A second commit waits for the first and gets its answer.
        let mut held = self.spool.hold(id).await?;
        let announced = held.checkpoint()?;
        if let Some(pushed) = held.pushed() {
            return Ok(pushed.clone());
        }
        if let Some(work) = held.work() {
            check_offset(work, commit.bytes)?;
        }
        match Box::pin(self.store_upload(&mut held, announced, &commit)).await {
            Ok(pushed) => {
                self.spool.settle(&mut held, pushed.clone()).await;
                if pushed.stored_bytes > 0 {
                    self.ingested.add(&pushed.stats);
                }
                if pushed.created {
                    self.tell_pushed(&pushed.reference).await;
                }
                Ok(pushed)
            }
            Err(error) => Err(self.failed(held, error).await),
        }
    }

    /// Tells those who listen of a checkpoint that is new. One that has gone already is told of by
    /// whoever deleted it.
    pub(crate) async fn tell_pushed(&self, reference: &Reference) {
        if let Ok(found) = self.find(reference).await {
            let checkpoint = Box::new(found.summary(reference));
            self.events.tell(EventKind::CheckpointPushed { checkpoint });
        }
    }

    /// Forgets an upload.
    pub async fn cancel_upload(&self, id: &str) -> Result<()> {
        let held = self.spool.hold(id).await?;
        held.checkpoint()?;
        self.spool.end(held, End::Cancelled).await;
        Ok(())
    }

    /// After a failure: what will not become acceptable has ended, and says why to whoever asks
    /// again; anything else may go on.
    async fn failed(&self, mut held: Held, error: RegistryError) -> RegistryError {
        match error.kind() {
            Kind::Archive | Kind::TooLarge | Kind::DigestMismatch | Kind::Invalid => {
                self.spool.end(held, End::refused(&error)).await;
            }
            _ => {
                if let Some(work) = held.work() {
                    work.ingest = None;
                }
            }
        }
        error
    }

    pub(crate) fn ingest(&self) -> Ingest {
        Ingest {
            pages: self.pages.clone(),
            catalog: Arc::clone(&self.catalog),
            turns: self.turns.clone(),
            background: self.background.clone(),
            basis: Basis::Newest,
        }
    }

    /// Reads, stores, checks and names what has arrived.
    async fn store_upload(
        &self,
        held: &mut Held,
        announced: Announced,
        commit: &CommitUpload,
    ) -> Result<Pushed> {
        let received = Instant::now();
        let inner = held.session.folder.inner();
        let Some(work) = held.work() else {
            return Err(RegistryError::new(Kind::Internal, "an upload without its data"));
        };
        let receive_micros = work.first_byte.map_or(0, |first| micros(first.elapsed()));
        let arrived = arrived(work, commit).await?;
        let mut tries = 0;
        loop {
            let (task, layer) = match work.ingest.take() {
                Some(task) => {
                    task.end();
                    (task, arrived.clone())
                }
                None => {
                    let turn = self.turns.whole().await;
                    let (file, layer) = self.whole(work, inner.clone(), arrived.clone()).await?;
                    // Twice in vain: it must not stand on what is lost.
                    let basis = if tries < 2 { Basis::Newest } else { Basis::None };
                    let ingest = Ingest { basis, ..self.ingest() };
                    (ingest.whole(file, announced.options.workload.clone(), turn), layer)
                }
            };
            let (publisher, options) = (self.publisher(), announced.options.clone());
            let quotas = self.quotas.clone();
            let layer = sha256_digest(&layer)?;
            let stored = match task.outcome().await {
                Ok(ingested) => {
                    let finish = Finish {
                        publisher,
                        quotas,
                        options,
                        ingested,
                        layer,
                        received,
                        receive_micros,
                    };
                    Box::pin(finish.run()).await
                }
                Err(error) => Err(error),
            };
            tries += 1;
            match stored {
                // It is all in the spool: stored once more, without what was collected.
                Err(error) if error.kind() == Kind::Collected && tries < TRIES => {
                    tracing::info!(tries, %error, "a push is stored again");
                }
                stored => return stored,
            }
        }
    }

    /// The tar, with its sha256: what has arrived, or what was inside.
    async fn whole(
        &self,
        work: &mut Work,
        path: std::path::PathBuf,
        arrived: String,
    ) -> Result<(Growing, String)> {
        let (file, room) = (Arc::clone(&work.file), self.room.clone());
        if work.outer_at_end().await? == Outer::Plain {
            return Ok((Growing::whole(file, work.offset), arrived));
        }
        let unpacked = blocking(move || unpack(&file, &path, &room)).await?;
        Ok((Growing::whole(Arc::new(unpacked.file), unpacked.bytes), unpacked.sha256))
    }
}

fn check_offset(work: &Work, offset: u64) -> Result<()> {
    if offset == work.offset {
        return Ok(());
    }
    let message = format!("the upload holds {} bytes, not {offset}: go on there", work.offset);
    Err(RegistryError::new(Kind::Offset(work.offset), message))
}

/// The sha256 of what has arrived. It, and the checksum, must be what was said, if anything was.
async fn arrived(work: &mut Work, commit: &CommitUpload) -> Result<String> {
    let hash = work.take_hash().await?;
    let (arrived, checksum) = (hash.sha256(), hash.checksum());
    work.hash = Some(hash);
    let mismatch = |what: &str, found: &str, said: &str| {
        let message = format!("what arrived has {what} {found}, not {said}; send it again");
        RegistryError::new(Kind::DigestMismatch, message)
    };
    if let Some(said) = commit.sha256.as_deref().filter(|said| *said != arrived) {
        return Err(mismatch("sha256", &arrived, said));
    }
    match commit.xxh3.as_deref().filter(|said| *said != checksum) {
        Some(said) => Err(mismatch("checksum", &checksum, said)),
        None => Ok(arrived),
    }
}
