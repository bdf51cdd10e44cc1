//! Blobs that clients push over OCI.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pagevault_api::Digest;
use pagevault_catalog::{BlobLocation, BlobRecord, CatalogError};

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::folder::{Folder, spool_error, time_left};
use crate::hashing::{DigestAlgorithm, StreamHash};
use crate::receive::receive;
use crate::session::{End, Held, Purpose};
use crate::{Body, Registry, Result, blocking, catalog_error, names, store_error};

/// Times that a blob is stored before its upload is given up.
const TRIES: u32 = 5;

/// Largest blob that is kept inside its record: image configurations, signatures.
const INLINE_MAX: u64 = 64 << 10;

/// An upload of a blob that is not at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobUpload {
    /// Bytes that have arrived.
    pub bytes: u64,
    /// When it goes, if nobody goes on with it until then.
    pub left: Duration,
}

impl Registry {
    /// Opens an upload of a blob and returns its identifier. The blob may be named by another
    /// algorithm in the end; then it is read twice.
    pub async fn start_blob_upload(
        &self,
        repository: &str,
        algorithm: DigestAlgorithm,
    ) -> Result<String> {
        names::check(repository)?;
        self.room.check(0)?;
        let purpose = Purpose::Blob { repository: repository.to_owned(), algorithm };
        self.spool.create(purpose, None).await
    }

    /// What is there of an upload.
    pub async fn blob_upload(&self, repository: &str, id: &str) -> Result<BlobUpload> {
        let mut held = self.spool.hold(id).await?;
        let work = held.blob(repository)?;
        let (file, bytes) = (Arc::clone(&work.file), work.offset);
        let left =
            blocking(move || time_left(&file).map_err(|e| spool_error("looking at an upload", e)));
        Ok(BlobUpload { bytes, left: left.await? })
    }

    /// Appends to an upload, at `offset` if given (else at its end), and returns its new size. With
    /// `algorithm`, that of the digest is known by now. What arrived before a broken connection stays.
    pub async fn append_blob(
        &self,
        repository: &str,
        id: &str,
        offset: Option<u64>,
        algorithm: Option<DigestAlgorithm>,
        body: Body,
    ) -> Result<u64> {
        let mut held = self.spool.hold(id).await?;
        let work = held.blob(repository)?;
        if offset.is_some_and(|offset| offset != work.offset) {
            let message = format!("the upload holds {} bytes: go on there", work.offset);
            return Err(RegistryError::new(Kind::Offset(work.offset), message));
        }
        if let Some(algorithm) = algorithm {
            work.hash_by(algorithm);
        }
        Box::pin(receive(work, body, &self.room, None)).await
    }

    /// Ends an upload: its content must hash to `digest`. Asked again, answers the same.
    pub async fn finish_blob_upload(
        &self,
        repository: &str,
        id: &str,
        digest: &Digest,
    ) -> Result<()> {
        let mut held = self.spool.hold(id).await?;
        if held.was_stored_as(repository, digest) {
            // It may have been removed since: then this is an error, as it was stored, but is gone.
            return self.blob_bytes(repository, digest).await.map(drop);
        }
        let work = held.blob(repository)?;
        work.hash_by(algorithm_of(digest)?);
        let hash = work.take_hash().await?;
        let found = hash.digest()?;
        if found != *digest {
            work.hash = Some(hash);
            let message = format!("the content has digest {found}, not {digest}");
            return Err(RegistryError::new(Kind::DigestMismatch, message));
        }
        if let Err(error) = self.store_blob(&mut held, hash, repository, digest).await {
            if held.work().is_none() {
                self.spool.end(held, End::Cancelled).await;
            }
            return Err(error);
        }
        let end = End::Stored { repository: repository.to_owned(), digest: digest.clone() };
        self.spool.end(held, end).await;
        Ok(())
    }

    /// Forgets an upload.
    pub async fn cancel_blob_upload(&self, repository: &str, id: &str) -> Result<()> {
        let mut held = self.spool.hold(id).await?;
        held.blob(repository)?;
        self.spool.end(held, End::Cancelled).await;
        Ok(())
    }

    /// Makes a blob of another repository known in this one; false if it is not there. Without
    /// `from`, a blob of any repository will do: whoever may push here may read everywhere, as long as
    /// there is no access control.
    pub async fn mount_blob(
        &self,
        repository: &str,
        digest: &Digest,
        from: Option<&str>,
    ) -> Result<bool> {
        names::check(repository)?;
        let found = match from {
            Some(from) if names::check(from).is_err() => return Ok(false),
            Some(from) => self.catalog.find_blob(from, digest).await,
            None => self.catalog.find_blob_anywhere(digest).await,
        };
        let record = match found {
            Ok(Some(record)) => record,
            // The client sends what nobody can give it.
            Ok(None) | Err(CatalogError::Corrupt { .. }) => return Ok(false),
            Err(error) => return Err(catalog_error(error)),
        };
        self.publisher().mount(repository, digest, record).await
    }

