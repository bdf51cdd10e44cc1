//! Picks the small members out of the stream that say what the archive is.

use std::collections::{BTreeMap, HashSet};

use crate::changes::Changes;
use crate::checkpoint::Checkpoint;
use crate::error::{ArchiveError, shown};
use crate::limits::Limits;
use crate::rootfs::InnerSummary;
use crate::scan::{Member, MemberKind};
use crate::validate;

/// What makes a folder of images a checkpoint.
pub(crate) const INVENTORY: &str = "checkpoint/inventory.img";

/// Members that are parsed here; without them the archive cannot be judged, so too large ones are errors.
const METADATA: [&str; 8] = [
    INVENTORY,
    "config.dump",
    "spec.dump",
    "status.dump",
    "status",
    "network.status",
    "bind.mounts",
    "deleted.files",
];

/// Is shown every member in order, keeps the bytes of those that it wants, and makes a [`Checkpoint`] of them.
#[derive(Debug)]
pub struct Collector {
    limits: Limits,
    members: Vec<Member>,
    kept: BTreeMap<String, Vec<u8>>,
    /// Bytes wanted so far, of metadata and of CRIU images.
    metadata_bytes: u64,
    image_bytes: u64,
    rootfs_links: HashSet<Vec<u8>>,
    rootfs: Changes,
}

impl Collector {
    /// Begins with nothing.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let (members, kept) = (Vec::new(), BTreeMap::new());
        let (rootfs_links, rootfs) = (HashSet::new(), Changes::default());
        Self { limits, members, kept, metadata_bytes: 0, image_bytes: 0, rootfs_links, rootfs }
    }

    /// Takes note of the next member. True if its bytes are wanted: read them and give them to [`Collector::keep`].
    pub fn observe(&mut self, member: &Member) -> Result<bool, ArchiveError> {
        check_shape(&member.path)?;
        self.members.push(member.clone());
        if member.kind == MemberKind::Directory {
            return Ok(false);
        }
        if METADATA.contains(&member.path.as_str()) {
            let max = self.limits.max_metadata_bytes;
            self.metadata_bytes = self.metadata_bytes.saturating_add(member.size);
            return match self.metadata_bytes <= max {
                true => Ok(true),
                false => {
                    let name = shown(member.path.as_bytes());
                    Err(ArchiveError::MemberTooLarge { name, max })
                }
            };
        }
        Ok(self.wants_image(member))
    }

    /// What does not fit is not kept: whoever reads the images then treats them as opaque.
    fn wants_image(&mut self, member: &Member) -> bool {
        let Some(max) = self.image_max(&member.path) else { return false };
        let all = self.image_bytes.saturating_add(member.size);
        let wanted = member.size <= max && all <= self.limits.max_kept_bytes;
        if wanted {
            self.image_bytes = all;
        }
        wanted
    }

    fn image_max(&self, path: &str) -> Option<u64> {
        if matches!(path, "stats-dump" | "dump.log") {
            return Some(self.limits.max_image_bytes);
        }
        let image = path.strip_prefix("checkpoint/")?;
        match image {
            _ if is_pages(path) || image.ends_with(".tar.gz.img") => None,
            _ if image.starts_with("pagemap-") => Some(self.limits.max_pagemap_bytes),
            _ => Some(self.limits.max_image_bytes),
        }
    }

    /// The bytes of a member that was wanted. Others are dropped.
    pub fn keep(&mut self, path: &str, bytes: Vec<u8>) {
        // Only what was counted against the limits: the member seen last, in its own size.
        let expected = self.members.last().filter(|member| member.path == path);
        if expected.is_some_and(|member| u64::try_from(bytes.len()) == Ok(member.size)) {
            self.kept.insert(path.to_owned(), bytes);
        }
    }

    /// What a tar inside the tar holds.
    pub(crate) fn observe_inner(&mut self, path: &str, inner: InnerSummary) {
        if path == "rootfs-diff.tar" {
            self.rootfs_links = inner.links;
            self.rootfs = inner.changes;
        }
    }

    /// Parses and checks what was kept. `total_bytes` is the length of the whole tar.
    pub fn finish(self, total_bytes: u64) -> Result<Checkpoint, ArchiveError> {
        let mut checkpoint = Checkpoint::new(self.members, self.kept, total_bytes)?;
        checkpoint.rootfs = self.rootfs;
        validate::check_deleted_files(&checkpoint.deleted_files, &self.rootfs_links)?;
        Ok(checkpoint)
    }
}

/// Memory contents, `checkpoint/pages-<id>.img`.
pub(crate) fn is_pages(path: &str) -> bool {
    let id = path.strip_prefix("checkpoint/pages-").and_then(|rest| rest.strip_suffix(".img"));
    id.is_some_and(|id| !id.contains('/'))
}

/// Archives that cannot be restored on their own, by the members that only they have.
fn check_shape(path: &str) -> Result<(), ArchiveError> {
    let name = || shown(path.as_bytes());
    match path {
        "pre-checkpoint" | "checkpoint/parent" | "parent" => {
            Err(ArchiveError::Incremental { name: name() })
        }
        _ if path.starts_with("pre-checkpoint/") => Err(ArchiveError::Incremental { name: name() }),
        "checkpoint/cipher.img" => Err(ArchiveError::Encrypted { name: name() }),
        "pod.dump" | "pod.options" => Err(ArchiveError::WholePod { name: name() }),
        _ => Ok(()),
    }
}
