//! The keys of the JSON members that anything here reads, at every depth. Go takes other spellings for them.

use crate::json::{Keys, LEAF, Nested};

/// `config.dump`.
pub(crate) const CONFIG: Keys = &[
    ("id", LEAF),
    ("name", LEAF),
    ("rootfsImage", LEAF),
    ("rootfsImageRef", LEAF),
    ("rootfsImageName", LEAF),
    ("rootfsImageID", LEAF),
    ("RawImageName", LEAF),
    ("runtime", LEAF),
    ("createdTime", LEAF),
    ("checkpointedTime", LEAF),
    ("restoredTime", LEAF),
    ("restored", LEAF),
];

/// `spec.dump`. Annotations are a map, in which case matters to Go too.
pub(crate) const SPEC: Keys = &[
    ("ociVersion", LEAF),
    ("process", Nested(PROCESS)),
    ("root", Nested(&[("path", LEAF), ("readonly", LEAF)])),
    ("hostname", LEAF),
    ("mounts", Nested(MOUNT)),
    ("annotations", LEAF),
    ("hooks", LEAF),
    ("linux", Nested(LINUX)),
];

const PROCESS: Keys = &[
    ("args", LEAF),
    ("env", LEAF),
    ("cwd", LEAF),
    ("user", Nested(&[("uid", LEAF), ("gid", LEAF), ("additionalGids", LEAF)])),
    ("terminal", LEAF),
];

const MOUNT: Keys = &[("destination", LEAF), ("type", LEAF), ("source", LEAF), ("options", LEAF)];

const LINUX: Keys = &[
    ("namespaces", Nested(&[("type", LEAF), ("path", LEAF)])),
    ("cgroupsPath", LEAF),
    ("devices", Nested(&[("path", LEAF)])),
    ("netDevices", LEAF),
];

/// `status.dump`.
pub(crate) const STATUS: Keys = &[
    ("id", LEAF),
    ("metadata", Nested(&[("name", LEAF), ("attempt", LEAF)])),
    ("created_at", LEAF),
    ("started_at", LEAF),
    ("image", Nested(&[("image", LEAF)])),
    ("image_ref", LEAF),
    ("labels", LEAF),
    ("annotations", LEAF),
    ("log_path", LEAF),
];

/// `bind.mounts`.
pub(crate) const BIND_MOUNT: Keys =
    &[("source", LEAF), ("destination", LEAF), ("file_type", LEAF), ("permissions", LEAF)];
