//! Blobs that clients push over OCI.

use std::sync::Arc;

use pagevault_api::Digest;
use pagevault_catalog::{BlobLocation, BlobRecord};

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::folder::spool_error;
use crate::hashing::{DigestAlgorithm, StreamHash};
use crate::receive::receive;
use crate::session::{End, Held, Purpose};
use crate::{Body, Registry, Result, blocking, catalog_error, names, store_error};

/// Largest blob that is kept inside its record: image configurations, signatures.
const INLINE_MAX: u64 = 64 << 10;

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

    /// Bytes that an upload holds.
    pub async fn blob_upload_offset(&self, repository: &str, id: &str) -> Result<u64> {
        Ok(self.spool.hold(id).await?.blob(repository)?.offset)
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
        self.told_of_blob(repository, digest).await
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
        let Some(record) = found.map_err(catalog_error)? else { return Ok(false) };
        self.catalog.put_blob(repository, digest, record).await.map_err(catalog_error)?;
        self.told_of_blob(repository, digest).await?;
        Ok(true)
    }

    /// Removes a blob from a repository.
    pub async fn delete_blob(&self, repository: &str, digest: &Digest) -> Result<()> {
        names::check(repository)?;
        if self.catalog.delete_blob(repository, digest).await.map_err(catalog_error)? {
            return Ok(());
        }
        Err(RegistryError::new(Kind::BlobUnknown, format!("no blob {digest} in {repository}")))
    }

    /// Stores what has arrived, and makes it known. If that fails when the file is no longer the
    /// upload's, there is no work left to go on with.
    async fn store_blob(
        &self,
        held: &mut Held,
        hash: StreamHash,
        repository: &str,
        digest: &Digest,
    ) -> Result<()> {
        let record = self.new_record(held, hash, repository, digest).await?;
        self.catalog.put_blob(repository, digest, record).await.map_err(catalog_error)?;
        Ok(())
    }

    /// Where what has arrived is: a small blob inside its record, a larger one as a file.
    async fn new_record(
        &self,
        held: &mut Held,
        hash: StreamHash,
        repository: &str,
        digest: &Digest,
    ) -> Result<BlobRecord> {
        let path = held.session.folder.data();
        let work = held.blob(repository)?;
        let bytes = work.offset;
        if bytes <= INLINE_MAX {
            let file = Arc::clone(&work.file);
            let read = blocking(move || read_whole(&file, bytes)).await;
            return Ok(BlobRecord { bytes, location: BlobLocation::Inline(read?) });
        }
        // From here on the file is becoming an object, which nobody may write to.
        let taken = held.take_work();
        let domain = repository.split('/').next().unwrap_or(repository);
        let checksums = hash.into_checksums();
        match self.pages.adopt(domain, digest.as_ref(), &path, bytes, checksums).await {
            Ok(committed) => {
                Ok(BlobRecord { bytes, location: BlobLocation::Recipe(committed.id.0) })
            }
            Err(error) => {
                // If it is still ours, the client may try again; else it has to send it again.
                if let Some(work) = taken
                    && tokio::fs::try_exists(&path).await.unwrap_or(false)
                {
                    held.put_back(work);
                }
                Err(store_error(error))
            }
        }
    }
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
