//! Bytes of an upload, from the connection into its file.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::hashing::StreamHash;
use crate::ingest::IngestTask;
use crate::spool::{Work, spool_error};
use crate::{Body, Result, blocking};

/// Bytes that are written and hashed at once: enough to make the hop to another thread cheap.
const BATCH: usize = 1 << 20;

/// Appends a body to an upload. What has arrived stays, also when the connection breaks or the
/// request is dropped: a batch that is being written belongs to the upload, not to the request.
pub(crate) async fn receive(work: &mut Work, mut body: Body) -> Result<u64> {
    work.first_byte.get_or_insert_with(Instant::now);
    loop {
        let (batch, end) = gather(&mut body).await;
        // One batch is written while the next arrives.
        work.settle_writing().await?;
        if work.ingest.as_ref().is_some_and(IngestTask::is_finished) {
            return Err(refusal(work).await);
        }
        if !batch.is_empty() {
            let hash = work.take_hash().await?;
            let (file, offset) = (Arc::clone(&work.file), work.offset);
            work.writing = Some(tokio::spawn(blocking(move || write(&file, offset, &batch, hash))));
        }
        if let Some(end) = end {
            work.settle_writing().await?;
            return end.map(|()| work.offset);
        }
    }
}

/// Why an ingest has ended before its upload: that can only be a refusal.
async fn refusal(work: &mut Work) -> RegistryError {
    let outcome = match work.ingest.take() {
        Some(ingest) => ingest.outcome().await,
        None => Err(RegistryError::new(Kind::Internal, "an ingest has vanished")),
    };
    outcome
        .err()
        .unwrap_or_else(|| RegistryError::new(Kind::Archive, "data after the end of the archive"))
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
