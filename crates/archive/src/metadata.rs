//! The JSON members of an archive, as far as anything here needs them. Fields that are missing or null are empty.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, IgnoredAny};

use crate::error::ArchiveError;
use crate::json;
use crate::shapes;

/// `config.dump`. containerd and CRI-O write checkpointctl's `ContainerConfig`, podman its own container configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigDump {
    /// Container id, 64 hexadecimal digits.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// The engine's name of the container: podman's is the user's, the others' holds pod, namespace and uid too.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The image as the user gave it (not podman).
    #[serde(deserialize_with = "or_default")]
    pub rootfs_image: String,
    /// containerd: `NAME@DIGEST`; CRI-O: the id of the image in its storage.
    #[serde(deserialize_with = "or_default")]
    pub rootfs_image_ref: String,
    /// Name of the image.
    #[serde(deserialize_with = "or_default")]
    pub rootfs_image_name: String,
    /// podman: id of the image in its storage.
    #[serde(rename = "rootfsImageID", deserialize_with = "or_default")]
    pub rootfs_image_id: String,
    /// podman: the image as the user gave it.
    #[serde(rename = "RawImageName", deserialize_with = "or_default")]
    pub raw_image_name: String,
    /// The OCI runtime: `runc`, `crun`, or containerd's `io.containerd.runc.v2`.
    #[serde(deserialize_with = "or_default")]
    pub runtime: String,
    /// When the container was created.
    #[serde(deserialize_with = "time")]
    pub created_time: Option<Timestamp>,
    /// When it was checkpointed (not podman).
    #[serde(deserialize_with = "time")]
    pub checkpointed_time: Option<Timestamp>,
    /// When it was restored from an earlier checkpoint, if it was.
    #[serde(deserialize_with = "time")]
    pub restored_time: Option<Timestamp>,
    /// Whether it was restored from an earlier checkpoint.
    #[serde(deserialize_with = "or_default")]
    pub restored: bool,
}

/// `spec.dump`: the OCI runtime specification of the container.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SpecDump {
    /// Version of the specification.
    #[serde(deserialize_with = "or_default")]
    pub oci_version: String,
    /// What is run, as whom.
    #[serde(deserialize_with = "or_default")]
    pub process: Process,
    /// The root file system.
    #[serde(deserialize_with = "or_default")]
    pub root: Root,
    /// Host name, if the container has its own.
    #[serde(deserialize_with = "or_default")]
    pub hostname: String,
    /// All mounts, in the order in which they are made.
    #[serde(deserialize_with = "or_default")]
    pub mounts: Vec<Mount>,
    /// Annotations: the identity of the container is here.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// Hooks by stage. Always empty in what is accepted.
    #[serde(deserialize_with = "or_default")]
    pub hooks: BTreeMap<String, Option<Vec<IgnoredAny>>>,
    /// What only Linux has.
    #[serde(deserialize_with = "or_default")]
    pub linux: Linux,
}

/// `process` of a [`SpecDump`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Process {
    /// Command and arguments.
    #[serde(deserialize_with = "or_default")]
    pub args: Vec<String>,
    /// Environment, `NAME=VALUE`. May hold secrets.
    #[serde(deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// Working directory.
    #[serde(deserialize_with = "or_default")]
    pub cwd: String,
    /// User and group.
    #[serde(deserialize_with = "or_default")]
    pub user: User,
    /// Whether it has a terminal.
    #[serde(deserialize_with = "or_default")]
    pub terminal: bool,
}

/// `process.user` of a [`SpecDump`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct User {
    /// User id inside the container.
    #[serde(deserialize_with = "or_default")]
    pub uid: u32,
    /// Group id inside the container.
    #[serde(deserialize_with = "or_default")]
    pub gid: u32,
    /// Supplementary groups.
    #[serde(deserialize_with = "or_default")]
    pub additional_gids: Vec<u32>,
}

/// `root` of a [`SpecDump`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Root {
    /// Path on the source node.
    #[serde(deserialize_with = "or_default")]
    pub path: String,
    /// Whether it is read-only.
    #[serde(deserialize_with = "or_default")]
    pub readonly: bool,
}

