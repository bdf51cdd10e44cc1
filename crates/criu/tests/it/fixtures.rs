//! The images of `tests/data`.

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) type Images = BTreeMap<String, Vec<u8>>;

/// All images of a checkpoint.
pub(crate) fn images(name: &str) -> Images {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let entries = std::fs::read_dir(&folder).unwrap();
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

pub(crate) const ALL: [&str; 8] = [
    "cart-redis-1",
    "cart-redis-2",
    "cart-redis-3",
    "cart-redis-4",
    "cri-containerd-counter",
    "cri-o-counter",
    "kubelet-containerd-redis",
    "podman-counter",
];
