//! The use cases of Pagevault, without HTTP: ingest a checkpoint, push and pull over OCI, look
//! things up. The server, the tests and the demo call these and nothing below.

mod about;
mod background;
mod blobs;
mod collect;
mod comparisons;
mod describe;
mod diff;
mod error;
mod events;
mod folder;
mod growing;
mod hashing;
mod history;
mod ingest;
mod keep;
mod landed;
mod manifests;
mod memory;
mod names;
mod native;
mod publish;
mod pull;
mod receive;
mod referrers;
mod restoring;
mod retention;
mod room;
mod runs;
mod session;
mod spool;
mod stored;
mod totals;
mod unpack;
mod verify;
mod work;

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use pagevault_api::Digest;
use pagevault_api::gc::GcResult;
use pagevault_api::retention::RetentionConfig;
use pagevault_api::stats::IngestTotals;
use pagevault_archive::ArchiveError;
use pagevault_builder::BuildError;
use pagevault_catalog::{Catalog, CatalogError};
use pagevault_objects::{DiskOptions, DiskStore, ErrorKind, ObjectError, ObjectStore};
use pagevault_pagestore::{PageStore, PageStoreError, PageStoreOptions};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

pub use blobs::BlobUpload;
pub use error::{RegistryError, RegistryErrorKind};
pub use events::Listening;
pub use hashing::DigestAlgorithm;
pub use pagevault_catalog::Policies;
pub use pagevault_pagestore::IndexStats;
pub use pull::Blob;
pub use referrers::Referrers;
pub use totals::{Collected, Scrubbed, Totals};

use RegistryErrorKind as Kind;

/// How often uploads are looked after: a sender that pauses longer makes the server read again.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// What work in the background gets to end, at least: it was told to, and looks at that often.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

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
    /// Retention policies and quotas that hold as long as it is open. Without them, those that are
    /// stored do.
    pub retention: Option<RetentionConfig>,
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
    /// Blobs that it names and that the repository does not hold.
    pub missing: usize,
}

/// The registry. Cheap to share; all methods may be called at once.
#[derive(Debug)]
pub struct Registry {
    room: room::Room,
    pages: PageStore,
    stored: stored::StoredSum,
    catalog: Arc<Catalog>,
    spool: spool::Spool,
    turns: ingest::Turns,
    landed: landed::Queue,
    scrub: verify::Scrub,
    runs: runs::Runs<GcResult>,
    retention: retention::Retention,
    quotas: retention::Quotas,
    vain: collect::Vain,
    /// Explanations read all that there is: one at a time.
    explaining: Semaphore,
    background: background::Background,
    disk: Arc<DiskStore>,
    events: events::Events,
    comparisons: Arc<comparisons::Comparisons>,
    collected: totals::Sum<Collected>,
    ingested: totals::Sum<IngestTotals>,
    scrubbed: totals::Sum<Scrubbed>,
    /// By the store's clock, in seconds since the epoch.
    opened_at: u64,
}

