//! Archives whose inner tars would be unpacked outside of their folder.

use crate::hostile::{HostileCase, case, cut, flip, gzip, valid};
use crate::raw_tar::{TarWriter, put};

pub(crate) fn rootfs_cases() -> Vec<HostileCase> {
    [escapes(), links(), twice(), others(), overlays(), tmpfs(), damaged()].concat()
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

fn twice() -> Vec<HostileCase> {
    let first = || new().file("a/b", b"one");
    vec![
        case("inner twice", inner(first().file("a/b", b"two")), "a/b is in the archive twice"),
        case("inner twice, spelled otherwise", inner(first().file("./a//b", b"")), "twice"),
        case("inner file, then directory", inner(first().directory("a/b/")), "twice"),
        case("inner directory, then file", inner(new().directory("a/").file("a", b"")), "both"),
        case("inner file, then link", inner(first().link(b'2', "a/b", "/etc")), "twice"),
        case("inner file, then hard link", inner(first().link(b'1', "a/b", "a/c")), "twice"),
        case(
            "inner file as folder",
            inner(first().file("a/b/c", b"")),
            "a/b is both a file and a folder",
        ),
        case(
            "inner folder as file",
            inner(first().file("a", b"")),
            "a is both a file and a folder",
        ),
    ]
}

/// What overlayfs keeps in attributes leads a folder elsewhere; no engine puts it into a tar.
fn overlays() -> Vec<HostileCase> {
    let attribute = |key| inner(new().pax(&[(key, b"/etc")]).directory("a/"));
    vec![
        case("inner redirect", attribute("SCHILY.xattr.trusted.overlay.redirect"), "is refused"),
        case("inner user redirect", attribute("SCHILY.xattr.user.overlay.redirect"), "is refused"),
        case("inner bsd redirect", attribute("LIBARCHIVE.xattr.trusted.overlay.x"), "is refused"),
    ]
}

/// CRIU unpacks the contents of a tmpfs with tar, as root.
fn tmpfs() -> Vec<HostileCase> {
    let tmpfs = |tar: TarWriter| {
        valid().member("checkpoint/tmpfs-dev-64.tar.gz.img", gzip(&tar.finish())).build()
    };
    let device = |flag, major: &'static [u8], minor: &'static [u8]| {
        new().with(flag, b"./sda", b"", |header| {
            put(&mut header.as_mut_bytes()[329..337], major);
            put(&mut header.as_mut_bytes()[337..345], minor);
        })
    };
    let sparse = |runs: &[(u64, u64)], stored: u64| {
        new().with(b'S', b"./shm/a", b"", |h| sparse_header(h, runs, stored)).data(&[7; 512])
    };
    vec![
        case("tmpfs up", tmpfs(new().file("../x", b"")), "in checkpoint/tmpfs-dev-64.tar.gz.img"),
        case("tmpfs absolute", tmpfs(new().file("/x", b"")), "name /x is absolute"),
        case(
            "tmpfs through a link",
            tmpfs(new().link(b'2', "./fd", "/proc/self/fd").file("./fd/3", b"")),
            "would be written through symbolic link",
        ),
        case("tmpfs disk", tmpfs(device(b'4', b"0000010", b"0000000")), "sda is a device"),
        case("tmpfs memory", tmpfs(device(b'3', b"0000001", b"0000001")), "sda is a device"),
        case("tmpfs null as a disk", tmpfs(device(b'4', b"0000001", b"0000003")), "is a device"),
        case(
            "tmpfs is text",
            valid().member("checkpoint/tmpfs-1.tar.gz.img", "text".repeat(400)).build(),
            "in checkpoint/tmpfs-1.tar.gz.img: not a tar archive",
        ),
        case("tmpfs map longer than its data", tmpfs(sparse(&[(0, 1024)], 512)), "sparse map"),
        case("tmpfs map shorter than its data", tmpfs(sparse(&[(0, 1)], 512)), "sparse map"),
        case(
            "tmpfs map that overlaps",
            tmpfs(sparse(&[(0, 512), (256, 512)], 1024).data(&[7; 512])),
            "sparse map",
        ),
        case("tmpfs map past its file", tmpfs(sparse(&[(1 << 20, 512)], 512)), "sparse map"),
        case("tmpfs map without end", tmpfs(endless()), "sparse map"),
        case(
            "tmpfs pax sparse",
            tmpfs(new().pax(&[("GNU.sparse.name", b"../x")]).file("a", b"")),
            "pax key GNU.sparse.name is refused",
        ),
    ]
}

/// A sparse file of 1 MiB as GNU tar writes it: runs of data, and the bytes that are stored.
fn sparse_header(header: &mut tar::Header, runs: &[(u64, u64)], stored: u64) {
    header.set_size(stored);
    let bytes = header.as_mut_bytes();
    put(&mut bytes[257..265], b"ustar  \0");
    for (at, (offset, size)) in (386..).step_by(24).zip(runs) {
        put(&mut bytes[at..at + 12], format!("{offset:011o}").as_bytes());
        put(&mut bytes[at + 12..at + 24], format!("{size:011o}").as_bytes());
    }
    put(&mut bytes[483..495], format!("{:011o}", 1 << 20).as_bytes());
}

/// A map that goes on in block after block.
fn endless() -> TarWriter {
    let mut block = [0; 512];
    block[504] = 1;
    let tar = new().with(b'S', b"./a", b"", |header| {
        sparse_header(header, &[], 0);
        header.as_mut_bytes()[482] = 1;
    });
    tar.raw(&block.repeat(5000))
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
