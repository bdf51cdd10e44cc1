//! The changing part of an upload that takes bytes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pagevault_archive::decode::{self, Outer};
use tokio::task::JoinHandle;

use crate::folder::spool_error;
use crate::hashing::{DigestAlgorithm, StreamHash};
use crate::ingest::IngestTask;
use crate::{Result, blocking};

/// Bytes that tell how a tar is compressed.
const MAGIC_BYTES: u64 = decode::MAGIC_BYTES as u64;

/// What has arrived, and what is done with it meanwhile.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) file: Arc<File>,
    algorithm: DigestAlgorithm,
    /// Hash of what has arrived. Absent after a restart, until someone goes on.
    pub(crate) hash: Option<StreamHash>,
    pub(crate) offset: u64,
    /// The offset, for those who only look.
    seen: Arc<AtomicU64>,
    /// A batch that is being written; its outcome is the next hash and offset.
    pub(crate) writing: Option<JoinHandle<Result<(StreamHash, u64)>>>,
    /// Reads along. Dropping it ends it; it begins again when someone goes on.
    pub(crate) ingest: Option<IngestTask>,
    pub(crate) first_byte: Option<Instant>,
    outer: Option<Outer>,
}

impl Work {
    /// Opens the file of an upload, which is made if it is not there. Blocks.
    pub(crate) fn open(path: &Path, seen: Arc<AtomicU64>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let offset = file.metadata()?.len();
        seen.store(offset, Ordering::Relaxed);
        Ok(Self {
            file: Arc::new(file),
            algorithm: DigestAlgorithm::default(),
            hash: (offset == 0).then(StreamHash::default),
            offset,
            seen,
            writing: None,
            ingest: None,
            first_byte: None,
            outer: None,
        })
    }

    /// Waits for the batch that is being written, also one of a request that was dropped.
    pub(crate) async fn settle_writing(&mut self) -> Result<()> {
        // Taken out only when it has ended: this too may be dropped while it waits.
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let outcome = writing.await.unwrap_or_else(|e| Err(crate::task_error(&e)));
        self.writing = None;
        let (hash, offset) = outcome?;
        (self.hash, self.offset) = (Some(hash), offset);
        self.seen.store(offset, Ordering::Relaxed);
        if let Some(ingest) = &self.ingest {
            ingest.advance(offset);
        }
        Ok(())
    }

    /// How what arrives is compressed, once enough of it is there to tell.
    pub(crate) async fn outer(&mut self) -> Result<Option<Outer>> {
        if self.outer.is_none() && self.offset >= MAGIC_BYTES {
            self.outer = Some(self.first_bytes(MAGIC_BYTES).await?);
        }
        Ok(self.outer)
    }

    /// The same, once nothing more will arrive.
    pub(crate) async fn outer_at_end(&mut self) -> Result<Outer> {
        match self.outer().await? {
            Some(outer) => Ok(outer),
            None => self.first_bytes(self.offset).await,
        }
    }

    async fn first_bytes(&self, len: u64) -> Result<Outer> {
        let (file, len) = (Arc::clone(&self.file), usize::try_from(len).unwrap_or(0));
        blocking(move || {
            let mut magic = vec![0; len];
            file.read_exact_at(&mut magic, 0).map_err(|e| spool_error("reading an upload", e))?;
            Ok(decode::detect(&magic))
        })
        .await
    }

    /// Chooses how what arrives is hashed; what has arrived is read again if that differs.
    pub(crate) fn hash_by(&mut self, algorithm: DigestAlgorithm) {
        self.algorithm = algorithm;
        if self.hash.as_ref().is_some_and(|hash| hash.algorithm() != algorithm) {
            self.hash = (self.offset == 0).then(|| StreamHash::new(algorithm));
        }
    }

    /// The hash of what has arrived, read from the file again after a restart.
    pub(crate) async fn take_hash(&mut self) -> Result<StreamHash> {
        if let Some(hash) = self.hash.take() {
            return Ok(hash);
        }
        let (file, offset, algorithm) = (Arc::clone(&self.file), self.offset, self.algorithm);
        blocking(move || {
            let mut hash = StreamHash::new(algorithm);
            let mut buf = vec![0; 1 << 20];
            let mut at = 0;
            while at < offset {
                let want = usize::try_from(offset - at).unwrap_or(buf.len()).min(buf.len());
                file.read_exact_at(&mut buf[..want], at)
                    .map_err(|e| spool_error("reading an upload", e))?;
                hash.update(&buf[..want]);
                at += want as u64;
            }
            Ok(hash)
        })
        .await
    }
}
