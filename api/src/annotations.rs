//! Annotation keys of a checkpoint image's manifest.
//!
//! Each runtime looks for a family of its own: CRI-O and podman for one key of theirs, containerd
//! and checkpointctl for `org.criu.checkpoint.*` (checkpointctl, `lib/annotations.go`).

/// CRI-O: its presence, with any value, makes an image a checkpoint image.
pub const CRIO_NAME: &str = "io.kubernetes.cri-o.annotations.checkpoint.name";

/// Keys that containerd 2.1–2.3 and checkpointctl read.
pub mod criu {
    /// containerd: its presence makes an image a checkpoint image.
    pub const CONTAINER_NAME: &str = "org.criu.checkpoint.container.name";
    /// Engine that wrote the archive: `containerd`, `CRI-O` or `libpod`.
    pub const ENGINE_NAME: &str = "org.criu.checkpoint.engine.name";
    /// Name of the pod.
    pub const POD_NAME: &str = "org.criu.checkpoint.pod.name";
    /// Identifier of the pod sandbox.
    pub const POD_ID: &str = "org.criu.checkpoint.pod.id";
    /// Kubernetes namespace of the pod.
    pub const POD_NAMESPACE: &str = "org.criu.checkpoint.pod.namespace";
    /// Kubernetes uid of the pod.
    pub const POD_UID: &str = "org.criu.checkpoint.pod.uid";
    /// Name of the image that the container was made from.
    pub const ROOTFS_IMAGE_NAME: &str = "org.criu.checkpoint.rootfsImageName";
    /// The same, as the user asked for it.
    pub const ROOTFS_IMAGE_USER_REQUESTED: &str = "org.criu.checkpoint.rootfsImageUserRequested";
    /// Digest of that image.
    pub const ROOTFS_IMAGE_SHA: &str = "org.criu.checkpoint.rootfsImageSha";
    /// Identifier of that image on the node.
    pub const ROOTFS_IMAGE_ID: &str = "org.criu.checkpoint.rootfsImageID";
    /// OCI runtime of the container: `runc`, `crun`.
    pub const RUNTIME_NAME: &str = "org.criu.checkpoint.runtime.name";
    /// Name of that image, unprocessed.
    pub const RAW_IMAGE_NAME: &str = "org.criu.checkpoint.rawImageName";
    /// Architecture of the node, as Go names it.
    pub const HOST_ARCH: &str = "org.criu.checkpoint.host.arch";
}

/// Keys that podman 4.1 and later reads.
pub mod podman {
    /// podman: makes an image a checkpoint image.
    pub const NAME: &str = "io.podman.annotations.checkpoint.name";
    /// Image name as the user gave it.
    pub const RAW_IMAGE_NAME: &str = "io.podman.annotations.checkpoint.rawImageName";
    /// Identifier of the container's image.
    pub const ROOTFS_IMAGE_ID: &str = "io.podman.annotations.checkpoint.rootfsImageID";
    /// Name of the container's image.
    pub const ROOTFS_IMAGE_NAME: &str = "io.podman.annotations.checkpoint.rootfsImageName";
    /// Runtime; podman refuses an image without it, and compares it with its own.
    pub const RUNTIME_NAME: &str = "io.podman.annotations.checkpoint.runtime.name";
    /// Architecture of the node, as Go names it.
    pub const HOST_ARCH: &str = "io.podman.annotations.checkpoint.host.arch";
}
