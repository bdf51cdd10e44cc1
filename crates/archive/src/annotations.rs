//! Keys in `spec.dump` and `status.dump` that say whose container it is, and how their values are written.

use std::collections::BTreeMap;

use crate::error::{ArchiveError, shown};
use crate::json::same_to_go;

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

/// A JSON object in an annotation of CRI-O, as strings; what is not a string is left out.
pub(crate) fn nested(
    key: &'static str,
    text: &str,
) -> Result<BTreeMap<String, String>, ArchiveError> {
    let object: Option<BTreeMap<String, serde_json::Value>> =
        serde_json::from_str(text).map_err(|error| ArchiveError::BadMetadata {
            name: format!("spec.dump annotation {key}"),
            reason: shown(error.to_string().as_bytes()),
        })?;
    let strings = object.unwrap_or_default().into_iter().filter_map(|(key, value)| match value {
        serde_json::Value::String(text) => Some((key, text)),
        serde_json::Value::Null => None,
        _ => Some((key, String::new())),
    });
    Ok(strings.collect())
}

/// The container's name in CRI-O's metadata, which Go reads into a structure: other spellings of the key count too.
pub(crate) fn name_in_metadata(text: &str) -> Result<Option<String>, ArchiveError> {
    let mut metadata = nested(crio::METADATA, text)?;
    match metadata.keys().find(|key| *key != "name" && same_to_go("name", key)) {
        Some(key) => Err(ArchiveError::AmbiguousKey {
            name: format!("spec.dump annotation {}", crio::METADATA),
            key: shown(key.as_bytes()),
            taken_for: "name",
        }),
        None => Ok(metadata.remove("name")),
    }
}

/// The digest of `NAME@DIGEST`. One that is malformed is returned too, for the syntax check to name it.
pub(crate) fn digest_of(reference: &str) -> Option<String> {
    reference.split_once('@').map(|(_, digest)| digest.to_owned())
}

/// Of several `NAME@DIGEST`, that of the image's own repository, else the first.
pub(crate) fn repo_digest(list: &str, image_name: &str) -> Option<String> {
    let name = image_name.split_once('@').map_or(image_name, |(name, _)| name);
    // A colon after the last slash begins a tag, one before it a port.
    let last = name.rsplit('/').next().unwrap_or(name);
    let repository = match last.split_once(':') {
        Some((_, tag)) => name.strip_suffix(tag).and_then(|name| name.strip_suffix(':')),
        None => Some(name),
    };
    let pairs = || list.split([',', ' ']).filter_map(|item| item.split_once('@'));
    let own = pairs().find(|(name, _)| Some(*name) == repository);
    own.or_else(|| pairs().next()).map(|(_, digest)| digest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_the_own_repository_comes_first() {
        let list = "mirror.example/base/redis@sha256:aa,host:5000/base/redis@sha256:bb";
        let cases = [
            ("host:5000/base/redis:1", Some("sha256:bb")),
            ("host:5000/base/redis", Some("sha256:bb")),
            ("mirror.example/base/redis:1", Some("sha256:aa")),
            ("elsewhere/redis:1", Some("sha256:aa")),
        ];
        for (image, expected) in cases {
            assert_eq!(repo_digest(list, image).as_deref(), expected, "{image}");
        }
        assert_eq!(repo_digest("", "a"), None);
    }
}
