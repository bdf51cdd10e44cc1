//! A checkpoint archive that was read, judged and found good.

use std::collections::BTreeMap;

use crate::changes::Changes;
use crate::collect::{INVENTORY, is_pages};
use crate::error::ArchiveError;
use crate::identity::{Identity, Sources};
use crate::metadata::{BindMount, ConfigDump, SpecDump, StatusDump};
use crate::scan::Member;
use crate::validate;

/// Folder of CRIU's images in an archive.
pub const IMAGES: &str = "checkpoint/";

/// What an archive holds, without its bulk.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Whose checkpoint it is.
    pub identity: Identity,
    /// All members, in order.
    pub members: Vec<Member>,
    /// Bytes of the small ones by path: metadata, and the CRIU images except memory contents.
    pub kept: BTreeMap<String, Vec<u8>>,
    /// `config.dump`.
    pub config: ConfigDump,
    /// `spec.dump`.
    pub spec: SpecDump,
    /// `status.dump`, which only containerd writes.
    pub status: Option<StatusDump>,
    /// `bind.mounts`, which only CRI-O writes.
    pub bind_mounts: Vec<BindMount>,
    /// `deleted.files` of CRI-O and podman: paths of the image that the container deleted.
    pub deleted_files: Vec<String>,
    /// What `rootfs-diff.tar` changes.
    pub rootfs: Changes,
    /// Bytes of the whole uncompressed tar.
    pub total_bytes: u64,
    /// Bytes of all `checkpoint/pages-*.img` together.
    pub pages_bytes: u64,
}

impl Checkpoint {
    pub(crate) fn new(
        members: Vec<Member>,
        kept: BTreeMap<String, Vec<u8>>,
        total_bytes: u64,
    ) -> Result<Self, ArchiveError> {
        let missing = |what| ArchiveError::Missing { what };
        let get = |path| kept.get(path).map(Vec::as_slice);
        validate::check_inventory(get(INVENTORY).ok_or(missing(INVENTORY))?)?;
        let config = ConfigDump::parse(get("config.dump").ok_or(missing("config.dump"))?)?;
        let spec = SpecDump::parse(get("spec.dump").ok_or(missing("spec.dump"))?)?;
        let status = get("status.dump").map(StatusDump::parse).transpose()?;
        let binds = get("bind.mounts").map(BindMount::parse_list).transpose()?;
        let deleted = get("deleted.files").map(validate::parse_deleted_files).transpose()?;
        let bind_mounts = binds.unwrap_or_default();
        validate::check_devices(&spec, status.as_ref())?;
        validate::check_hooks(&spec)?;
        validate::check_bind_mounts(&bind_mounts, &spec)?;
        let identity = Identity::find(&Sources {
            config: &config,
            spec: &spec,
            status: status.as_ref(),
            newest_image: newest_image(&members),
        })?;
        Ok(Self {
            identity,
            pages_bytes: pages_bytes(&members),
            deleted_files: deleted.unwrap_or_default(),
            rootfs: Changes::default(),
            members,
            kept,
            config,
            spec,
            status,
            bind_mounts,
            total_bytes,
        })
    }
}

impl Checkpoint {
    /// Takes CRIU's images out of what was kept, by their names in their folder. They can be many megabytes and are
    /// read once, so nothing is copied and nothing stays.
    pub fn take_images(&mut self) -> BTreeMap<String, Vec<u8>> {
        let kept = std::mem::take(&mut self.kept);
        let (images, others) = kept.into_iter().partition(|(path, _)| path.starts_with(IMAGES));
        self.kept = others;
        let images: BTreeMap<String, Vec<u8>> = images;
        let named = images
            .into_iter()
            .filter_map(|(path, bytes)| Some((path.strip_prefix(IMAGES)?.to_owned(), bytes)));
        named.collect()
    }
}

fn newest_image(members: &[Member]) -> u64 {
    let images = members.iter().filter(|member| member.path.starts_with(IMAGES));
    images.map(|member| member.mtime).max().unwrap_or(0)
}

fn pages_bytes(members: &[Member]) -> u64 {
    let pages = members.iter().filter(|member| is_pages(&member.path));
    pages.fold(0, |sum, member| sum.saturating_add(member.size))
}
