//! The real checkpoints under `tests/fixtures`.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by tests that use parts of it")]

use std::fs;
use std::path::PathBuf;

/// A fixture as it is in the repository: zstd of the engine's tar.
pub(crate) fn compressed(name: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    fs::read(root.join(format!("{name}.tar.zst"))).unwrap()
}

/// The engine's tar.
pub(crate) fn tar(name: &str) -> Vec<u8> {
    zstd::decode_all(&*compressed(name)).unwrap()
}

/// Every fixture that is one checkpoint.
pub(crate) const SINGLE: [&str; 4] =
    ["podman-counter", "cri-containerd-counter", "cri-o-counter", "kubelet-containerd-redis"];
