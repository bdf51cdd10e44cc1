//! Bytes of an upload, from the connection into its file.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use pagevault_archive::decode::Outer;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::folder::spool_error;
use crate::hashing::StreamHash;
use crate::ingest::{Early, IngestTask};
use crate::room::Room;
use crate::work::Work;
use crate::{Body, Result, blocking};

/// Bytes that are written and hashed at once: enough to make the hop to another thread cheap.
const BATCH: usize = 1 << 20;

/// Appends a body to an upload. What has arrived stays, also when the connection breaks or the
/// request is dropped: a batch that is being written belongs to the upload, not to the request.
///
/// With `early`, an ingest reads along as soon as that can be of use.
pub(crate) async fn receive(
    work: &mut Work,
    mut body: Body,
    room: &Room,
    early: Option<&Early>,
) -> Result<u64> {
    let mut gauge = room.gauge();
    work.first_byte.get_or_insert_with(Instant::now);
    loop {
        let (batch, end) = gather(&mut body).await;
        // One batch is written while the next arrives.
        work.settle_writing().await?;
        if let Some(refused) = work.ingest.take_if(|ingest| ingest.is_finished()) {
            return Err(refusal(refused).await);
        }
        if let Some(early) = early.filter(|_| work.ingest.is_none()) {
            begin(work, early).await?;
        }
        if !batch.is_empty() {
            gauge.take(batch.iter().map(|chunk| chunk.len() as u64).sum())?;
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

/// Starts an ingest, if what arrives is a tar as it is; else it must be unpacked first, when all of
/// it is there.
async fn begin(work: &mut Work, early: &Early) -> Result<()> {
    if work.outer().await? == Some(Outer::Plain) {
        work.ingest = early.start(&work.file, work.offset);
    }
    Ok(())
}

/// Why an ingest has ended before its upload: that can only be a refusal.
async fn refusal(ingest: IngestTask) -> RegistryError {
    let late = || RegistryError::new(Kind::Archive, "data after the end of the archive");
    ingest.outcome().await.err().unwrap_or_else(late)
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

/// Writes a batch whole, or leaves the file as it was.
fn write(
    file: &std::fs::File,
    start: u64,
    batch: &[Bytes],
    mut hash: StreamHash,
) -> Result<(StreamHash, u64)> {
    let mut offset = start;
    for chunk in batch {
        if let Err(error) = file.write_all_at(chunk, offset) {
            // What is not counted must not be taken for content.
            let _ = file.set_len(start);
            return Err(spool_error("keeping what has arrived", error));
        }
        hash.update(chunk);
        offset += chunk.len() as u64;
    }
    Ok((hash, offset))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::room::tests::shrinking;

    #[tokio::test]
    async fn a_body_of_unknown_length_ends_at_the_reserve() {
        let folder = tempfile::tempdir().unwrap();
        let mut work = Work::open(&folder.path().join("data"), Arc::default()).unwrap();
        let piece = Bytes::from(vec![7u8; BATCH]);
        let endless = || stream::repeat(piece.clone()).map(Ok).boxed();
        // Others take as much of the disk as we do.
        let room = shrinking(256 << 20, 128 << 20, 32 << 20);
        let error = receive(&mut work, endless(), &room, None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Full);
        // What has arrived stays, and the upload can go on once there is room.
        work.settle_writing().await.unwrap();
        let held = work.offset;
        assert!((16 << 20..=128 << 20).contains(&held), "{held}");
        assert_eq!(work.file.metadata().unwrap().len(), work.offset);
        let error = receive(&mut work, endless(), &room, None).await.unwrap_err();
        assert_eq!((error.kind(), work.offset), (Kind::Full, held));
        let room = shrinking(256 << 20, 0, 0);
        let rest = stream::iter([Ok(piece.clone())]).boxed();
        assert_eq!(receive(&mut work, rest, &room, None).await.unwrap(), held + (1 << 20));
    }
}
