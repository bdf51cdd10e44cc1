//! Whose checkpoint it is, and whether all parts of the archive agree about that.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::annotations::{
    MANAGER, containerd, crio, digest_of, kubelet, name_in_metadata, nested, repo_digest,
};
use crate::error::{ArchiveError, shown};
use crate::metadata::{ConfigDump, SpecDump, StatusDump};
use crate::syntax;

/// Who made the checkpoint, and can restore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// podman (libpod).
    Podman,
    /// containerd, through the CRI.
    Containerd,
    /// CRI-O.
    CriO,
}

impl Engine {
    /// The name that its own annotations use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whose checkpoint it is. All names are checked: they are safe in references, labels and paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who made it.
    pub engine: Engine,
    /// The container's name: in its pod, or podman's.
    pub container_name: String,
    /// 64 hexadecimal digits.
    pub container_id: String,
    /// Kubernetes pod, if there is one.
    pub pod: Option<String>,
    /// Kubernetes namespace, if there is a pod.
    pub namespace: Option<String>,
    /// Kubernetes uid of the pod, if there is one.
    pub pod_uid: Option<String>,
    /// The engine's id of the pod's sandbox.
    pub sandbox_id: Option<String>,
    /// Name of the image.
    pub image_name: String,
    /// containerd: `NAME@DIGEST`, or `sha256:…`, the id of an imported image; CRI-O and podman: the id of the
    /// image in their storage.
    pub image_ref: String,
    /// `sha256:…` of the image's manifest or index, if the archive says it.
    pub image_digest: Option<String>,
    /// OCI runtime, as `config.dump` has it; may be empty.
    pub runtime: String,
    /// When the container was created.
    pub created_at: Option<Timestamp>,
    /// When it was checkpointed: stated, or (podman) the newest time of a CRIU image, in whole seconds.
    pub checkpointed_at: Timestamp,
}

/// What an identity is drawn from.
pub(crate) struct Sources<'a> {
    pub(crate) config: &'a ConfigDump,
    pub(crate) spec: &'a SpecDump,
    pub(crate) status: Option<&'a StatusDump>,
    /// Newest time of a CRIU image, in seconds since 1970.
    pub(crate) newest_image: u64,
}

impl Identity {
    pub(crate) fn find(sources: &Sources<'_>) -> Result<Self, ArchiveError> {
        let manager = sources.spec.annotations.get(MANAGER).map(String::as_str);
        let identity = match manager {
            Some("libpod") => podman(sources)?,
            Some("cri-o") => crio(sources)?,
            None => containerd(sources)?,
            Some(other) => return Err(bad("engine", other)),
        };
        identity.check_syntax()?;
        if let Some(pod) = &identity.pod {
            identity.check_config_name(pod, sources.config)?;
        }
        if let Some(status) = sources.status {
            identity.check_status(status)?;
        }
        Ok(identity)
    }

    fn check_syntax(&self) -> Result<(), ArchiveError> {
        let name_ok = match self.engine {
            Engine::Podman => syntax::is_podman_name(&self.container_name),
            Engine::Containerd | Engine::CriO => syntax::is_dns_label(&self.container_name),
        };
        check("container name", &self.container_name, |_| name_ok)?;
        check("container id", &self.container_id, syntax::is_id)?;
        check_if("pod name", self.pod.as_deref(), syntax::is_dns_subdomain)?;
        check_if("namespace", self.namespace.as_deref(), syntax::is_dns_label)?;
        check_if("pod uid", self.pod_uid.as_deref(), syntax::is_uid)?;
        check_if("sandbox id", self.sandbox_id.as_deref(), syntax::is_id)?;
        check("image name", &self.image_name, syntax::is_image)?;
        check("image reference", &self.image_ref, |text| self.is_pinned(text))?;
        check_if("image digest", self.image_digest.as_deref(), syntax::is_digest)?;
        check("runtime", &self.runtime, syntax::is_runtime)
    }

    /// An image that is the same for ever (CVE-2026-50195: a node fetched and named what an archive told it).
    fn is_pinned(&self, reference: &str) -> bool {
        match self.engine {
            Engine::Podman | Engine::CriO => syntax::is_id(reference),
            // The latter where the image was imported, and has no digest in a registry.
            Engine::Containerd => syntax::is_by_digest(reference) || syntax::is_digest(reference),
        }
    }

    /// containerd and CRI-O build the name in `config.dump` of parts that cannot hold an underscore.
    fn check_config_name(&self, pod: &str, config: &ConfigDump) -> Result<(), ArchiveError> {
        let stated = config.name.strip_prefix("k8s_").unwrap_or(&config.name);
        let namespace = self.namespace.as_deref().unwrap_or_default();
        let uid = self.pod_uid.as_deref().unwrap_or_default();
        let ours = format!("{}_{pod}_{namespace}_{uid}", self.container_name);
        let stated = stated.rsplit_once('_').map_or(stated, |(name, _attempt)| name);
        agree("full name", (&ours, "spec.dump"), (stated, "config.dump"))
    }

    fn check_status(&self, status: &StatusDump) -> Result<(), ArchiveError> {
        let (spec, config, other) = ("spec.dump", "config.dump", "status.dump");
        agree("container id", (&self.container_id, config), (&status.id, other))?;
        let name = &status.metadata.name;
        agree("container name", (&self.container_name, spec), (name, other))?;
        agree("image reference", (&self.image_ref, config), (&status.image_ref, other))?;
        self.check_labels(&status.labels, (spec, other))
    }

