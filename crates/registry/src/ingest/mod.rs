//! A checkpoint tar becomes stored pages: read, matched with its base, compared, checked.
//!
//! The tar is read from its spool while it arrives. Whose pages it holds is known at once where
//! the sender gave a hint, else when the archive's end has been read.

mod finish;
mod hint;
mod image;
mod scan;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use pagevault_api::Digest;
use pagevault_api::stats::StageMicros;
use pagevault_archive::{Checkpoint, Identity, Member, MemberKind};
use pagevault_catalog::Catalog;
use pagevault_criu::Report;
use pagevault_pagestore::{LayerWriter, PageStore, Part, PartKind, RecipeId, Source, Space};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::background::Background;
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::folder::Folder;
use crate::growing::Growing;
use crate::landed::Read;
use crate::{Result, blocking, catalog_error, store_error};

pub(crate) use finish::{Finish, ingest_stats};
pub(crate) use task::{Early, IngestTask, Turns};

/// Bytes from which on a member is looked for by its content. Smaller ones, with the headers around
/// them, are hardly worth an extent of their own.
const LARGE: u64 = 256 << 10;

/// A checkpoint whose bytes are written, but not yet committed.
#[derive(Debug)]
pub(crate) struct Ingested {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) report: Report,
    pub(crate) warnings: Vec<String>,
    pub(crate) writer: LayerWriter,
    /// Manifest digest of the checkpoint that it is compared with.
    pub(crate) base: Option<Digest>,
    pub(crate) lineage: String,
    pub(crate) micros: StageMicros,
}

/// What decides how pages are stored: whose they are, and what they are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    domain: String,
    lineage: String,
    spaces: BTreeMap<String, Space>,
}

/// The checkpoint that a new one is compared with.
#[derive(Debug, Clone)]
struct BaseChoice {
    manifest: Digest,
    recipe: RecipeId,
}

/// Namespace within which stored pages may be compared and shared.
pub(crate) fn domain(identity: &Identity) -> String {
    identity.namespace.clone().unwrap_or_else(|| identity.engine.to_string())
}

/// What successive checkpoints of one container have in common.
pub(crate) fn lineage(identity: &Identity, workload: Option<&str>) -> String {
    let pod = workload.or(identity.pod.as_deref()).unwrap_or_default();
    let parts = [&domain(identity), pod, &identity.container_name, &identity.image_name];
    // A line break is in none of them: the archive's reader has checked what is in the archive, and
    // `PushOptions::check` what the sender says.
    parts.join("\n")
}

/// What an ingest needs of the registry.
#[derive(Debug, Clone)]
pub(crate) struct Ingest {
    pub(crate) pages: PageStore,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) turns: Turns,
    pub(crate) background: Background,
    pub(crate) basis: Basis,
}

/// What a checkpoint is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The newest checkpoint of its lineage.
    Newest,
    /// Nothing: it stands by itself.
    None,
}

