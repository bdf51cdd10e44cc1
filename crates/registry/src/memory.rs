//! The memory in checkpoints: areas, what has changed in them, and the bytes themselves.

use pagevault_api::Digest;
use pagevault_api::contents::{
    Address, MEMORY_BYTES_MAX, MemoryArea, MemoryMap, PageChanges, ProcessMemory,
};
use pagevault_api::reference::Reference;
use pagevault_catalog::BlobLocation;
use pagevault_pagestore::{ComparedRun, LayerReader, PageState, PageStoreError, RecipeId};

use crate::comparisons::Compared;
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::history::Found;
use crate::{Registry, Result, blocking, catalog_error, store_error};

/// Bytes of a page.
const PAGE: u64 = pagevault_pagestore::PAGE as u64;

impl Registry {
    /// The memory areas of a checkpoint, or of one of its processes, with what has changed since
    /// `against`, or else since the checkpoint before.
    pub async fn memory_map(
        &self,
        reference: &Reference,
        pid: Option<u32>,
        against: Option<&Reference>,
    ) -> Result<MemoryMap> {
        let found = self.find(reference).await?;
        let before = match against {
            Some(against) => Some(self.find(against).await?),
            None => self.predecessor(&found).await?,
        };
        let mut processes = self.detail(reference, &found).await?.memory;
        if let Some(pid) = pid {
            processes.retain(|process| process.pid == pid);
        }
        let compared = match &before {
            Some(before) => self.compared(before, &found).await?,
            None => None,
        };
        let against = before.map(|before| before.manifest.digest);
        blocking(move || Ok(map(processes, against, compared.as_ref()))).await
    }

    /// Bytes of the memory of a process, which must all be in the checkpoint. Who asks for them is
    /// written into the log by whoever knows.
    pub async fn memory(
        &self,
        reference: &Reference,
        pid: u32,
        start: Address,
        length: u64,
    ) -> Result<Vec<u8>> {
        if length == 0 || length > MEMORY_BYTES_MAX {
            let message = format!("length is a number from 1 to {MEMORY_BYTES_MAX}");
            return Err(RegistryError::new(Kind::Invalid, message));
        }
        let found = self.find(reference).await?;
        let absent = || {
            let message = format!(
                "process {pid} of {reference} has no {length} bytes at {start} in the checkpoint"
            );
            RegistryError::new(Kind::ManifestUnknown, message)
        };
        let reader = self.paged(&found).await?.ok_or_else(absent)?;
        let range = reader.memory_at((pid, None), start.0).ok_or_else(absent)?;
        if range.end - range.start < length {
            return Err(absent());
        }
        reader.read(range.start..range.start + length).await.map_err(store_error)
    }

    /// What became of the pages of `from` in `to`; nothing if those of one of the two are not known
    /// one by one.
    pub(crate) async fn compared(&self, from: &Found, to: &Found) -> Result<Option<Compared>> {
        let layer = |found: &Found| found.checkpoint.summary.layer_digest.clone();
        let pair = (layer(from), layer(to));
        if let Some(compared) = self.comparisons.find(&pair) {
            return Ok(Some(compared));
        }
        let (Some(a), Some(b)) = (self.paged(from).await?, self.paged(to).await?) else {
            return Ok(None);
        };
        let compare = async move {
            let owners = b.compare(&a).await.map_err(store_error)?;
            // Shared memory is not at the addresses that processes see.
            let own = owners.into_iter().filter_map(|((pid, shmem), runs)| match shmem {
                None => Some((pid, runs)),
                Some(_) => None,
            });
            Ok(Compared::new(own.collect()))
        };
        self.comparisons.get(pair, &self.background, compare).await.map(Some)
    }

    /// The checkpoint of the same container that was taken before.
    async fn predecessor(&self, found: &Found) -> Result<Option<Found>> {
        let (summary, lineage) = (&found.checkpoint.summary, &found.checkpoint.lineage);
        let before =
            self.catalog.predecessor(lineage, summary.created_at, &found.manifest.digest).await;
        let Some((repository, digest)) = before.map_err(catalog_error)? else { return Ok(None) };
        match self.find(&Reference::digest(repository, digest)).await {
            Ok(found) => Ok(Some(found)),
            // It was deleted since.
            Err(error) if error.kind() == Kind::ManifestUnknown => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The layer of a checkpoint, if its pages are known one by one.
    async fn paged(&self, found: &Found) -> Result<Option<LayerReader>> {
        let layer = found.checkpoint.summary.layer_digest.as_ref() as &str;
        let Some(BlobLocation::Recipe(id)) = found.manifest.blobs.get(layer) else {
            return Ok(None);
        };
        match self.pages.open(&RecipeId(id.clone())).await {
            Ok(reader) => Ok(Some(reader).filter(|reader| !reader.owners().is_empty())),
            Err(PageStoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(store_error(error)),
        }
    }
}

fn map(
    mut processes: Vec<ProcessMemory>,
    against: Option<Digest>,
    compared: Option<&Compared>,
) -> MemoryMap {
    let Some(compared) = compared else { return MemoryMap { against, pages: None, processes } };
    let mut pages = PageChanges::default();
    for process in &mut processes {
        let runs = compared.get(&process.pid).map(Vec::as_slice).unwrap_or_default();
        pages = runs.iter().fold(pages, |sum, run| sum.plus(count(run, run.pages)));
        process.areas.sort_by_key(|area| area.start);
        for area in &mut process.areas {
            area.changes = changes(area, runs);
        }
    }
    MemoryMap { against, pages: Some(pages), processes }
}

/// What became of the pages of an area; nothing for shared memory, whose pages lie elsewhere.
pub(crate) fn changes(area: &MemoryArea, runs: &[ComparedRun]) -> Option<PageChanges> {
    if matches!(area.kind.as_str(), "shared-anonymous" | "sysv-shared") {
        return None;
    }
    let (start, end) = (area.start.0, area.end.0);
    let first = runs.partition_point(|run| run.address + run.pages * PAGE <= start);
    let within = runs.get(first..)?.iter().take_while(|run| run.address < end);
    Some(within.fold(PageChanges::default(), |sum, run| {
        let from = run.address.max(start);
        let to = (run.address + run.pages * PAGE).min(end);
        sum.plus(count(run, to.saturating_sub(from) / PAGE))
    }))
}

fn count(run: &ComparedRun, pages: u64) -> PageChanges {
    let none = PageChanges::default();
    match run.state {
        PageState::Same => PageChanges { same: pages, ..none },
        PageState::Changed => PageChanges { changed: pages, ..none },
        PageState::Added => PageChanges { added: pages, ..none },
        PageState::Removed => PageChanges { removed: pages, ..none },
    }
}

/// All pages together.
pub(crate) fn total(compared: &Compared) -> PageChanges {
    let runs = compared.values().flatten();
    runs.fold(PageChanges::default(), |sum, run| sum.plus(count(run, run.pages)))
}
