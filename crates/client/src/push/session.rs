//! One push of a file, from the hint to the acknowledgement, through whatever breaks meanwhile.

use pagevault_api::checkpoint::Pushed;
use pagevault_api::problem::ProblemKind;
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::upload::{CommitUpload, NewUpload, Upload};

use super::feed::Feed;
use super::file::SourceFile;
use super::hash::FileHash;
use super::state::State;
use super::{PushOutcome, PushRequest, hint, is_too_large};
use crate::retry::Retry;
use crate::{Client, ClientError, Progress, Result};

pub(crate) struct FilePush<'a> {
    client: &'a Client,
    file: SourceFile,
    request: &'a PushRequest,
    progress: &'a dyn Progress,
    state: State,
    retry: Retry,
    hash: FileHash,
    sent_bytes: u64,
}

/// What one request has led to.
enum Step {
    /// The upload holds so many bytes.
    Holds(u64),
    Done(Box<Pushed>),
}

impl<'a> FilePush<'a> {
    pub(crate) fn new(
        client: &'a Client,
        file: SourceFile,
        request: &'a PushRequest,
        progress: &'a dyn Progress,
    ) -> Self {
        let folder = request.state.as_deref();
        let state = State::new(folder, client.server(), &file, &request.options);
        let retry = Retry::new(client.settings.clone());
        let hash = FileHash::default();
        Self { client, file, request, progress, state, retry, hash, sent_bytes: 0 }
    }

    pub(crate) async fn run(mut self) -> Result<PushOutcome> {
        let mut upload = match self.resume().await? {
            Some(upload) => upload,
            None => self.open().await?,
        };
        let mut outcome = self.carry_through(&upload).await;
        // Once more from the beginning, not for ever.
        if outcome.as_ref().is_err_and(is_to_begin_again) {
            self.hash = FileHash::default();
            upload = self.open().await?;
            outcome = self.carry_through(&upload).await;
        }
        match outcome {
            Ok(pushed) => {
                self.state.forget();
                Ok(PushOutcome { pushed, sent_bytes: self.sent_bytes })
            }
            Err(error) => {
                self.give_up(&upload, &error).await;
                Err(error)
            }
        }
    }

    /// The upload that an earlier run has left, if the server still knows it.
    async fn resume(&mut self) -> Result<Option<Upload>> {
        let Some(id) = self.state.load() else { return Ok(None) };
        match self.ask(&id).await {
            Ok(upload) if upload.offset > self.file.bytes() => Ok(None),
            Ok(upload) => match &upload.result {
                // It was acknowledged, to nobody; the checkpoint may be deleted since.
                Some(pushed) if !self.is_there(pushed).await? => Ok(None),
                _ => Ok(Some(upload)),
            },
            Err(error) => {
                if error.problem().is_some_and(|problem| is_final(problem.kind)) {
                    self.state.forget();
                }
                if is_to_begin_again(&error) { Ok(None) } else { Err(error) }
            }
        }
    }