impl Ingest {
    /// Reads a tar from its spool, with the hint of its sender if it is in that folder.
    async fn run(
        self,
        growing: Arc<Growing>,
        workload: Option<String>,
        hint: Option<Folder>,
    ) -> Result<Ingested> {
        let begun = Instant::now();
        let (sender, members) = unbounded_channel();
        let followed = Arc::clone(&growing);
        let scan = on_thread(move || {
            let checkpoint = scan::scan(Arc::clone(&followed), &sender);
            if checkpoint.is_err() {
                // Nobody need wait for the rest of what cannot be let in.
                followed.abort();
            }
            checkpoint
        })?;
        let hinted = match hint {
            Some(folder) => {
                let workload = workload.clone();
                blocking(move || Ok(hint::plan(&folder, workload.as_deref()))).await?
            }
            None => None,
        };
        let early = match hinted {
            Some(plan) => Some((self.store(&plan, None, members, &growing).await, plan)),
            None => None,
        };
        let scanned = scan.instrument(tracing::info_span!("parse"));
        let understood = match scanned.await.unwrap_or_else(|_| Err(scan::interrupted())) {
            Ok(checkpoint) => blocking(move || understand(checkpoint, workload.as_deref())).await,
            Err(error) => Err(error),
        };
        let (plan, report, warnings, checkpoint) = match understood {
            Ok(understood) => understood,
            Err(error) => {
                give_up(early.map(|(stored, _)| stored)).await;
                return Err(error);
            }
        };
        let parsed = begun.elapsed();
        let stored = match early {
            // The hint may choose what pages are compared with, never who the checkpoint is.
            Some((stored, hinted)) if hinted == plan => stored,
            early => {
                give_up(early.map(|(stored, _)| stored)).await;
                self.again(&plan, &checkpoint, &growing).await
            }
        };
        let stored = match stored {
            Ok(stored) if stored.writer.fits() => stored,
            // What is under it has become too much, or cannot be read.
            Ok(_) => self.afresh(&plan, &checkpoint, &growing, stored).await?,
            Err(ref error) if error.kind() == Kind::Damaged => {
                tracing::error!(%error, "a checkpoint is stored without its base");
                self.afresh(&plan, &checkpoint, &growing, stored).await?
            }
            Err(error) => return Err(error),
        };
        let micros = StageMicros {
            parse: micros(parsed),
            encode: micros(begun.elapsed()),
            ..StageMicros::default()
        };
        Ok(Ingested {
            checkpoint,
            report,
            warnings,
            writer: stored.writer,
            base: stored.base.map(|base| base.manifest),
            lineage: plan.lineage,
            micros,
        })
    }

    /// Stores a tar whose members are all known.
    async fn again(
        &self,
        plan: &Plan,
        checkpoint: &Checkpoint,
        growing: &Arc<Growing>,
    ) -> Result<Stored> {
        let members = replay(&checkpoint.members);
        self.store(plan, Some(checkpoint.total_bytes), members, growing).await
    }

    /// Stores a tar once more, without a base; what could be read of that is still good for chunks.
    async fn afresh(
        &self,
        plan: &Plan,
        checkpoint: &Checkpoint,
        growing: &Arc<Growing>,
        stored: Result<Stored>,
    ) -> Result<Stored> {
        let earlier = stored.as_ref().ok().and_then(|stored| stored.base.clone());
        give_up(Some(stored)).await;
        let against = earlier.map_or(Against::Nothing, Against::ChunksOf);
        let members = replay(&checkpoint.members);
        self.store_against(plan, against, Some(checkpoint.total_bytes), members, growing).await
    }

    async fn store(
        &self,
        plan: &Plan,
        bytes: Option<u64>,
        members: UnboundedReceiver<Member>,
        growing: &Arc<Growing>,
    ) -> Result<Stored> {
        let newest = match self.basis {
            Basis::Newest => self.catalog.newest_of_lineage(&plan.lineage).await,
            Basis::None => Ok(None),
        };
        let newest = newest.map_err(catalog_error)?.map(|found| {
            Against::Base(BaseChoice { manifest: found.digest, recipe: RecipeId(found.recipe) })
        });
        let against = newest.unwrap_or(Against::Nothing);
        self.store_against(plan, against, bytes, members, growing).await
    }

    /// Stores members as they become known: pages by their addresses, large ones by their content, what
    /// lies between as it is.
    #[tracing::instrument(name = "encode", skip_all, fields(delta = matches!(against, Against::Base(_))))]
    async fn store_against(
        &self,
        plan: &Plan,
        against: Against,
        bytes: Option<u64>,
        members: UnboundedReceiver<Member>,
        growing: &Arc<Growing>,
    ) -> Result<Stored> {
        let (names, spaces): (Vec<_>, Vec<_>) = plan.spaces.clone().into_iter().unzip();
        let (pages, domain) = (&self.pages, &plan.domain);
        let (opened, base) = match against {
            Against::Nothing => (pages.writer(domain, None, spaces).await, None),
            Against::Base(base) => {
                (pages.writer(domain, Some(&base.recipe), spaces).await, Some(base))
            }
            Against::ChunksOf(earlier) => {
                (pages.keyframe_writer(domain, &earlier.recipe, spaces).await, None)
            }
        };
        let mut writer = opened.map_err(store_error)?;
        match fill(&mut writer, &names, members, growing, bytes).await {
            Ok(()) => Ok(Stored { writer, base }),
            Err(error) => {
                give_up(Some(Ok(Stored { writer, base: None }))).await;
                Err(error)
            }
        }
    }
}