    /// Removes a blob from a repository, with what was promised of it, unless a pinned checkpoint
    /// there needs it.
    pub async fn delete_blob(&self, repository: &str, digest: &Digest) -> Result<()> {
        names::check(repository)?;
        self.check_unpinned(repository, digest).await?;
        if self.catalog.delete_blob(repository, digest).await.map_err(catalog_error)? {
            self.catalog.end_promises(repository, digest).await.map_err(catalog_error)?;
            return Ok(());
        }
        Err(RegistryError::new(Kind::BlobUnknown, format!("no blob {digest} in {repository}")))
    }

    /// Stores what has arrived, and makes it known: a small blob inside its record, a larger one as a
    /// file. If that fails when the file is no longer the upload's, there is no work left to go on
    /// with.
    async fn store_blob(
        &self,
        held: &mut Held,
        hash: StreamHash,
        repository: &str,
        digest: &Digest,
    ) -> Result<BlobRecord> {
        let folder = held.session.folder.clone();
        let work = held.blob(repository)?;
        let bytes = work.offset;
        if bytes <= INLINE_MAX {
            let file = Arc::clone(&work.file);
            let read = blocking(move || read_whole(&file, bytes)).await;
            let record = BlobRecord { bytes, location: BlobLocation::Inline(read?) };
            return self.publish_blob(repository, digest, record).await;
        }
        // From here on the file is becoming an object, which nobody may write to.
        let taken = held.take_work();
        let checksums = hash.into_checksums();
        let mut tries = 0;
        loop {
            tries += 1;
            match self.adopt_blob(&folder, bytes, checksums.clone(), repository, digest).await {
                Err(error) if error.kind() == Kind::Collected && tries < TRIES => {}
                Err(error) => {
                    // If it is still ours, the client may try again; else it has to send it again.
                    if let Some(work) = taken
                        && tries == 1
                        && tokio::fs::try_exists(folder.data()).await.unwrap_or(false)
                    {
                        held.put_back(work);
                    }
                    return Err(error);
                }
                stored => return stored,
            }
        }
    }

    /// Makes the file an object, and the object the blob.
    async fn adopt_blob(
        &self,
        folder: &Folder,
        bytes: u64,
        checksums: Vec<u64>,
        repository: &str,
        digest: &Digest,
    ) -> Result<BlobRecord> {
        let (file, second) = (folder.data(), folder.stored());
        let named = blocking(move || {
            keep_second_name(&file, &second).map_err(|e| spool_error("storing an upload", e))
        });
        named.await?;
        let domain = repository.split('/').next().unwrap_or(repository);
        let path = folder.data();
        let adopted = self.pages.adopt(domain, digest.as_ref(), &path, bytes, checksums);
        // Held until a record names it.
        let committed = adopted.await.map_err(store_error)?;
        let location = BlobLocation::Recipe(committed.id.0.clone());
        self.publish_blob(repository, digest, BlobRecord { bytes, location }).await
    }

    async fn publish_blob(
        &self,
        repository: &str,
        digest: &Digest,
        record: BlobRecord,
    ) -> Result<BlobRecord> {
        let publisher = self.publisher();
        publisher.promise(repository, digest).await;
        publisher.blob(repository, digest, record).await
    }
}

/// Gives the file of an upload a second name, as the first goes when it becomes an object: should it
/// have to be stored once more, that is where it is. A file system without links has no second try.
fn keep_second_name(file: &Path, second: &Path) -> io::Result<()> {
    if file.exists() {
        let _ = std::fs::hard_link(file, second);
        return Ok(());
    }
    std::fs::hard_link(second, file)
}

fn read_whole(file: &std::fs::File, bytes: u64) -> Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let mut whole = vec![0; usize::try_from(bytes).unwrap_or(0)];
    file.read_exact_at(&mut whole, 0).map_err(|e| spool_error("reading an upload", e))?;
    Ok(whole)
}

/// The algorithm of a digest; one that is not known here is refused.
pub(crate) fn algorithm_of(digest: &Digest) -> Result<DigestAlgorithm> {
    DigestAlgorithm::of(digest).ok_or_else(|| {
        let message = format!("digests are sha256 or sha512 here, not {}", digest.algorithm());
        RegistryError::new(Kind::Invalid, message)
    })
}
