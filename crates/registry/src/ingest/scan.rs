//! Reading the archive as it arrives: entries are checked, what tells about the checkpoint is kept,
//! and each member is reported so that its bytes can be stored meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use pagevault_archive::{Checkpoint, Collector, Limits, Member, Scanner, check_rootfs_diff};
use pagevault_pagestore::{AddressRun, Space};
use tokio::sync::mpsc::UnboundedSender;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::growing::{Follow, Growing};
use crate::{Result, archive_error};

/// Folder of the process images in an archive.
pub(crate) const IMAGES: &str = "checkpoint/";
/// The changed files of the container.
const ROOTFS_DIFF: &str = "rootfs-diff.tar";

/// An archive that was read to its end.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) checkpoint: Checkpoint,
    /// Bytes of the tar.
    pub(crate) bytes: u64,
}

/// Reads a tar to its end. Blocks while bytes are awaited.
pub(crate) fn scan(growing: Arc<Growing>, members: &UnboundedSender<Member>) -> Result<Scanned> {
    let limits = Limits::default();
    let mut scanner = Scanner::new(Follow::new(growing), limits.clone());
    let mut collector = Collector::new(limits.clone());
    while let Some(member) = scanner.next_member().map_err(archive_error)? {
        if collector.wants(&member) {
            let bytes = scanner.read_member(limits.max_metadata_bytes).map_err(archive_error)?;
            collector.keep(&member.path, bytes).map_err(archive_error)?;
        } else if member.path == ROOTFS_DIFF {
            check_rootfs_diff(&mut scanner, &limits).map_err(archive_error)?;
        }
        // A receiver that went away has its own error to tell.
        let _ = members.send(member.clone());
        collector.member(member);
    }
    let bytes = scanner.finish().map_err(archive_error)?;
    let checkpoint = collector.finish().map_err(archive_error)?;
    Ok(Scanned { checkpoint, bytes })
}

/// The CRIU images among kept members, by their name in the images' folder.
pub(crate) fn images(kept: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let image = |(path, bytes): (&String, &Vec<u8>)| {
        Some((path.strip_prefix(IMAGES)?.to_owned(), bytes.clone()))
    };
    kept.iter().filter_map(image).collect()
}

/// The memories of an archive, by the path of the pages file that holds each.
pub(crate) fn spaces(images: &BTreeMap<String, Vec<u8>>) -> (BTreeMap<String, Space>, Vec<String>) {
    let (found, warnings) = pagevault_criu::page_spaces(images);
    let commands = pagevault_criu::command_paths(images);
    let mut spaces = BTreeMap::new();
    for space in found {
        let (pid, shmem) = match space.owner {
            pagevault_criu::Owner::Process { pid } => (pid, None),
            pagevault_criu::Owner::Shmem { id } => (0, Some(id)),
        };
        let run = |run: &pagevault_criu::Run| AddressRun { address: run.vaddr, pages: run.pages };
        let space_of = Space {
            pid,
            shmem,
            command: commands.get(&pid).cloned().unwrap_or_default(),
            runs: space.runs.iter().map(run).collect(),
        };
        spaces.insert(format!("{IMAGES}pages-{}.img", space.pages_id), space_of);
    }
    (spaces, warnings)
}

/// An ingest that was cut short.
pub(crate) fn interrupted() -> RegistryError {
    RegistryError::new(Kind::BodyBroken, "the upload was interrupted; go on where it stopped")
}
