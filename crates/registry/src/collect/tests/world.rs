//! A registry without HTTP, spool and disk; what its clients were told; and what must hold.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use pagevault_api::Digest;
use pagevault_catalog::{BlobLocation, Catalog, ListedKind, ManifestRecord};
use pagevault_objects::{MemoryStore, ObjectStore};
use pagevault_pagestore::{PAGE, PageStore, PageStoreOptions, RecipeId, Watch, Workers};

use super::actors::detail;
use super::schedule::{YieldStore, now};
use crate::collect::{CollectSettings, Collector};
use crate::publish::Publisher;

/// A push or a delete of a manifest, as its client saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) begun: u64,
    pub(super) ended: u64,
    pub(super) push: bool,
}

/// Processes that write to one store, where there are several.
const PROCESSES: usize = 3;

/// What the clients of a run share.
pub(super) struct World {
    pub(super) memory: MemoryStore,
    /// One for each process: what others write, its view does not know.
    catalogs: Vec<Arc<Catalog>>,
    turn: Cell<usize>,
    /// By repository and manifest.
    pub(super) events: RefCell<BTreeMap<(String, u64), Vec<Event>>>,
    /// Blobs that clients have deleted by themselves.
    pub(super) deleted_blobs: RefCell<BTreeSet<(String, String)>>,
    clock: Cell<u64>,
    /// Pushes that had to begin again, and that gave up.
    pub(super) again: Cell<u64>,
    pub(super) gave_up: Cell<u64>,
    /// Layers that were stored anew in their places.
    pub(super) anew: Cell<u64>,
    /// Pages that native pushes shared with others.
    pub(super) shared: Cell<u64>,
    /// Layers and objects that collectors wrote anew.
    pub(super) rewritten: Cell<u64>,
    exclusive: Option<PageStore>,
    pub(super) plain: Plain,
}

impl World {
    /// Over a store; alone with it or not: then each client is a process of its own, which knows of
    /// the others by the store only.
    pub(super) fn new(memory: MemoryStore, store: Arc<dyn ObjectStore>, alone: bool) -> Self {
        let processes = if alone { 1 } else { PROCESSES };
        let open = |_| Arc::new(now(Catalog::open_in_memory(Arc::clone(&store))).unwrap());
        let catalogs = (0..processes).map(open).collect();
        let exclusive = alone.then(|| pages(store, true));
        Self {
            plain: Plain::over(&memory),
            memory,
            catalogs,
            turn: Cell::new(0),
            events: RefCell::default(),
            deleted_blobs: RefCell::default(),
            clock: Cell::new(0),
            again: Cell::new(0),
            gave_up: Cell::new(0),
            anew: Cell::new(0),
            shared: Cell::new(0),
            rewritten: Cell::new(0),
            exclusive,
        }
    }

    /// What a client publishes with.
    pub(super) fn publisher(&self) -> Publisher {
        let shared = || pages(Arc::new(YieldStore(self.memory.clone())), false);
        let pages = self.exclusive.clone().unwrap_or_else(shared);
        Publisher { pages, catalog: self.catalog() }
    }

    /// The catalog of the next process.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        let turn = self.turn.replace(self.turn.get() + 1);
        Arc::clone(&self.catalogs[turn % self.catalogs.len()])
    }

    pub(super) fn collector(&self) -> Collector {
        let Publisher { pages, catalog } = self.publisher();
        Collector { pages, catalog }
    }

    /// The next moment.
    pub(super) fn tick(&self) -> u64 {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }

    pub(super) fn log(&self, repository: &str, number: u64, begun: u64, push: bool) {
        let event = Event { begun, ended: self.tick(), push };
        let mut events = self.events.borrow_mut();
        events.entry((repository.to_owned(), number)).or_default().push(event);
    }

    /// Every manifest that is seen can be pulled, at any moment; unless its blob was deleted.
    pub(super) fn check_visible(&self) -> u64 {
        let mut seen = 0;
        for (repository, record) in self.plain.manifests() {
            seen += 1;
            self.plain.check(&repository, &record, &self.deleted_blobs.borrow());
        }
        seen
    }

    /// What was acknowledged and not deleted is there, and what was deleted is not.
    pub(super) fn check_acknowledged(&self) {
        for ((repository, number), events) in self.events.borrow().iter() {
            let name = manifest_digest(*number);
            let found = now(self.plain.catalog.find_manifest(repository, &name)).unwrap();
            let deletes = || events.iter().filter(|e| !e.push);
            let pushes = || events.iter().filter(|e| e.push);
            let must = pushes().any(|push| deletes().all(|delete| delete.ended < push.begun));
            assert!(!must || found.is_some(), "{repository} {number} is lost: {events:?}");
            let last_push = pushes().map(|push| push.ended).max().unwrap_or(0);
            let gone = self.gave_up.get() == 0 && deletes().any(|d| d.begun > last_push);
            assert!(!gone || found.is_none(), "{repository} {number} is back: {events:?}");
        }
    }
}

