//! The use cases of Pagevault, without HTTP: ingest a checkpoint, push and pull over OCI, look
//! things up. The server, the tests and the demo call these and nothing below.

mod error;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use pagevault_api::Digest;
use pagevault_api::checkpoint::{Checkpoint, CheckpointDetail, Pushed};
use pagevault_api::page::Page;
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::stats::StoreStats;
use pagevault_api::upload::{CommitUpload, NewUpload, Upload};

pub use error::{RegistryError, RegistryErrorKind};

type Result<T, E = RegistryError> = std::result::Result<T, E>;

/// The body of a request, as it arrives. An error is a broken connection.
pub type Body = BoxStream<'static, std::io::Result<Bytes>>;

/// What a registry on disk needs to know.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// Folder of everything; made if it is not there.
    pub data: PathBuf,
    /// Free disk space that pushes leave untouched, in bytes.
    pub reserve_bytes: u64,
    /// Memory that one ingest or pull may use, in bytes.
    pub window_bytes: usize,
}

/// A manifest as it was pushed.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// True if the image holds the memory of processes.
    pub checkpoint: bool,
}

/// What a manifest PUT did.
#[derive(Debug, Clone)]
pub struct ManifestPut {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Its subject, if it names one.
    pub subject: Option<Digest>,
    /// Tags that now point to it.
    pub tags: Vec<String>,
}

/// A blob that can be read.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
}

/// What a list of checkpoints is narrowed to; empty is all.
#[derive(Debug, Clone, Default)]
pub struct CheckpointFilter {
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Name of the pod.
    pub pod: Option<String>,
    /// Name of the container.
    pub container: Option<String>,
    /// Name of the workload.
    pub workload: Option<String>,
    /// Name of the repository.
    pub repository: Option<String>,
    /// Labels that must be there with these values.
    pub labels: BTreeMap<String, String>,
}

/// The registry. Cheap to share; all methods may be called at once.
#[derive(Debug)]
pub struct Registry {}

impl Registry {
    /// Opens the registry in a folder, and brings to an end what a crash left half done.
    pub async fn open(_config: RegistryConfig) -> Result<Arc<Self>> {
        todo!()
    }

    /// Ends background work and marks the view as clean. Uploads under way stay resumable.
    pub async fn close(&self) {
        todo!()
    }

    // Pull.

    /// The manifest that a tag or digest names.
    pub async fn manifest(&self, _repository: &str, _selector: &Selector) -> Result<Manifest> {
        todo!()
    }

    /// The blob of a digest, within a repository.
    pub async fn blob(&self, _repository: &str, _digest: &Digest) -> Result<Blob> {
        todo!()
    }

    /// The tags of a repository after `after`, sorted, at most `limit`.
    pub async fn tags(&self, _repository: &str, _after: Option<&str>, _limit: usize) -> Result<Vec<String>> {
        todo!()
    }

    /// The repositories after `after`, sorted, at most `limit`.
    pub async fn repositories(&self, _after: Option<&str>, _limit: usize) -> Result<Vec<String>> {
        todo!()
    }

    /// The index of manifests whose subject is `subject`: an OCI image index, ready to send.
    pub async fn referrers(&self, _repository: &str, _subject: &Digest, _artifact_type: Option<&str>) -> Result<Bytes> {
        todo!()
    }

    // Push over OCI.

    /// Opens an upload of a blob and returns its identifier.
    pub async fn start_blob_upload(&self, _repository: &str) -> Result<String> {
        todo!()
    }

    /// Bytes that an upload holds.
    pub async fn blob_upload_offset(&self, _repository: &str, _id: &str) -> Result<u64> {
        todo!()
    }

    /// Appends to an upload, at `offset` if given (else at its end), and returns its new size.
    /// What arrived before a broken connection stays.
    pub async fn append_blob(&self, _repository: &str, _id: &str, _offset: Option<u64>, _body: Body) -> Result<u64> {
        todo!()
    }

    /// Ends an upload: its content must hash to `digest`.
    pub async fn finish_blob_upload(&self, _repository: &str, _id: &str, _digest: &Digest) -> Result<Blob> {
        todo!()
    }

    /// Forgets an upload.
    pub async fn cancel_blob_upload(&self, _repository: &str, _id: &str) -> Result<()> {
        todo!()
    }

    /// Makes a blob of another repository known in this one; false if it is not there.
    pub async fn mount_blob(&self, _repository: &str, _digest: &Digest, _from: Option<&str>) -> Result<bool> {
        todo!()
    }

    /// Stores a manifest under its digest and sets tags.
    pub async fn put_manifest(
        &self, _repository: &str, _selector: &Selector, _tags: &[String], _media_type: Option<&str>, _bytes: Bytes,
    ) -> Result<ManifestPut> {
        todo!()
    }

    /// Removes a tag, or a manifest with the tags that point to it.
    pub async fn delete_manifest(&self, _repository: &str, _selector: &Selector) -> Result<()> {
        todo!()
    }

    /// Removes a blob from a repository.
    pub async fn delete_blob(&self, _repository: &str, _digest: &Digest) -> Result<()> {
        todo!()
    }

    // Checkpoints.

    /// Opens a resumable upload of a checkpoint tar.
    pub async fn open_upload(&self, _new: NewUpload) -> Result<Upload> {
        todo!()
    }

    /// State of an upload, also after a restart.
    pub async fn upload(&self, _id: &str) -> Result<Upload> {
        todo!()
    }

    /// Appends at `offset` and returns the new size. What arrived before a broken connection stays.
    pub async fn append_upload(&self, _id: &str, _offset: u64, _body: Body) -> Result<u64> {
        todo!()
    }

    /// Ends an upload: the checkpoint is read, stored, checked and named. Asked again, answers the same.
    pub async fn commit_upload(&self, _id: &str, _commit: CommitUpload) -> Result<Pushed> {
        todo!()
    }

    /// Forgets an upload.
    pub async fn cancel_upload(&self, _id: &str) -> Result<()> {
        todo!()
    }

    /// Checkpoints, newest first.
    pub async fn checkpoints(&self, _filter: CheckpointFilter, _cursor: Option<&str>, _limit: usize) -> Result<Page<Checkpoint>> {
        todo!()
    }

    /// One checkpoint with all that is known of it.
    pub async fn checkpoint(&self, _reference: &Reference) -> Result<CheckpointDetail> {
        todo!()
    }

    /// Totals.
    pub async fn stats(&self) -> Result<StoreStats> {
        todo!()
    }
}

impl Blob {
    /// The bytes of a range, decoded as they are read, in bounded memory.
    pub fn stream(&self, _range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        todo!()
    }
}
