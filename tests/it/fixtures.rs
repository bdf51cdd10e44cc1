//! The real checkpoints under `tests/fixtures`.

use std::io::Read;
use std::path::PathBuf;

/// A real checkpoint: its file's name, and its tar.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) tar: Vec<u8>,
}

/// A fixture as it is on disk.
pub(crate) fn compressed(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub(crate) fn plain(name: &str) -> Vec<u8> {
    zstd::decode_all(compressed(&format!("{name}.tar.zst")).as_slice()).unwrap()
}

/// The checkpoints of one container each.
pub(crate) fn singles() -> Vec<Fixture> {
    let names =
        ["podman-counter", "cri-containerd-counter", "cri-o-counter", "kubelet-containerd-redis"];
    names.map(|name| Fixture { name: name.into(), tar: plain(name) }).into()
}

/// Four checkpoints of one redis, in the order that they were taken.
pub(crate) fn series() -> Vec<Fixture> {
    let outer = plain("cart-redis-series");
    let mut fixtures = Vec::new();
    let mut rest = outer.as_slice();
    // A tar of four files: names and sizes are in the first bytes of each header.
    while rest.len() >= 512 && rest[0] != 0 {
        let name = String::from_utf8_lossy(&rest[..100]).trim_end_matches('\0').to_owned();
        let size = String::from_utf8_lossy(&rest[124..135]).into_owned();
        let size = usize::from_str_radix(&size, 8).unwrap();
        let mut tar = vec![0; size];
        (&rest[512..]).read_exact(&mut tar).unwrap();
        fixtures.push(Fixture { name, tar });
        rest = &rest[512 + size.div_ceil(512) * 512..];
    }
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    fixtures
}
