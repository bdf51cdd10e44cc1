//! Keys in `spec.dump` and `status.dump` that say whose container it is.

/// podman and CRI-O name themselves here; containerd does not.
pub(crate) const MANAGER: &str = "io.container.manager";
/// Prefix of annotations that ask a node for devices.
pub(crate) const CDI_PREFIX: &str = "cdi.k8s.io/";

/// containerd's keys.
pub(crate) mod containerd {
    pub(crate) const CONTAINER: &str = "io.kubernetes.cri.container-name";
    pub(crate) const POD: &str = "io.kubernetes.cri.sandbox-name";
    pub(crate) const NAMESPACE: &str = "io.kubernetes.cri.sandbox-namespace";
    pub(crate) const UID: &str = "io.kubernetes.cri.sandbox-uid";
    pub(crate) const SANDBOX_ID: &str = "io.kubernetes.cri.sandbox-id";
}

/// CRI-O's keys.
pub(crate) mod crio {
    pub(crate) const CONTAINER_ID: &str = "io.kubernetes.cri-o.ContainerID";
    pub(crate) const SANDBOX_ID: &str = "io.kubernetes.cri-o.SandboxID";
    pub(crate) const REPO_DIGESTS: &str = "io.kubernetes.cri-o.ImageRepoDigests";
    /// JSON objects in strings.
    pub(crate) const METADATA: &str = "io.kubernetes.cri-o.Metadata";
    pub(crate) const LABELS: &str = "io.kubernetes.cri-o.Labels";
    pub(crate) const ANNOTATIONS: &str = "io.kubernetes.cri-o.Annotations";
}

/// The kubelet's labels, which CRI-O has as annotations too.
pub(crate) mod kubelet {
    pub(crate) const CONTAINER: &str = "io.kubernetes.container.name";
    pub(crate) const POD: &str = "io.kubernetes.pod.name";
    pub(crate) const NAMESPACE: &str = "io.kubernetes.pod.namespace";
    pub(crate) const UID: &str = "io.kubernetes.pod.uid";
}