pub(super) fn pages(store: Arc<dyn ObjectStore>, exclusive: bool) -> PageStore {
    let options = PageStoreOptions {
        workers: Workers::Inline,
        window_bytes: 1 << 20,
        level: 1,
        exclusive,
        share: true,
    };
    PageStore::new(store, options)
}

/// Collects with nobody else at it, long after everything.
pub(super) fn collect_all(memory: &MemoryStore) {
    memory.advance_clock(100_000);
    let store: Arc<dyn ObjectStore> = Arc::new(memory.clone());
    let catalog = Arc::new(now(Catalog::open_in_memory(Arc::clone(&store))).unwrap());
    let collector = Collector { pages: pages(store, true), catalog };
    let settings =
        CollectSettings { dry_run: false, grace_seconds: 3600, alone_since: None, rebase_gain: 0 };
    now(collector.run(settings, &Watch::default())).unwrap();
}

/// The truth, read by somebody who disturbs nobody.
pub(super) struct Plain {
    pub(super) catalog: Catalog,
    pub(super) pages: PageStore,
}

impl Plain {
    pub(super) fn over(memory: &MemoryStore) -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(memory.clone());
        let catalog = now(Catalog::without_view(Arc::clone(&store))).unwrap();
        Self { catalog, pages: pages(store, false) }
    }

    pub(super) fn manifests(&self) -> Vec<(String, ManifestRecord)> {
        let (listed, more) = now(self.catalog.records(None, 10_000)).unwrap();
        assert!(!more);
        let manifest = |listed: pagevault_catalog::Listed| {
            let ListedKind::Manifest(digest) = &listed.kind else { return None };
            let found = now(self.catalog.find_manifest(&listed.repository, digest)).unwrap();
            Some((listed.repository, found?))
        };
        listed.into_iter().filter_map(manifest).collect()
    }

    /// Pulls what a manifest names, as a client does.
    pub(super) fn check(
        &self,
        repository: &str,
        record: &ManifestRecord,
        deleted: &BTreeSet<(String, String)>,
    ) {
        if record.checkpoint.is_some() {
            let kept = now(self.catalog.find_detail(repository, &record.digest)).unwrap();
            let known = detail(manifest_number(record.digest.as_ref()));
            // An image that came over OCI, was described, deleted, collected and sent again, all within
            // a moment, gets its detail back a moment later.
            let late = record.bytes == b"oci" && kept.is_none();
            assert!(late || kept == Some(known), "{repository}@{}: no detail", record.digest);
        }
        for (digest, location) in &record.blobs {
            let name = digest.parse::<Digest>().unwrap();
            let of = format!("{repository}@{}, blob {digest}", record.digest);
            self.check_bytes(location, digest, &of);
            let blob = now(self.catalog.find_blob(repository, &name)).unwrap();
            // Whoever deletes a blob that is in use may meet one that is about to go.
            if deleted.contains(&(repository.to_owned(), digest.clone())) {
                continue;
            }
            let blob = blob.unwrap_or_else(|| panic!("{of}: no record"));
            self.check_bytes(&blob.location, digest, &of);
        }
    }

    fn check_bytes(&self, location: &BlobLocation, digest: &str, of: &str) {
        match location {
            BlobLocation::Inline(bytes) => assert_eq!(bytes, b"{}"),
            BlobLocation::Recipe(id) => {
                let read =
                    async { self.pages.open(&RecipeId(id.clone())).await?.read(0..u64::MAX).await };
                let bytes = now(read).unwrap_or_else(|e| panic!("{of}: recipe {id}: {e}"));
                assert!(bytes == content(layer_number(digest)), "{of}: other bytes");
            }
        }
    }
}

/// The pages of a layer. Those of one lineage have much in common; from [`LARGE`] on they are long
/// enough to be shared by others.
pub(super) fn content(number: u64) -> Vec<u8> {
    static ALL: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let all = ALL.get_or_init(|| (0..16).map(make_content).collect());
    all[usize::try_from(number).unwrap()].clone()
}

/// The first layer of many pages.
pub(super) const LARGE: u64 = 5;

fn make_content(number: u64) -> Vec<u8> {
    let pages = if number < LARGE { 3 } else { 96 };
    let mut state = 1u32;
    let mut bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Large ones cost time to store, not so much if they shrink.
        (state >> 24).to_le_bytes()[0] & 3
    })
    .take(pages * PAGE)
    .collect();
    bytes[usize::try_from(number % 3).unwrap() * PAGE + 17] = 200 + u8::try_from(number).unwrap();
    bytes
}

/// The digests of a run are numbers: what they are of is known.
pub(super) fn layer_digest(number: u64) -> Digest {
    digest(1_000 + number)
}

pub(super) fn manifest_digest(number: u64) -> Digest {
    digest(number)
}

pub(super) fn config_digest() -> Digest {
    digest(999)
}

fn layer_number(digest: &str) -> u64 {
    manifest_number(digest) - 1_000
}

fn manifest_number(digest: &str) -> u64 {
    let hex = digest.rsplit(':').next().unwrap();
    u64::from_str_radix(&hex[48..], 16).unwrap()
}

fn digest(number: u64) -> Digest {
    format!("sha256:{number:064x}").parse().unwrap()
}