impl Registry {
    /// Opens the registry in a folder, and brings to an end what a crash left half done.
    pub async fn open(config: RegistryConfig) -> Result<Arc<Self>> {
        let (data, options) =
            (config.data.clone(), DiskOptions { reserve_bytes: config.reserve_bytes });
        let disk = blocking(move || DiskStore::open(&data, options).map_err(object_error)).await?;
        let disk = Arc::new(disk);
        let objects: Arc<dyn ObjectStore> = Arc::clone(&disk) as _;
        let opened_at = objects.now().await.map_err(object_error)?;
        let catalog = Catalog::open(Arc::clone(&objects), &config.data).await;
        // The folder's lock is ours, so there are no writers but those of this process.
        let options = PageStoreOptions {
            window_bytes: config.window_bytes,
            exclusive: true,
            ..PageStoreOptions::default()
        };
        let spool = config.data.join("spool");
        let spool = blocking(move || {
            spool::Spool::open(spool).map_err(|e| folder::spool_error("opening the spool", e))
        });
        let (landed, waiting) = landed::Queue::new();
        let catalog = Arc::new(catalog.map_err(catalog_error)?);
        let (stored, objects) = stored::StoredSum::over(objects);
        let pages = PageStore::new(objects, options);
        let file = config.retention.map(Arc::new);
        let quotas = retention::Quotas {
            source: retention::PolicySource { catalog: Arc::clone(&catalog), file },
            catalog: Arc::clone(&catalog),
            pages: pages.clone(),
            books: Arc::default(),
        };
        let registry = Arc::new(Self {
            room: room::Room::of(Arc::clone(&disk), config.reserve_bytes),
            pages,
            stored,
            catalog,
            spool: spool.await?,
            turns: ingest::Turns::default(),
            landed,
            scrub: verify::Scrub::default(),
            runs: runs::Runs::new("a collection"),
            retention: retention::Retention::default(),
            quotas,
            vain: collect::Vain::default(),
            explaining: Semaphore::new(1),
            background: background::Background::default(),
            disk,
            events: events::Events::default(),
            comparisons: Arc::default(),
            collected: totals::Sum::default(),
            ingested: totals::Sum::default(),
            scrubbed: totals::Sum::default(),
            opened_at,
        });
        registry.spool.remove_abandoned().await;
        registry.remember_runs().await?;
        let background = &registry.background;
        background.spawn_endless(tidy(Arc::downgrade(&registry)));
        background.spawn_endless(landed::work(Arc::downgrade(&registry), waiting));
        let missed = registry.landed.missed();
        background.spawn_endless(landed::look_again(Arc::downgrade(&registry), missed));
        background.spawn_endless(load_index(registry.pages.clone()));
        Ok(registry)
    }

    /// What the index of pages that may be shared takes.
    pub fn index_stats(&self) -> IndexStats {
        self.pages.index_stats()
    }

    /// Bytes that may still be written before the reserve is touched.
    pub fn space_left(&self) -> Result<u64> {
        self.room.left()
    }

    /// Ends background work; requests under way get so long to end. Uploads stay resumable. Once
    /// nothing writes any more the folder is free for the next to open it, whoever still holds this.
    pub async fn close(&self, within: Duration) {
        self.cancel_collection();
        self.cancel_verify();
        self.retention.cancel();
        // What is free rests at once, whatever becomes of the others.
        self.spool.rest(Duration::ZERO).await;
        let until = Instant::now() + within;
        if timeout_at(until, self.spool.rest_all()).await.is_err() {
            return tracing::warn!(
                "uploads under way were cut short: they can go on after a restart"
            );
        }
        let ended = async {
            self.background.end().await;
            self.disk.give_back().await
        };
        match timeout_at(until.max(Instant::now() + ENDS_WITHIN), ended).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the folder stays locked until the end"),
            Err(_) => tracing::warn!("work in the background was cut short"),
        }
    }

    fn publisher(&self) -> publish::Publisher {
        publish::Publisher { pages: self.pages.clone(), catalog: Arc::clone(&self.catalog) }
    }
}

/// Brings the index of shared pages into memory; made anew if what is stored of it is damaged, or
/// nothing is stored of it.
/// Checkpoints are taken in meanwhile: they find less to share.
async fn load_index(pages: PageStore) {
    let loaded = match pages.load_index().await {
        Ok(loaded) if loaded.damaged > 0 || loaded.objects == 0 => pages.rebuild_index().await,
        loaded => loaded,
    };
    match loaded {
        Ok(loaded) => {
            let (stats, objects) = (pages.index_stats(), loaded.objects);
            tracing::debug!(objects, entries = stats.entries, "the index of pages is loaded");
        }
        Err(error) => tracing::warn!(%error, "the index of pages is not loaded: less is shared"),
    }
}

