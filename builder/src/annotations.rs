//! The annotations of a checkpoint image: all three families, as each runtime looks for its own.

use std::collections::BTreeMap;

use pagevault_api::annotations::{CRIO_NAME, criu, podman};
use pagevault_archive::Engine;

use crate::ImageSource;

/// All annotations. What the archive does not tell is left out, but for podman's runtime name,
/// without which podman refuses an image.
pub(crate) fn all(source: &ImageSource<'_>) -> BTreeMap<&'static str, String> {
    let id = source.identity;
    let mut map = BTreeMap::new();
    let mut set = |key: &'static str, value: Option<&str>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            map.insert(key, value.to_owned());
        }
    };
    set(CRIO_NAME, Some(&id.container_name));

    set(criu::ENGINE_NAME, Some(engine(id.engine)));
    set(criu::CONTAINER_NAME, Some(&id.container_name));
    set(criu::POD_NAME, id.pod.as_deref());
    set(criu::POD_ID, id.sandbox_id.as_deref());
    set(criu::POD_NAMESPACE, id.namespace.as_deref());
    set(criu::POD_UID, id.pod_uid.as_deref());
    set(criu::ROOTFS_IMAGE_NAME, Some(&id.image_name));
    set(criu::ROOTFS_IMAGE_USER_REQUESTED, Some(&id.image_name));
    set(criu::ROOTFS_IMAGE_SHA, id.image_digest.as_deref());
    set(criu::ROOTFS_IMAGE_ID, Some(&id.image_ref));
    set(criu::RAW_IMAGE_NAME, Some(&id.image_name));
    set(criu::RUNTIME_NAME, Some(&id.runtime));
    set(criu::HOST_ARCH, Some(source.architecture));

    set(podman::NAME, Some(&id.container_name));
    set(podman::RAW_IMAGE_NAME, Some(&id.image_name));
    set(podman::ROOTFS_IMAGE_NAME, Some(&id.image_name));
    set(podman::ROOTFS_IMAGE_ID, Some(&id.image_ref));
    set(podman::RUNTIME_NAME, Some(&id.runtime));
    set(podman::HOST_ARCH, Some(source.architecture));
    map
}

/// Engine names as checkpointctl writes them (`lib/annotations.go`).
fn engine(engine: Engine) -> &'static str {
    match engine {
        Engine::Podman => "libpod",
        Engine::Containerd => "containerd",
        Engine::CriO => "CRI-O",
    }
}
