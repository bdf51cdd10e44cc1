//! Clients and collectors.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use pagevault_api::Digest;
use pagevault_api::checkpoint::{Checkpoint, Origin};
use pagevault_api::media_types::OCI_MANIFEST;
use pagevault_api::reference::Reference;
use pagevault_builder::Image;
use pagevault_catalog::{BlobLocation, BlobRecord, CheckpointRecord, NewManifest};
use pagevault_pagestore::{
    AddressRun, Committed, LayerWriter, PAGE, PageStoreError, Part, PartKind, Rebase, RecipeId,
    Source, Space, Watch,
};

use super::schedule::Draw;
use super::world::{LARGE, World, config_digest, content, layer_digest, manifest_digest};
use crate::collect::{CollectSettings, Collector, Vain};
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::publish::{Blobs, Publisher};
use crate::{Result, catalog_error, store_error};

/// Times that a client begins again.
const TRIES: u64 = 6;

/// Small layers that there are.
pub(super) const LAYERS: u64 = 5;

/// Pushes a checkpoint as `pagevault push` does; what is there already is pushed again.
pub(super) async fn push_native(world: &World, repository: &str, number: u64) -> Result<()> {
    let (begun, publisher) = (world.tick(), world.publisher());
    for _ in 0..TRIES {
        match native(&publisher, repository, number).await {
            Ok(shared) => {
                world.shared.set(world.shared.get() + shared);
                world.log(repository, number, begun, true);
                return Ok(());
            }
            Err(error) if is_passing(&error) => world.again.set(world.again.get() + 1),
            Err(error) => return Err(error),
        }
    }
    world.gave_up.set(world.gave_up.get() + 1);
    Ok(())
}

/// Large layers are of two lineages, which share pages; small ones of a third.
fn lineage(number: u64) -> String {
    let name = if number < LARGE { 2 } else { number % 2 };
    format!("lineage {name}")
}

/// Says how many pages are shared with others.
async fn native(publisher: &Publisher, repository: &str, number: u64) -> Result<u64> {
    let image = image(number);
    let found = publisher.catalog.find_manifest(repository, &image.manifest_digest).await;
    if let Some(record) = found.map_err(catalog_error)?.and_then(|found| found.checkpoint) {
        publisher.checkpoint(repository, &image, record, None).await?;
        return Ok(0);
    }
    let base =
        publisher.catalog.newest_of_lineage(&lineage(number)).await.map_err(catalog_error)?;
    let base = base.map(|base| RecipeId(base.recipe));
    let committed = store(publisher, number, base.as_ref()).await?;
    let record = checkpoint(repository, number, &committed.id);
    publisher.checkpoint(repository, &image, record, Some(detail(number))).await?;
    Ok(committed.stats.pages.shared)
}

/// Stores a layer against a base, if that can still be read.
pub(super) async fn store(
    publisher: &Publisher,
    number: u64,
    base: Option<&RecipeId>,
) -> Result<Committed> {
    let written = match write(publisher, number, base).await {
        Err(PageStoreError::Damaged(_) | PageStoreError::NotFound(_)) if base.is_some() => {
            write(publisher, number, None).await
        }
        written => written,
    };
    let (writer, bytes) = written.map_err(store_error)?;
    writer.commit(layer_digest(number).as_ref(), bytes).await.map_err(store_error)
}

async fn write(
    publisher: &Publisher,
    number: u64,
    base: Option<&RecipeId>,
) -> std::result::Result<(LayerWriter, u64), PageStoreError> {
    let pages = content(number);
    let bytes = pages.len() as u64;
    let runs = vec![AddressRun { address: 0x1000, pages: bytes / PAGE as u64 }];
    let space = Space { pid: 1, command: "c".into(), shmem: None, runs };
    let mut writer = publisher.pages.writer("d", base, vec![space]).await?;
    let part = Part { offset: 0, bytes, kind: PartKind::Pages(0) };
    let source: Arc<dyn Source> = Arc::new(pages);
    writer.write(part, &source).await?;
    Ok((writer, bytes))
}

