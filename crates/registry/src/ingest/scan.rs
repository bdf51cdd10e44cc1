//! Reading the archive as it arrives: entries are checked, what tells about the checkpoint is kept,
//! and each member is reported so that its bytes can be stored meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use pagevault_archive::{Checkpoint, IMAGES, Limits, Member, read_plain};
use pagevault_pagestore::{AddressRun, Space};
use tokio::sync::mpsc::UnboundedSender;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::growing::{Follow, Growing};
use crate::{Result, archive_error};

/// Reads a tar to its end. Blocks while bytes are awaited.
pub(crate) fn scan(growing: Arc<Growing>, members: &UnboundedSender<Member>) -> Result<Checkpoint> {
    let tell = |member: &Member| {
        // A receiver that went away has its own error to tell.
        let _ = members.send(member.clone());
    };
    read_plain(Follow::new(growing), &Limits::default(), tell).map_err(archive_error)
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
