//! Archives whose inner tars would be unpacked outside of their folder.

use crate::hostile::{HostileCase, case, cut, flip, gzip, valid};
use crate::raw_tar::{TarWriter, put};

pub(crate) fn rootfs_cases() -> Vec<HostileCase> {
    [escapes(), links(), others(), damaged()].concat()
}

fn inner(tar: TarWriter) -> Vec<u8> {
    valid().member("rootfs-diff.tar", tar.finish()).build()
}

fn new() -> TarWriter {
    TarWriter::new()
}

fn escapes() -> Vec<HostileCase> {
    vec![
        case("inner absolute", inner(new().file("/etc/cron.d/x", b"")), "in rootfs-diff.tar: name"),
        case("inner up", inner(new().file("../../x", b"")), "leads out of the archive"),
        case(
            "inner pax up",
            inner(new().pax(&[("path", b"a/../../x")]).file("x", b"")),
            "leads out",
        ),
        case("inner whiteout of the folder above", inner(new().file("a/.wh...", b"")), "whiteout"),
        case("inner whiteout of nothing", inner(new().file("a/.wh.", b"")), "whiteout"),
        case(
            "inner gzip up",
            valid().member("rootfs-diff.tar", gzip(&new().file("../x", b"").finish())).build(),
            "leads out of the archive",
        ),
        case(
            "shm up",
            valid().member("devshm-checkpoint.tar", new().file("../x", b"").finish()).build(),
            "in devshm-checkpoint.tar: name",
        ),
        case(
            "volume up",
            valid().member("volumes/v.tar", new().file("../x", b"").finish()).build(),
            "in volumes/v.tar: name",
        ),
    ]
}

fn links() -> Vec<HostileCase> {
    let to_host = || new().link(b'2', "etc", "/etc");
    vec![
        case(
            "inner through a link",
            inner(to_host().file("etc/passwd", b"")),
            "etc/passwd would be written through symbolic link etc",
        ),
        case(
            "inner through a link, spelled otherwise",
            inner(to_host().file(".//etc/./x/passwd", b"")),
            "would be written through symbolic link etc",
        ),
        case("inner over a link", inner(to_host().file("etc", b"")), "in the archive twice"),
        case(
            "inner through a second name of a link",
            inner(to_host().link(b'1', "also", "etc").file("also/passwd", b"")),
            "would be written through symbolic link also",
        ),
        case(
            "inner hard link through a link",
            inner(to_host().link(b'1', "shadow", "etc/shadow")),
            "hard link shadow leads out",
        ),
        case("inner hard link up", inner(new().link(b'1', "a", "../b")), "hard link a leads out"),
        case("inner hard link absolute", inner(new().link(b'1', "a", "/b")), "hard link a leads"),
        case("inner root is a link", inner(new().link(b'2', "./", "/")), "can be the root"),
    ]
}

fn others() -> Vec<HostileCase> {
    let device = |flag| {
        inner(new().with(flag, b"sda", b"", |header| {
            put(&mut header.as_mut_bytes()[329..337], b"0000010");
        }))
    };
    let linked_data = new().entry(b'1', b"a", b"data");
    vec![
        case("inner block device", device(b'4'), "sda is a device"),
        case("inner character device", device(b'3'), "sda is a device"),
        case(
            "inner sparse pax",
            inner(new().pax(&[("GNU.sparse.name", b"x")]).file("a", b"")),
            "pax",
        ),
        case("inner unknown type", inner(new().entry(b'Z', b"a", b"")), "unknown entry type"),
        case("inner link with data", inner(linked_data), "only files have data"),
        case(
            "inner claims 2 TiB",
            inner(new().with(b'0', b"big", b"", |header| header.set_size(2 << 40))),
            "takes the archive past",
        ),
    ]
}

fn damaged() -> Vec<HostileCase> {
    let tar = new().file("a", b"data").finish();
    let zipped = gzip(&tar);
    let with = |bytes: Vec<u8>| valid().member("rootfs-diff.tar", bytes).build();
    vec![
        case("inner cut", with(cut(&tar, 1024)), "in rootfs-diff.tar: archive is truncated"),
        case("inner text", with(b"text".repeat(400)), "in rootfs-diff.tar: not a tar archive"),
        case("inner gzip cut", with(cut(&zipped, 10)), "gzip stream ends too early"),
        case("inner gzip flipped", with(flip(&zipped, zipped.len() - 6)), "gzip stream is corrupt"),
        case("inner zeros", with(gzip(&vec![0; 3 << 20])), "bytes of zeros after the end"),
    ]
}
