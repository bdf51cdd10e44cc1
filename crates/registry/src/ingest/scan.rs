//! Reading the archive as it arrives: entries are checked, what tells about the checkpoint is kept,
//! and each member is reported so that its bytes can be stored meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use pagevault_archive::{Checkpoint, IMAGES, Limits, Member, read_plain};
use pagevault_pagestore::{AddressRun, Space};
use tokio::sync::mpsc::UnboundedSender;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::growing::{Follow, Growing};
use crate::{Result, archive_error};

/// How far ahead of this server's clock a node's may be, in seconds. The newest checkpoint is what `latest` names and
/// what the next one is compared with: one of the far future would be both for ever.
const AHEAD_MAX: i64 = 24 * 60 * 60;

/// Reads a tar to its end. Blocks while bytes are awaited.
pub(crate) fn scan(growing: Arc<Growing>, members: &UnboundedSender<Member>) -> Result<Checkpoint> {
    let tell = |member: &Member| {
        // A receiver that went away has its own error to tell.
        let _ = members.send(member.clone());
    };
    let checkpoint =
        read_plain(Follow::new(growing), &Limits::default(), tell).map_err(archive_error)?;
    check_time(checkpoint.identity.checkpointed_at, Timestamp::now())?;
    Ok(checkpoint)
}

fn check_time(checkpointed_at: Timestamp, now: Timestamp) -> Result<()> {
    if checkpointed_at.as_second().saturating_sub(now.as_second()) <= AHEAD_MAX {
        return Ok(());
    }
    let message = format!(
        "the checkpoint says that it was taken at {checkpointed_at}, more than a day ahead of this \
         server, where it is {now}; set the clock of the node, or of the server"
    );
    Err(RegistryError::new(Kind::Archive, message))
}

/// Refuses a checkpoint of which pages are missing: no restore could go on with it.
pub(crate) fn check_pages(images: &BTreeMap<String, Vec<u8>>, members: &[Member]) -> Result<()> {
    let sizes = members.iter().map(|member| (member.path.as_str(), member.size));
    let sizes = sizes.collect::<HashMap<_, _>>();
    let bytes = |image: &str| sizes.get(format!("{IMAGES}{image}").as_str()).copied().unwrap_or(0);
    pagevault_criu::check_pages(images, bytes)
        .map_err(|e| RegistryError::new(Kind::Archive, format!("not a restorable checkpoint: {e}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_a_day_ahead_and_no_more() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for (ahead, fine) in
            [(i64::from(i32::MIN), true), (AHEAD_MAX, true), (AHEAD_MAX + 1, false)]
        {
            let time = Timestamp::from_second(now.as_second() + ahead).unwrap();
            assert_eq!(check_time(time, now).is_ok(), fine, "{ahead}");
        }
    }
}
