//! What a sender says ahead of the bytes. Trusted for nothing but the choice of a base.

use std::collections::BTreeMap;

use base64::Engine as _;
use pagevault_api::upload::Hint;
use pagevault_archive::{ArchiveError, Checkpoint, Collector, Limits, Member, MemberKind};

use super::{Plan, domain, lineage, scan};
use crate::folder::Folder;

/// The plan that the hint of an upload leads to; nothing if it cannot be read, which costs time, not
/// correctness. Blocks. The hint itself is large, and not kept in memory.
pub(super) fn plan(folder: &Folder, workload: Option<&str>) -> Option<Plan> {
    let mut checkpoint = read(decode(folder.hint()?)?).ok()?;
    let (spaces, _) = scan::spaces(&checkpoint.take_images());
    let identity = &checkpoint.identity;
    Some(Plan { domain: domain(identity), lineage: lineage(identity, workload), spaces })
}

/// What the archive's reader would find, from the members alone.
fn read(members: BTreeMap<String, Vec<u8>>) -> Result<Checkpoint, ArchiveError> {
    let mut collector = Collector::new(Limits::default());
    for (path, bytes) in members {
        let member = Member {
            path,
            kind: MemberKind::File,
            size: bytes.len() as u64,
            header_offset: 0,
            data_offset: 0,
            mode: 0,
            mtime: 0,
        };
        if collector.observe(&member)? {
            collector.keep(&member.path, bytes);
        }
    }
    collector.finish(0)
}

fn decode(hint: Hint) -> Option<BTreeMap<String, Vec<u8>>> {
    let decode = |(path, text): (String, String)| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        Some((path, bytes))
    };
    hint.members.into_iter().map(decode).collect()
}