    async fn is_there(&self, pushed: &Pushed) -> Result<bool> {
        let reference = Reference {
            repository: pushed.reference.repository.clone(),
            selector: Selector::Digest(pushed.digest.clone()),
        };
        match self.client.manifest(&reference).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn open(&mut self) -> Result<Upload> {
        let file = self.file.clone();
        let hint = tokio::task::spawn_blocking(move || hint::read(&file)).await.ok().flatten();
        let options = self.request.options.clone();
        let mut new = NewUpload { options, bytes: Some(self.file.bytes()), hint };
        loop {
            match self.client.open_upload(&new).await {
                Ok(upload) => {
                    self.retry.reached();
                    self.state.save(&upload.id);
                    return Ok(upload);
                }
                // It is said of a hint that the server has no room for, too.
                Err(error) if is_too_large(&error) && new.hint.is_some() => new.hint = None,
                Err(error) => {
                    // A large hint may not get through a slow connection in time; it only saves some.
                    if matches!(error, ClientError::Broken { .. }) {
                        new.hint = None;
                    }
                    self.retry.again(error, self.progress).await?;
                }
            }
        }
    }

    /// Asks what has arrived.
    async fn ask(&mut self, id: &str) -> Result<Upload> {
        loop {
            match self.client.upload(id).await {
                Ok(upload) => {
                    self.retry.reached();
                    return Ok(upload);
                }
                Err(error) => self.retry.again(error, self.progress).await?,
            }
        }
    }

    async fn carry_through(&mut self, upload: &Upload) -> Result<Pushed> {
        if let Some(pushed) = &upload.result {
            return Ok(pushed.clone());
        }
        let total = self.file.bytes();
        let (mut offset, mut furthest) = (upload.offset, upload.offset);
        self.progress.begin(offset, Some(total));
        loop {
            let step = if offset < total {
                self.send_rest(&upload.id, offset).await
            } else {
                self.commit(&upload.id).await
            };
            let step = match step {
                Err(error) => self.recover(&upload.id, error).await?,
                Ok(step) => step,
            };
            match step {
                Step::Done(pushed) => return Ok(*pushed),
                Step::Holds(held) if held > total => return Err(self.too_much(held)),
                Step::Holds(held) => offset = held,
            }
            if offset > furthest {
                furthest = offset;
                self.retry.progress();
            }
        }
    }

    /// After a failure that may pass: where things stand now.
    async fn recover(&mut self, id: &str, error: ClientError) -> Result<Step> {
        self.retry.again(error, self.progress).await?;
        let upload = self.ask(id).await?;
        Ok(match upload.result {
            Some(pushed) => Step::Done(Box::new(pushed)),
            None => Step::Holds(upload.offset),
        })
    }

    async fn send_rest(&mut self, id: &str, offset: u64) -> Result<Step> {
        self.catch_up(offset).await?;
        let feed = Feed::start(self.file.clone(), offset, std::mem::take(&mut self.hash));
        let range = (offset, self.file.bytes().saturating_sub(offset));
        let sending = self.client.append_upload(id, range, feed.body());
        let outcome = self.client.watch(sending, &feed.sent, offset, self.progress).await;
        self.sent_bytes = self.sent_bytes.saturating_add(feed.sent.get());
        let (hash, read) = feed.end().await;
        self.hash = hash;
        // What went wrong here is the cause of what went wrong there.
        read?;
        match outcome {
            // The server has not seen yet that the connection before this one is gone.
            Err(ClientError::Problem(problem)) if problem.kind == ProblemKind::Conflict => {
                Err(self.client.broken(problem.detail))
            }
            outcome => outcome.map(Step::Holds),
        }
    }

    async fn commit(&mut self, id: &str) -> Result<Step> {
        self.catch_up(self.file.bytes()).await?;
        self.file.check()?;
        self.progress.storing();
        let (bytes, xxh3) = (self.file.bytes(), Some(self.hash.xxh3()));
        let commit = CommitUpload { bytes, xxh3, ..CommitUpload::default() };
        let pushed = self.client.commit_upload(id, &commit).await?;
        Ok(Step::Done(Box::new(pushed)))
    }

    /// Hashes what was sent by an earlier run.
    async fn catch_up(&mut self, to: u64) -> Result<()> {
        let (file, mut hash) = (self.file.clone(), std::mem::take(&mut self.hash));
        let caught_up = tokio::task::spawn_blocking(move || {
            hash.catch_up(&file, to)?;
            Ok(hash)
        });
        self.hash = caught_up.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(ClientError::Io { doing: "reading the file".to_owned(), source })
        })?;
        Ok(())
    }

    fn too_much(&self, held: u64) -> ClientError {
        let total = self.file.bytes();
        self.client.protocol(None, format!("the upload holds {held} bytes of a file of {total}"))
    }

    /// Keeps the upload for another run, unless that can be of no use.
    async fn give_up(&self, upload: &Upload, error: &ClientError) {
        match error {
            ClientError::FileChanged { .. } => {
                self.state.forget();
                let _ = self.client.cancel_upload(&upload.id).await;
            }
            ClientError::Problem(problem) if is_final(problem.kind) => self.state.forget(),
            _ => {}
        }
    }
}

/// Whether the server has forgotten the upload, or has kept what the file no longer is: its stamp
/// does not show every change.
fn is_to_begin_again(error: &ClientError) -> bool {
    error.is_not_found() || error.is_digest_mismatch()
}

/// Whether the upload is gone, or will never be accepted. Anything else is the server's state, and
/// passes with it.
fn is_final(kind: ProblemKind) -> bool {
    matches!(
        kind,
        ProblemKind::InvalidArchive
            | ProblemKind::TooLarge
            | ProblemKind::NotFound
            | ProblemKind::DigestMismatch
            | ProblemKind::InvalidRequest
    )
}