/// Pushes an image of one layer as an OCI client does: it asks whether the layer is there, has it
/// mounted or sends it, and then puts the manifest.
pub(super) async fn push_oci(
    world: &World,
    repository: &str,
    from: Option<&str>,
    number: u64,
) -> Result<()> {
    let (begun, publisher) = (world.tick(), world.publisher());
    let layer = layer_digest(number);
    for _ in 0..TRIES {
        let there = publisher.head(repository, &layer).await?.is_some()
            || match from {
                Some(from) => mount(&publisher, repository, &layer, from).await?,
                None => false,
            };
        let sent = match there {
            true => Ok(()),
            false => put_blob(&publisher, repository, number).await,
        };
        let done = match sent {
            Ok(()) => put_manifest(&publisher, repository, number).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => {
                world.log(repository, number, begun, true);
                return Ok(());
            }
            Err(error) if is_passing(&error) => world.again.set(world.again.get() + 1),
            Err(error) => return Err(error),
        }
    }
    world.gave_up.set(world.gave_up.get() + 1);
    Ok(())
}

async fn mount(
    publisher: &Publisher,
    repository: &str,
    layer: &Digest,
    from: &str,
) -> Result<bool> {
    match publisher.catalog.find_blob(from, layer).await.map_err(catalog_error)? {
        Some(record) => publisher.mount(repository, layer, record).await,
        None => Ok(false),
    }
}

/// Stores a layer that a manifest names in another way, against another base, in the same place, as
/// those do that landed over OCI.
pub(super) async fn store_anew(world: &World, repository: &str, number: u64) -> Result<()> {
    let publisher = world.publisher();
    let found = publisher.catalog.find_manifest(repository, &manifest_digest(number)).await;
    let Some(manifest) = found.map_err(catalog_error)? else { return Ok(()) };
    let layer = layer_digest(number).to_string();
    let Some(BlobLocation::Recipe(id)) = manifest.blobs.get(&layer) else { return Ok(()) };
    let base =
        publisher.catalog.newest_of_lineage(&lineage(number)).await.map_err(catalog_error)?;
    let base = base.map(|base| RecipeId(base.recipe)).filter(|base| base.0 != *id);
    let anew = async {
        let (writer, bytes) = write(&publisher, number, base.as_ref()).await?;
        writer.replacing(&RecipeId(id.clone())).await?.commit(&layer, bytes).await
    };
    // Whatever goes wrong, the layer stays as it is.
    match anew.await {
        Ok(_) => world.anew.set(world.anew.get() + 1),
        Err(PageStoreError::Store(error)) => return Err(store_error(error.into())),
        Err(_) => {}
    }
    Ok(())
}

async fn put_blob(publisher: &Publisher, repository: &str, number: u64) -> Result<()> {
    let committed = store(publisher, number, None).await?;
    let (digest, location) = (layer_digest(number), BlobLocation::Recipe(committed.id.0));
    publisher.promise(repository, &digest).await;
    let bytes = content(number).len() as u64;
    publisher.blob(repository, &digest, BlobRecord { bytes, location }).await?;
    Ok(())
}

async fn put_manifest(publisher: &Publisher, repository: &str, number: u64) -> Result<()> {
    let layer = layer_digest(number);
    let found = publisher.catalog.find_blob(repository, &layer).await.map_err(catalog_error)?;
    let gone = || RegistryError::new(Kind::ReferenceUnknown, "no such blob");
    let blobs = Blobs::from([(layer.clone(), found.ok_or_else(gone)?)]);
    let manifest = NewManifest {
        digest: manifest_digest(number),
        media_type: OCI_MANIFEST.to_owned(),
        bytes: b"oci".to_vec(),
        subject: None,
        artifact_type: None,
        annotations: BTreeMap::new(),
        references: vec![layer],
        blobs: BTreeMap::new(),
        checkpoint: None,
        detail: None,
    };
    publisher.manifest(repository, manifest, blobs).await?;
    Ok(())
}

/// Deletes a manifest.
pub(super) async fn delete(world: &World, repository: &str, number: u64) -> Result<()> {
    let begun = world.tick();
    let removed = world.catalog().delete_manifest(repository, &manifest_digest(number)).await;
    if removed.map_err(catalog_error)? {
        world.log(repository, number, begun, false);
    }
    Ok(())
}

