//! Real checkpoints, cut into the parts of a layer as the registry cuts them.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use pagevault_criu::Owner;
use pagevault_pagestore::{
    AddressRun, Committed, PageStore, PageStoreError, Part, PartKind, RecipeId, Source, Space,
};

const SERIES: &str = "../../tests/fixtures/cart-redis-series.tar.zst";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A checkpoint in memory.
pub(crate) struct Layer {
    pub(crate) bytes: Arc<Vec<u8>>,
    parts: Vec<Part>,
    spaces: Vec<Space>,
}

impl Layer {
    /// Stores it, against `base` if there is one.
    pub(crate) async fn put(
        &self,
        store: &PageStore,
        base: Option<&RecipeId>,
    ) -> std::result::Result<Committed, PageStoreError> {
        let source: Arc<dyn Source> = Arc::<Vec<u8>>::clone(&self.bytes);
        let mut writer = store.writer("bench", base, self.spaces.clone()).await?;
        for part in &self.parts {
            writer.write(*part, &source).await?;
        }
        writer.commit("bench", self.bytes.len() as u64).await
    }

    fn read(bytes: Vec<u8>) -> Result<Self> {
        let mut images = BTreeMap::new();
        let mut pages = BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("pages-") {
                pages.insert(name, (entry.raw_file_position(), entry.size()));
            } else if path.extension().is_some_and(|extension| extension == "img") {
                let mut image = Vec::new();
                entry.read_to_end(&mut image)?;
                images.insert(name, image);
            }
        }
        let (found, _) = pagevault_criu::page_spaces(&images);
        let commands = pagevault_criu::command_paths(&images);
        let mut memories = Vec::new();
        for space in found {
            if let Some(place) = pages.get(&format!("pages-{}.img", space.pages_id)) {
                memories.push((*place, space_of(&space, &commands)));
            }
        }
        memories.sort_by_key(|(place, _)| *place);
        let parts = tile(memories.iter().map(|(place, _)| *place), bytes.len() as u64);
        let spaces = memories.into_iter().map(|(_, space)| space).collect();
        Ok(Self { bytes: Arc::new(bytes), parts, spaces })
    }
}

fn space_of(space: &pagevault_criu::PageSpace, commands: &BTreeMap<u32, String>) -> Space {
    let (pid, shmem) = match space.owner {
        Owner::Process { pid } => (pid, None),
        Owner::Shmem { id } => (0, Some(id)),
    };
    let runs = space.runs.iter();
    Space {
        pid,
        shmem,
        command: commands.get(&pid).cloned().unwrap_or_default(),
        runs: runs.map(|run| AddressRun { address: run.vaddr, pages: run.pages }).collect(),
    }
}

/// The memories, and what lies between them.
fn tile(memories: impl Iterator<Item = (u64, u64)>, end: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    for (number, (offset, bytes)) in memories.enumerate() {
        parts.push(Part { offset: at, bytes: offset - at, kind: PartKind::Bytes });
        parts.push(Part { offset, bytes, kind: PartKind::Pages(number) });
        at = offset + bytes;
    }
    parts.push(Part { offset: at, bytes: end - at, kind: PartKind::Bytes });
    parts
}

/// Four checkpoints of one redis, in the order in which they were taken.
pub(crate) fn series() -> Result<Vec<Layer>> {
    let packed = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(SERIES))?;
    let mut archive = tar::Archive::new(zstd::Decoder::new(packed.as_slice())?);
    let mut tars = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        tars.insert(entry.path()?.into_owned(), bytes);
    }
    tars.into_values().map(Layer::read).collect()
}
