//! Bytes of an upload, from the connection into its file.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::hashing::StreamHash;
use crate::spool::{Work, spool_error};
use crate::{Body, Result, blocking};

/// Bytes that are written and hashed at once: enough to make the hop to another thread cheap.
const BATCH: usize = 1 << 20;

/// Appends a body to an upload. What has arrived stays, also when the connection breaks.
pub(crate) async fn receive(work: &mut Work, mut body: Body) -> Result<u64> {
    work.first_byte.get_or_insert_with(std::time::Instant::now);
    let mut hash = work.take_hash().await?;
    let mut writing = None;
    let outcome = loop {
        let (batch, end) = gather(&mut body).await;
        // One batch is written while the next arrives.
        if let Some(task) = writing.take() {
            match finished(task).await {
                Ok((back, offset)) => (hash, work.offset) = (back, offset),
                Err(e) => break Err(e),
            }
            work.growing.advance(work.offset);
        }
        if !batch.is_empty() {
            let (file, offset) = (Arc::clone(&work.file), work.offset);
            let taken = std::mem::take(&mut hash);
            writing = Some(tokio::spawn(blocking(move || write(&file, offset, &batch, taken))));
        }
        if work.ingest.as_ref().is_some_and(crate::ingest::IngestTask::is_finished) {
            break Err(None);
        }
        match end {
            None => {}
            Some(end) if writing.is_none() => break end.map_err(Some),
            Some(end) => {
                let Some(task) = writing.take() else { break end.map_err(Some) };
                match finished(task).await {
                    Ok((back, offset)) => (hash, work.offset) = (back, offset),
                    Err(e) => break Err(e),
                }
                work.growing.advance(work.offset);
                break end.map_err(Some);
            }
        }
    };
    conclude(work, hash, outcome).await
}

/// Keeps the hash only if it is that of what is in the file.
async fn conclude(
    work: &mut Work,
    hash: StreamHash,
    outcome: Result<(), Option<RegistryError>>,
) -> Result<u64> {
    match outcome {
        Ok(()) => {
            work.hash = Some(hash);
            Ok(work.offset)
        }
        Err(Some(error)) => {
            work.hash = (error.kind() == Kind::BodyBroken).then_some(hash);
            Err(error)
        }
        // The ingest has ended before the upload: that can only be its refusal.
        Err(None) => match work.ingest.take() {
            Some(ingest) => match ingest.outcome().await {
                Err(error) => Err(error),
                Ok(_) => {
                    Err(RegistryError::new(Kind::Invalid, "the archive ends before the upload"))
                }
            },
            None => Err(RegistryError::new(Kind::Internal, "an ingest has vanished")),
        },
    }
}

/// Takes what has arrived, up to a batch. The second part says that the body has ended, and how.
async fn gather(body: &mut Body) -> (Vec<Bytes>, Option<Result<()>>) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while bytes < BATCH {
        match body.next().await {
            Some(Ok(chunk)) => {
                bytes += chunk.len();
                batch.push(chunk);
            }
            Some(Err(e)) => {
                let error =
                    RegistryError::new(Kind::BodyBroken, "the connection broke").caused_by(e);
                return (batch, Some(Err(error)));
            }
            None => return (batch, Some(Ok(()))),
        }
    }
    (batch, None)
}

type Writing = tokio::task::JoinHandle<Result<(StreamHash, u64)>>;

async fn finished(task: Writing) -> Result<(StreamHash, u64), Option<RegistryError>> {
    task.await.unwrap_or_else(|e| Err(crate::task_error(&e))).map_err(Some)
}

fn write(
    file: &std::fs::File,
    mut offset: u64,
    batch: &[Bytes],
    mut hash: StreamHash,
) -> Result<(StreamHash, u64)> {
    for chunk in batch {
        let written = file.write_all_at(chunk, offset);
        written.map_err(|e| spool_error("keeping what has arrived", e))?;
        hash.update(chunk);
        offset += chunk.len() as u64;
    }
    Ok((hash, offset))
}
