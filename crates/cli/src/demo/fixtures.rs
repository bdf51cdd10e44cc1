//! The checkpoints of the demo: real ones, in the binary.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pagevault_archive::{Limits, MemberKind, Scanner, Streamed, decode};

/// What is pushed, in this order.
pub(super) const BUNDLED: [Bundled; 5] = [
    Bundled {
        file: "podman-counter.tar",
        about: "a shell that counts seconds, by podman",
        bytes: include_bytes!("../../../../tests/fixtures/podman-counter.tar.zst"),
        many: false,
    },
    Bundled {
        file: "cri-containerd-counter.tar",
        about: "the same, by containerd",
        bytes: include_bytes!("../../../../tests/fixtures/cri-containerd-counter.tar.zst"),
        many: false,
    },
    Bundled {
        file: "cri-o-counter.tar",
        about: "the same, by CRI-O",
        bytes: include_bytes!("../../../../tests/fixtures/cri-o-counter.tar.zst"),
        many: false,
    },
    Bundled {
        file: "kubelet-containerd-redis.tar",
        about: "an empty redis, by a kubelet",
        bytes: include_bytes!("../../../../tests/fixtures/kubelet-containerd-redis.tar.zst"),
        many: false,
    },
    Bundled {
        file: "cart-redis-series.tar",
        about: "a redis with 30,000 keys, and again each time some of them were rewritten",
        bytes: include_bytes!("../../../../tests/fixtures/cart-redis-series.tar.zst"),
        many: true,
    },
];

/// One file, or a tar of several of one container.
pub(super) struct Bundled {
    file: &'static str,
    pub(super) about: &'static str,
    bytes: &'static [u8],
    many: bool,
}

impl Bundled {
    /// Writes it into a folder as the runtime's own files.
    pub(super) fn unpack(&self, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let (_, mut tar) = decode::open(self.bytes)?;
        if self.many {
            return members(tar, folder).with_context(|| self.file);
        }
        let path = folder.join(self.file);
        io::copy(&mut tar, &mut File::create(&path)?)?;
        Ok(vec![path])
    }
}

fn members(tar: impl Read, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut scanner = Scanner::new(Streamed(tar), Limits::default());
    let mut paths = Vec::new();
    while let Some(member) = scanner.next_member()? {
        let name = Path::new(&member.path).file_name();
        let Some(name) = name.filter(|_| member.kind == MemberKind::File) else { continue };
        let path = folder.join(name);
        std::fs::write(&path, scanner.read_member(member.size)?)?;
        paths.push(path);
    }
    // Their names end in the time at which they were taken.
    paths.sort();
    Ok(paths)
}
