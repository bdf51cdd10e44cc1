//! Pushing a checkpoint.
//!
//! A file goes through a resumable upload: opened with a hint, sent from wherever the server stands,
//! committed with the sha256 of all of it. A stream goes in one request, as it cannot be read twice.

mod feed;
mod file;
mod hash;
mod hint;
mod session;
mod state;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pagevault_api::checkpoint::Pushed;
use pagevault_api::headers::UPLOAD_OFFSET;
use pagevault_api::upload::{CommitUpload, NewUpload, PushOptions, Upload};
use reqwest::{Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;

use crate::{Client, ClientError, Progress, Result};

/// How often progress is shown, and a stalled connection looked for.
const TICK: Duration = Duration::from_millis(100);

/// Where the checkpoint comes from.
pub enum PushSource {
    /// A file. What has arrived is not sent again, in this run or a later one.
    File(PathBuf),
    /// A stream, which is sent once.
    Stream(Box<dyn AsyncRead + Send + Sync + Unpin>),
}

/// What to push, and how.
#[derive(Debug, Clone, Default)]
pub struct PushRequest {
    /// What is said of the checkpoint beside its bytes.
    pub options: PushOptions,
    /// Folder for the names of unfinished uploads, so that a later push goes on with them.
    pub state: Option<PathBuf>,
}

/// A push that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushOutcome {
    /// What the server says.
    #[serde(flatten)]
    pub pushed: Pushed,
    /// Bytes of the checkpoint that this run sent; what had arrived before is not in it.
    pub sent_bytes: u64,
}

impl Client {
    /// Pushes a checkpoint and waits until it is stored.
    pub async fn push(
        &self,
        source: PushSource,
        request: &PushRequest,
        progress: &dyn Progress,
    ) -> Result<PushOutcome> {
        match source {
            PushSource::File(path) => match file::SourceFile::open(&path).await? {
                file::Opened::Regular(file) => {
                    let push = session::FilePush::new(self, file, request, progress);
                    push.run().await
                }
                file::Opened::Stream(reader) => {
                    stream::push(self, Box::new(reader), &request.options, progress).await
                }
            },
            PushSource::Stream(reader) => {
                stream::push(self, reader, &request.options, progress).await
            }
        }
    }

    pub(crate) async fn open_upload(&self, new: &NewUpload) -> Result<Upload> {
        self.json(self.http.post(self.url(["api", "v1", "uploads"])).json(new)).await
    }

    pub(crate) async fn upload(&self, id: &str) -> Result<Upload> {
        self.json(self.http.get(self.url(["api", "v1", "uploads", id]))).await
    }

    pub(crate) async fn cancel_upload(&self, id: &str) -> Result<()> {
        self.send(self.http.delete(self.url(["api", "v1", "uploads", id]))).await.map(drop)
    }

    /// Commits, which takes as long as it takes: the server is asked now and then whether it is
    /// still there, and whether it is done.
    pub(crate) async fn commit_upload(&self, id: &str, commit: &CommitUpload) -> Result<Pushed> {
        let url = self.url(["api", "v1", "uploads", id, "commit"]);
        let committing = async {
            let response = self.send_patiently(self.http.post(url).json(commit)).await?;
            self.read_json(response).await
        };
        tokio::pin!(committing);
        loop {
            tokio::select! {
                outcome = &mut committing => return outcome,
                () = tokio::time::sleep(self.settings.stall) => {}
            }
            let asked = tokio::select! {
                // A refusal is told to whoever asks first.
                biased;
                outcome = &mut committing => return outcome,
                asked = self.upload(id) => asked?,
            };
            if let Some(pushed) = asked.result {
                return Ok(pushed);
            }
        }
    }

    /// Appends a body of known length; returns how much the upload then holds.
    pub(crate) async fn append_upload(
        &self,
        id: &str,
        (offset, length): (u64, u64),
        body: reqwest::Body,
    ) -> Result<u64> {
        let url = self.url(["api", "v1", "uploads", id]);
        let request = self
            .http
            .patch(url)
            .header(UPLOAD_OFFSET, offset)
            .header(header::CONTENT_TYPE, pagevault_api::media_types::PARTIAL_UPLOAD)
            .header(header::CONTENT_LENGTH, length)
            .body(body);
        let response = self.send_patiently(request).await?;
        Ok(upload_offset(&response).unwrap_or(offset.saturating_add(length)))
    }

    /// Waits for a request that sends a body, shows how far it is, and ends it when it stands still.
    async fn watch<T>(
        &self,
        sending: impl Future<Output = Result<T>>,
        sent: &Arc<feed::Counter>,
        base: u64,
        progress: &dyn Progress,
    ) -> Result<T> {
        tokio::pin!(sending);
        let (mut seen, mut moved) = (0, Instant::now());
        loop {
            tokio::select! {
                outcome = &mut sending => {
                    progress.advance(base.saturating_add(sent.get()));
                    return outcome;
                }
                () = tokio::time::sleep(TICK) => {}
            }
            let now = sent.get();
            if now != seen || sent.waits_for_input() {
                (seen, moved) = (now, Instant::now());
                progress.advance(base.saturating_add(now));
            } else if moved.elapsed() >= self.settings.stall {
                let seconds = self.settings.stall.as_secs();
                return Err(self.broken(format!("nothing moved for {seconds} s")));
            }
        }
    }
}

fn upload_offset(response: &Response) -> Option<u64> {
    response.headers().get(UPLOAD_OFFSET)?.to_str().ok()?.parse().ok()
}

/// True if the server found the request too large: the hint can be left away.
fn is_too_large(error: &ClientError) -> bool {
    let too_large = StatusCode::PAYLOAD_TOO_LARGE.as_u16();
    match error {
        ClientError::Problem(problem) => problem.status == too_large,
        ClientError::Protocol { status, .. } => *status == Some(too_large),
        _ => false,
    }
}