/// Sets a tag to a manifest; nothing if that is not there.
pub(super) async fn tag(world: &World, repository: &str, tag: &str, number: u64) -> Result<()> {
    let (catalog, digest) = (world.catalog(), manifest_digest(number));
    match catalog.find_manifest(repository, &digest).await.map_err(catalog_error)? {
        Some(_) => catalog.put_tag(repository, tag, &digest).await.map_err(catalog_error),
        None => Ok(()),
    }
}

/// Deletes a tag.
pub(super) async fn untag(world: &World, repository: &str, tag: &str) -> Result<()> {
    world.catalog().delete_tag(repository, tag).await.map(drop).map_err(catalog_error)
}

/// Deletes a blob by itself, which no client should do to one that a manifest names.
pub(super) async fn delete_blob(world: &World, repository: &str, number: u64) -> Result<()> {
    let digest = layer_digest(number);
    world.deleted_blobs.borrow_mut().insert((repository.to_owned(), digest.to_string()));
    world.catalog().delete_blob(repository, &digest).await.map_err(catalog_error)?;
    world.catalog().end_promises(repository, &digest).await.map_err(catalog_error)
}

/// Collects so many times; what fails because others were faster is no matter.
pub(super) async fn collect(world: &World, mut draw: Draw, times: u64, alone: bool) {
    let collector = world.collector();
    for _ in 0..times {
        let settings = CollectSettings {
            dry_run: draw.one_in(8),
            grace_seconds: if alone { 3600 } else { [0, 0, 60, 3600][draw.below(4) as usize] },
            alone_since: None,
            // Whatever is buried is worth it.
            rebase_gain: 0,
        };
        let watch = Arc::new(Watch::default());
        if draw.one_in(16) {
            watch.cancel();
        }
        match collector.run(settings, &watch).await {
            Ok(outcome) if !settings.dry_run => {
                upkeep(world, &collector, &outcome.pages.rebases, &watch).await;
            }
            Ok(_) => {}
            Err(error) => assert!(error.to_string().contains("ended early"), "{error}"),
        }
    }
}

/// Writes anew what a collection found worth it.
pub(super) async fn upkeep(
    world: &World,
    collector: &Collector,
    rebases: &[Rebase],
    watch: &Arc<Watch>,
) {
    let done = collector.upkeep(rebases, &Vain::default(), watch, false).await;
    world.rewritten.set(world.rewritten.get() + done.rebased.number + done.repacked.number);
}

/// What a client that is told so tries again.
fn is_passing(error: &RegistryError) -> bool {
    matches!(
        error.kind(),
        Kind::Collected | Kind::ReferenceUnknown | Kind::Damaged | Kind::Conflict
    )
}

fn image(number: u64) -> Image {
    Image {
        manifest: b"native".to_vec(),
        manifest_digest: manifest_digest(number),
        config: b"{}".to_vec(),
        config_digest: config_digest(),
    }
}

fn checkpoint(repository: &str, number: u64, recipe: &RecipeId) -> CheckpointRecord {
    let digest = manifest_digest(number);
    let time = Timestamp::from_second(1_800_000_000 + i64::try_from(number).unwrap()).unwrap();
    let summary = Checkpoint {
        reference: Reference::digest(repository, digest.clone()),
        digest,
        layer_digest: layer_digest(number),
        namespace: "n".into(),
        pod: "p".into(),
        container: "c".into(),
        pod_uid: None,
        workload: None,
        node: None,
        engine: "containerd".into(),
        runtime: "runc".into(),
        image: "i".into(),
        image_digest: None,
        architecture: "amd64".into(),
        created_at: time,
        pushed_at: time,
        logical_bytes: content(number).len() as u64,
        stored_bytes: 1,
        base: None,
        pages: None,
        origin: Origin::Push,
        pinned: false,
        labels: BTreeMap::new(),
    };
    let recipe = Some(recipe.0.clone());
    CheckpointRecord { summary, pin: None, recipe, compressed: false, lineage: lineage(number) }
}

/// What is known in detail of a checkpoint.
pub(super) fn detail(number: u64) -> Bytes {
    Bytes::from(format!("all of {number}"))
}