/// Lets uploads rest that nobody sends to, and removes those that nobody came back for.
async fn tidy(registry: Weak<Registry>) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        let Some(registry) = registry.upgrade() else { return };
        registry.spool.rest(TIDY_EVERY).await;
        registry.spool.remove_abandoned().await;
    }
}

/// Runs work that takes more than a moment off the async threads.
async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(task_error(&e)))
}

fn task_error(error: &tokio::task::JoinError) -> RegistryError {
    RegistryError::new(Kind::Internal, format!("work was cut short: {error}"))
}

fn parse_digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|e| RegistryError::new(Kind::Invalid, format!("digest {text:?}: {e}")))
}

fn sha256_digest(hex: &str) -> Result<Digest> {
    parse_digest(&format!("sha256:{hex}"))
}

fn build_error(error: BuildError) -> RegistryError {
    RegistryError::new(Kind::Internal, error.to_string()).caused_by(error)
}

fn archive_error(error: ArchiveError) -> RegistryError {
    let kind = match error.kind() {
        pagevault_archive::ErrorKind::Io => Kind::Unavailable,
        pagevault_archive::ErrorKind::TooLarge => Kind::TooLarge,
        _ => Kind::Archive,
    };
    RegistryError::new(kind, error.to_string()).caused_by(error)
}

fn object_error(error: ObjectError) -> RegistryError {
    let kind = match error.kind() {
        ErrorKind::Full => Kind::Full,
        ErrorKind::Invalid => Kind::Invalid,
        ErrorKind::NotFound | ErrorKind::Truncated => Kind::Damaged,
        ErrorKind::Precondition => Kind::Conflict,
        ErrorKind::Unavailable => Kind::Unavailable,
    };
    RegistryError::new(kind, error.to_string()).caused_by(error)
}

fn store_error(error: PageStoreError) -> RegistryError {
    let kind = match error {
        PageStoreError::Store(error) => return object_error(error),
        PageStoreError::NotFound(_) | PageStoreError::Damaged(_) => Kind::Damaged,
        PageStoreError::BaseGone | PageStoreError::Lost => Kind::Collected,
        PageStoreError::Source(ref e) if e.kind() == std::io::ErrorKind::ConnectionAborted => {
            Kind::BodyBroken
        }
        // The archive's reader has seen those bytes, or says itself that they are not there.
        PageStoreError::Source(_) => Kind::Unavailable,
        _ => Kind::Internal,
    };
    RegistryError::new(kind, error.to_string()).caused_by(error)
}

fn catalog_error(error: CatalogError) -> RegistryError {
    match error {
        CatalogError::Store(error) => object_error(error),
        CatalogError::Corrupt { .. } => {
            RegistryError::new(Kind::Damaged, error.to_string()).caused_by(error)
        }
        CatalogError::Full(_) => RegistryError::new(Kind::Full, error.to_string()).caused_by(error),
        CatalogError::Cursor => {
            RegistryError::new(Kind::Invalid, error.to_string()).caused_by(error)
        }
        CatalogError::Changed(_) => {
            RegistryError::new(Kind::Precondition, error.to_string()).caused_by(error)
        }
        CatalogError::Conflict(_) | CatalogError::Pinned(_) => {
            RegistryError::new(Kind::Conflict, error.to_string()).caused_by(error)
        }
        _ => RegistryError::new(Kind::Internal, error.to_string()).caused_by(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_disk_that_cannot_be_read_is_no_fault_of_the_archive() {
        let kind = |of: io::ErrorKind| store_error(PageStoreError::Source(of.into())).kind();
        assert_eq!(kind(io::ErrorKind::ConnectionAborted), Kind::BodyBroken);
        assert_eq!(kind(io::ErrorKind::Other), Kind::Unavailable);
        assert_eq!(kind(io::ErrorKind::UnexpectedEof), Kind::Unavailable);
    }
}