/// One mount of a [`SpecDump`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Path inside the container.
    #[serde(deserialize_with = "or_default")]
    pub destination: String,
    /// `bind`, `tmpfs`, `proc`, …
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// Path on the source node for a bind mount, else a name.
    #[serde(deserialize_with = "or_default")]
    pub source: String,
    /// Mount options.
    #[serde(deserialize_with = "or_default")]
    pub options: Vec<String>,
}

/// `linux` of a [`SpecDump`].
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Linux {
    /// Namespaces that it has or joins.
    #[serde(deserialize_with = "or_default")]
    pub namespaces: Vec<Namespace>,
    /// Its control group.
    #[serde(deserialize_with = "or_default")]
    pub cgroups_path: String,
    /// Devices that it is given. Always empty in what is accepted.
    #[serde(deserialize_with = "or_default")]
    pub devices: Vec<Device>,
    /// Network devices of the host that it is given, by name. Always empty in what is accepted.
    #[serde(deserialize_with = "or_default")]
    pub net_devices: BTreeMap<String, IgnoredAny>,
}

/// One device of a [`Linux`] section.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Device {
    /// Path inside the container.
    #[serde(deserialize_with = "or_default")]
    pub path: String,
}

/// One namespace of a [`Linux`] section.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// `pid`, `network`, `ipc`, …
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// The one that is joined; empty for a new one.
    #[serde(deserialize_with = "or_default")]
    pub path: String,
}

/// `status.dump` of containerd: a CRI `ContainerStatus`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct StatusDump {
    /// Container id.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// The container in its pod.
    #[serde(deserialize_with = "or_default")]
    pub metadata: StatusMetadata,
    /// Nanoseconds since 1970.
    #[serde(deserialize_with = "or_default")]
    pub created_at: i64,
    /// Nanoseconds since 1970; 0 if it was never started.
    #[serde(deserialize_with = "or_default")]
    pub started_at: i64,
    /// The image as the user gave it.
    #[serde(deserialize_with = "or_default")]
    pub image: StatusImage,
    /// `NAME@DIGEST`.
    #[serde(deserialize_with = "or_default")]
    pub image_ref: String,
    /// Labels, of which the kubelet sets pod, namespace, uid and container.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the kubelet.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// Where the log is on the source node.
    #[serde(deserialize_with = "or_default")]
    pub log_path: String,
}

/// `metadata` of a [`StatusDump`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct StatusMetadata {
    /// Name of the container in its pod.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// How often it was started again before.
    #[serde(deserialize_with = "or_default")]
    pub attempt: u32,
}

/// `image` of a [`StatusDump`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct StatusImage {
    /// Name of the image.
    #[serde(deserialize_with = "or_default")]
    pub image: String,
}

/// One line of CRI-O's `bind.mounts`. On restore CRI-O creates a missing `source` on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct BindMount {
    /// Path on the host.
    #[serde(deserialize_with = "or_default")]
    pub source: String,
    /// Path inside the container.
    #[serde(deserialize_with = "or_default")]
    pub destination: String,
    /// `file` or `directory`.
    #[serde(deserialize_with = "or_default")]
    pub file_type: String,
    /// Permission bits.
    #[serde(deserialize_with = "or_default")]
    pub permissions: u32,
}

impl ConfigDump {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ArchiveError> {
        json::parse("config.dump", bytes, shapes::CONFIG)
    }
}

impl SpecDump {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ArchiveError> {
        json::parse("spec.dump", bytes, shapes::SPEC)
    }
}

impl StatusDump {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ArchiveError> {
        json::parse("status.dump", bytes, shapes::STATUS)
    }
}

impl BindMount {
    pub(crate) fn parse_list(bytes: &[u8]) -> Result<Vec<Self>, ArchiveError> {
        let list: Option<Vec<Self>> = json::parse("bind.mounts", bytes, shapes::BIND_MOUNT)?;
        Ok(list.unwrap_or_default())
    }
}

/// Go writes an empty list or map as null.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Go writes a time that was never set as the first of January of the year 1.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    const YEAR_1970: Timestamp = Timestamp::UNIX_EPOCH;
    let time = Option::<Timestamp>::deserialize(deserializer)?;
    Ok(time.filter(|time| *time > YEAR_1970))
}
