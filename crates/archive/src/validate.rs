//! What a restore must not be given. The tar is served byte for byte, so nothing can be taken out: it is refused.

use std::collections::BTreeSet;

use crate::annotations::{CDI_PREFIX, crio, nested};
use crate::collect::INVENTORY;
use crate::error::{ArchiveError, shown};
use crate::json;
use crate::metadata::{BindMount, SpecDump, StatusDump};
use crate::syntax::is_canonical_path;

/// CRIU's magic of an inventory (`criu/include/magic.h`), which has no common one before it.
const INVENTORY_MAGIC: [u8; 4] = 0x5831_3116_u32.to_le_bytes();

/// Whether the images are CRIU's at all. What they say is for who reads them.
pub(crate) fn check_inventory(bytes: &[u8]) -> Result<(), ArchiveError> {
    if bytes.starts_with(&INVENTORY_MAGIC) {
        return Ok(());
    }
    let reason = "it does not begin as CRIU's inventories do".to_owned();
    Err(ArchiveError::BadMetadata { name: INVENTORY.to_owned(), reason })
}

/// Devices by annotation (CVE-2026-53492): a restore copies annotations from all of these places. And devices by
/// name: an image is restored elsewhere, where the same numbers are other devices.
pub(crate) fn check_devices(
    spec: &SpecDump,
    status: Option<&StatusDump>,
) -> Result<(), ArchiveError> {
    let no_devices = |name, key: &String| match key.starts_with(CDI_PREFIX) {
        true => Err(ArchiveError::CdiAnnotation { name, key: shown(key.as_bytes()) }),
        false => Ok(()),
    };
    let devices = spec.linux.devices.iter().map(|device| &device.path);
    if let Some(path) = devices.chain(spec.linux.net_devices.keys()).next() {
        return Err(ArchiveError::HostDevice { path: shown(path.as_bytes()) });
    }
    spec.annotations.keys().try_for_each(|key| no_devices("spec.dump", key))?;
    for field in [crio::ANNOTATIONS, crio::LABELS] {
        if let Some(text) = spec.annotations.get(field) {
            nested(field, text)?.keys().try_for_each(|key| no_devices("spec.dump", key))?;
        }
    }
    let status = status.map(|status| status.annotations.keys().chain(status.labels.keys()));
    status.into_iter().flatten().try_for_each(|key| no_devices("status.dump", key))
}

/// Hooks run on the host. No engine has them in a container that it was not told to.
pub(crate) fn check_hooks(spec: &SpecDump) -> Result<(), ArchiveError> {
    let used = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
    match spec.hooks.iter().find(|(_, list)| used(list)) {
        Some((stage, _)) => Err(ArchiveError::Hooks { stage: shown(stage.as_bytes()) }),
        None => Ok(()),
    }
}

/// Bind mounts (CVE-2024-8676): CRI-O creates the sources on the host, so they must be those of the container's own mounts.
///
/// Both members come from whoever made the archive, so this proves only that they agree: that CRI-O, which compares the
/// destinations in `spec.dump` with the pod's, judges the same mounts that it makes. Which sources a pod may have is
/// for the node to decide.
pub(crate) fn check_bind_mounts(binds: &[BindMount], spec: &SpecDump) -> Result<(), ArchiveError> {
    let mounts = spec.mounts.iter().map(|mount| (&mount.destination, &mount.source));
    let mounts = mounts.collect::<BTreeSet<_>>();
    let destinations = spec.mounts.iter().map(|mount| &mount.destination);
    let destinations = destinations.collect::<BTreeSet<_>>();
    for BindMount { source, destination, .. } in binds {
        let bad =
            |path: &String, why| Err(ArchiveError::BindMount { path: shown(path.as_bytes()), why });
        for path in [source, destination] {
            if !is_canonical_path(path) {
                return bad(path, "is not an absolute path in its only spelling");
            }
        }
        if !destinations.contains(destination) {
            return bad(destination, "is not among the mounts of spec.dump");
        }
        if !mounts.contains(&(destination, source)) {
            return bad(source, "is not the source of that mount in spec.dump");
        }
    }
    Ok(())
}

/// `deleted.files`: on restore each is removed below the root of the container.
pub(crate) fn parse_deleted_files(bytes: &[u8]) -> Result<Vec<String>, ArchiveError> {
    let list: Option<Vec<String>> = json::parse("deleted.files", bytes, &[])?;
    let list = list.unwrap_or_default();
    for path in &list {
        let bad = |why| ArchiveError::DeletedFile { path: shown(path.as_bytes()), why };
        let inside = path.strip_prefix('/').unwrap_or(path);
        if inside.split('/').all(|part| matches!(part, "" | ".")) {
            return Err(bad("is the root"));
        }
        if inside.split('/').any(|part| part == "..") || inside.contains('\0') {
            return Err(bad("leads out of the container"));
        }
    }
    Ok(list)
}
