//! Blobs that clients push over OCI.

use std::sync::Arc;

use pagevault_api::Digest;
use pagevault_catalog::{BlobLocation, BlobRecord};
use sha2::{Digest as _, Sha512};

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::hashing::StreamHash;
use crate::receive::receive;
use crate::spool::{Purpose, Session, Work, spool_error};
use crate::{Blob, Body, Registry, Result, blocking, catalog_error, names, store_error};

/// Largest blob that is kept inside its record: image configurations, signatures.
const INLINE_MAX: u64 = 64 << 10;

impl Registry {
    /// Opens an upload of a blob and returns its identifier.
    pub async fn start_blob_upload(&self, repository: &str) -> Result<String> {
        names::check(repository)?;
        self.check_space(0)?;
        let purpose = Purpose::Blob { repository: repository.to_owned() };
        Ok(self.spool.create(purpose).await?.id.clone())
    }

    /// Bytes that an upload holds.
    pub async fn blob_upload_offset(&self, repository: &str, id: &str) -> Result<u64> {
        let session = self.blob_upload(repository, id).await?;
        let mut work = session.work.lock().await;
        work.settle_writing().await?;
        Ok(work.offset)
    }

    /// Appends to an upload, at `offset` if given (else at its end), and returns its new size.
    /// What arrived before a broken connection stays.
    pub async fn append_blob(
        &self,
        repository: &str,
        id: &str,
        offset: Option<u64>,
        body: Body,
    ) -> Result<u64> {
        let session = self.blob_upload(repository, id).await?;
        let mut work = session.work.lock().await;
        work.settle_writing().await?;
        if offset.is_some_and(|offset| offset != work.offset) {
            let message = format!("the upload holds {} bytes: go on there", work.offset);
            return Err(RegistryError::new(Kind::Offset(work.offset), message));
        }
        self.check_space(0)?;
        Box::pin(receive(&mut work, body)).await
    }

    /// Ends an upload: its content must hash to `digest`.
    pub async fn finish_blob_upload(
        &self,
        repository: &str,
        id: &str,
        digest: &Digest,
    ) -> Result<Blob> {
        let session = self.blob_upload(repository, id).await?;
        let mut work = session.work.lock().await;
        work.settle_writing().await?;
        let hash = work.take_hash().await?;
        let found = actual_digest(&work, &hash, digest).await?;
        if found != *digest {
            work.hash = Some(hash);
            let message = format!("the content has digest {found}, not {digest}");
            return Err(RegistryError::new(Kind::DigestMismatch, message));
        }
        let record = self.store_blob(&session, &work, hash, repository, digest).await?;
        let put = self.catalog.put_blob(repository, digest, record.clone()).await;
        put.map_err(catalog_error)?;
        drop(work);
        self.spool.remove(&session).await?;
        self.open_blob(digest, record).await
    }

    /// Forgets an upload.
    pub async fn cancel_blob_upload(&self, repository: &str, id: &str) -> Result<()> {
        let session = self.blob_upload(repository, id).await?;
        self.spool.remove(&session).await
    }

    /// Makes a blob of another repository known in this one; false if it is not there.
    pub async fn mount_blob(
        &self,
        repository: &str,
        digest: &Digest,
        from: Option<&str>,
    ) -> Result<bool> {
        names::check(repository)?;
        let Some(from) = from.filter(|from| names::check(from).is_ok()) else { return Ok(false) };
        let Some(record) = self.catalog.find_blob(from, digest).await.map_err(catalog_error)?
        else {
            return Ok(false);
        };
        self.catalog.put_blob(repository, digest, record).await.map_err(catalog_error)?;
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

    async fn blob_upload(&self, repository: &str, id: &str) -> Result<Arc<Session>> {
        let session = self.spool.get(id).await?;
        match &session.about.purpose {
            Purpose::Blob { repository: of } if of == repository => Ok(session),
            _ => Err(RegistryError::new(Kind::UploadUnknown, "no such upload in this repository")),
        }
    }

    /// Stores what has arrived: a small blob inside its record, a larger one as a file.
    async fn store_blob(
        &self,
        session: &Session,
        work: &Work,
        hash: StreamHash,
        repository: &str,
        digest: &Digest,
    ) -> Result<BlobRecord> {
        let bytes = work.offset;
        let path = session.folder.join("data");
        if bytes <= INLINE_MAX {
            let read = blocking(move || {
                std::fs::read(path).map_err(|e| spool_error("reading an upload", e))
            });
            return Ok(BlobRecord { bytes, location: BlobLocation::Inline(read.await?) });
        }
        let domain = repository.split('/').next().unwrap_or(repository);
        let checksums = hash.into_checksums();
        let adopted = self.pages.adopt(domain, digest.as_ref(), &path, bytes, checksums).await;
        let committed = adopted.map_err(store_error)?;
        Ok(BlobRecord { bytes, location: BlobLocation::Recipe(committed.id.0) })
    }
}

/// The digest of what has arrived, by the algorithm of the digest that is claimed.
async fn actual_digest(work: &Work, hash: &StreamHash, claimed: &Digest) -> Result<Digest> {
    match claimed.algorithm().as_ref() {
        "sha256" => crate::sha256_digest(&hash.sha256()),
        "sha512" => {
            let (file, bytes) = (Arc::clone(&work.file), work.offset);
            let hex = blocking(move || sha512(&file, bytes)).await?;
            crate::parse_digest(&format!("sha512:{hex}"))
        }
        other => Err(RegistryError::new(
            Kind::Invalid,
            format!("digests are sha256 or sha512 here, not {other}"),
        )),
    }
}

fn sha512(file: &std::fs::File, bytes: u64) -> Result<String> {
    use std::os::unix::fs::FileExt;
    let (mut hash, mut at, mut buf) = (Sha512::new(), 0, vec![0; 1 << 20]);
    while at < bytes {
        let len = usize::try_from(bytes - at).unwrap_or(buf.len()).min(buf.len());
        let read = file.read_exact_at(&mut buf[..len], at);
        read.map_err(|e| spool_error("reading an upload", e))?;
        hash.update(&buf[..len]);
        at += len as u64;
    }
    Ok(hex::encode(hash.finalize()))
}