/// Writes members as they become known.
async fn fill(
    writer: &mut LayerWriter,
    names: &[String],
    mut members: UnboundedReceiver<Member>,
    growing: &Arc<Growing>,
    bytes: Option<u64>,
) -> Result<()> {
    let source: Arc<dyn Source> = Arc::clone(growing) as _;
    let mut offset = 0;
    while let Some(member) = members.recv().await {
        let space = names.iter().position(|name| *name == member.path);
        let kind = match space.filter(|_| member.size > 0) {
            Some(space) => PartKind::Pages(space),
            None if member.kind == MemberKind::File && member.size >= LARGE => PartKind::Member,
            None => continue,
        };
        let between = Part { offset, bytes: member.data_offset - offset, kind: PartKind::Bytes };
        writer.write(between, &source).await.map_err(store_error)?;
        let part = Part { offset: member.data_offset, bytes: member.size, kind };
        writer.write(part, &source).await.map_err(store_error)?;
        offset = member.data_offset + member.size;
    }
    let end = match bytes {
        Some(bytes) => bytes,
        None => growing.reached(u64::MAX).await.map_err(|_| scan::interrupted())?,
    };
    let rest = Part { offset, bytes: end.saturating_sub(offset), kind: PartKind::Bytes };
    writer.write(rest, &source).await.map_err(store_error)
}

async fn give_up(stored: Option<Result<Stored>>) {
    if let Some(Ok(stored)) = stored {
        abandon(stored.writer).await;
    }
}

/// Removes what an ingest that leads to nothing has written. What cannot be removed now is pending,
/// and collection removes it.
async fn abandon(writer: LayerWriter) {
    if let Err(error) = writer.abandon().await {
        tracing::warn!(%error, "an unfinished recipe stays until it is collected");
    }
}

/// A tar whose bytes are written.
struct Stored {
    writer: LayerWriter,
    base: Option<BaseChoice>,
}

/// What a tar is stored against.
enum Against {
    Nothing,
    /// Pages and chunks of a checkpoint.
    Base(BaseChoice),
    /// Only chunks of it: as a keyframe.
    ChunksOf(BaseChoice),
}

/// Runs work that waits for a sender on a thread of its own: in the pool, waiting readers could take
/// all the threads that writing needs.
fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<oneshot::Receiver<Result<T>>> {
    let (sender, receiver) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("scan".to_owned()).spawn(move || {
        let _ = sender.send(work());
    });
    spawned.map_err(|e| RegistryError::new(Kind::Unavailable, format!("no thread: {e}")))?;
    Ok(receiver)
}

/// Reads an archive that is stored, for what is in it. Blocks.
pub(crate) fn read_again(file: Growing) -> Result<Read> {
    let (members, _) = unbounded_channel();
    let archive = scan::scan(Arc::new(file), &members)?;
    let (plan, report, warnings, archive) = understand(archive, None)?;
    Ok(Read { archive, report, warnings, lineage: plan.lineage })
}

/// What the archive says, and how its pages are to be stored.
fn understand(
    mut checkpoint: Checkpoint,
    workload: Option<&str>,
) -> Result<(Plan, Report, Vec<String>, Checkpoint)> {
    let images = checkpoint.take_images();
    scan::check_pages(&images, &checkpoint.members)?;
    let (spaces, mut warnings) = scan::spaces(&images);
    let report = pagevault_criu::inspect(&images);
    warnings.extend(report.warnings.iter().cloned());
    let identity = &checkpoint.identity;
    let plan = Plan { domain: domain(identity), lineage: lineage(identity, workload), spaces };
    Ok((plan, report, warnings, checkpoint))
}

fn replay(members: &[Member]) -> UnboundedReceiver<Member> {
    let (sender, receiver) = unbounded_channel();
    for member in members {
        let _ = sender.send(member.clone());
    }
    receiver
}

pub(crate) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