    /// Labels of the kubelet, where there are any.
    fn check_labels(
        &self,
        labels: &BTreeMap<String, String>,
        (ours, theirs): (&'static str, &'static str),
    ) -> Result<(), ArchiveError> {
        let pairs = [
            ("container name", kubelet::CONTAINER, Some(&self.container_name)),
            ("pod name", kubelet::POD, self.pod.as_ref()),
            ("namespace", kubelet::NAMESPACE, self.namespace.as_ref()),
            ("pod uid", kubelet::UID, self.pod_uid.as_ref()),
        ];
        for (field, key, value) in pairs {
            if let (Some(label), Some(value)) = (labels.get(key), value) {
                agree(field, (value, ours), (label, theirs))?;
            }
        }
        Ok(())
    }
}

fn podman(sources: &Sources<'_>) -> Result<Identity, ArchiveError> {
    let config = sources.config;
    let image_name = match config.rootfs_image_name.as_str() {
        "" => &config.raw_image_name,
        name => name,
    };
    Ok(Identity {
        container_name: config.name.clone(),
        pod: None,
        namespace: None,
        pod_uid: None,
        sandbox_id: None,
        image_name: image_name.to_owned(),
        image_ref: config.rootfs_image_id.clone(),
        image_digest: None,
        ..common(Engine::Podman, sources)?
    })
}

fn containerd(sources: &Sources<'_>) -> Result<Identity, ArchiveError> {
    let annotation = |key| required(&sources.spec.annotations, key);
    let common = common(Engine::Containerd, sources)?;
    Ok(Identity {
        container_name: annotation(containerd::CONTAINER)?,
        pod: Some(annotation(containerd::POD)?),
        namespace: Some(annotation(containerd::NAMESPACE)?),
        pod_uid: Some(annotation(containerd::UID)?),
        sandbox_id: Some(annotation(containerd::SANDBOX_ID)?),
        image_digest: digest_of(&common.image_ref),
        ..common
    })
}

fn crio(sources: &Sources<'_>) -> Result<Identity, ArchiveError> {
    let annotations = &sources.spec.annotations;
    let annotation = |key| required(annotations, key);
    let common = common(Engine::CriO, sources)?;
    let id = annotation(crio::CONTAINER_ID)?;
    agree("container id", (&id, "spec.dump"), (&common.container_id, "config.dump"))?;
    let digests = annotations.get(crio::REPO_DIGESTS).map_or("", String::as_str);
    let identity = Identity {
        container_name: annotation(kubelet::CONTAINER)?,
        pod: Some(annotation(kubelet::POD)?),
        namespace: Some(annotation(kubelet::NAMESPACE)?),
        pod_uid: Some(annotation(kubelet::UID)?),
        sandbox_id: Some(annotation(crio::SANDBOX_ID)?),
        image_digest: repo_digest(digests, &common.image_name),
        ..common
    };
    if let Some(labels) = annotations.get(crio::LABELS) {
        let labels = nested(crio::LABELS, labels)?;
        identity.check_labels(&labels, ("spec.dump", "CRI-O's labels"))?;
    }
    let metadata = annotations.get(crio::METADATA).map(|text| name_in_metadata(text));
    if let Some(name) = metadata.transpose()?.flatten() {
        let ours = (identity.container_name.as_str(), "spec.dump");
        agree("container name", ours, (&name, "CRI-O's metadata"))?;
    }
    Ok(identity)
}

/// What `config.dump` says in the same way for all engines; the rest is not filled in.
fn common(engine: Engine, sources: &Sources<'_>) -> Result<Identity, ArchiveError> {
    let config = sources.config;
    let checkpointed_at = match config.checkpointed_time {
        Some(time) => time,
        None => seconds(sources.newest_image)?,
    };
    Ok(Identity {
        engine,
        container_name: String::new(),
        container_id: config.id.clone(),
        pod: None,
        namespace: None,
        pod_uid: None,
        sandbox_id: None,
        image_name: config.rootfs_image_name.clone(),
        image_ref: config.rootfs_image_ref.clone(),
        image_digest: None,
        runtime: config.runtime.clone(),
        created_at: config.created_time,
        checkpointed_at,
    })
}

fn seconds(since_1970: u64) -> Result<Timestamp, ArchiveError> {
    let time = i64::try_from(since_1970).ok().and_then(|s| Timestamp::from_second(s).ok());
    time.ok_or_else(|| bad("checkpoint time", &since_1970.to_string()))
}

fn required(
    annotations: &BTreeMap<String, String>,
    key: &'static str,
) -> Result<String, ArchiveError> {
    annotations.get(key).cloned().ok_or(ArchiveError::NoIdentity { field: key })
}

fn check(
    field: &'static str,
    value: &str,
    valid: impl Fn(&str) -> bool,
) -> Result<(), ArchiveError> {
    if valid(value) { Ok(()) } else { Err(bad(field, value)) }
}

fn check_if(
    field: &'static str,
    value: Option<&str>,
    valid: impl Fn(&str) -> bool,
) -> Result<(), ArchiveError> {
    value.map_or(Ok(()), |value| check(field, value, valid))
}

fn agree(
    field: &'static str,
    (one, in_one): (&str, &'static str),
    (other, in_other): (&str, &'static str),
) -> Result<(), ArchiveError> {
    if one == other {
        return Ok(());
    }
    let (one, other) = (shown(one.as_bytes()), shown(other.as_bytes()));
    Err(ArchiveError::Contradiction { field, one, in_one, other, in_other })
}

fn bad(field: &'static str, value: &str) -> ArchiveError {
    ArchiveError::BadIdentity { field, value: shown(value.as_bytes()) }
}
