//! Outer tars that must be refused: cut, changed, or with entries that no engine writes.

use crate::hostile::{HostileCase, case, cut, flip, valid};
use crate::raw_tar::{TarWriter, put};

pub(crate) fn tar_cases() -> Vec<HostileCase> {
    [cuts(), headers(), names(), types(), extensions(), sizes()].concat()
}

/// A valid archive and one more entry, which is the reason.
fn plus(add: impl FnOnce(TarWriter) -> TarWriter) -> Vec<u8> {
    add(valid().writer()).finish()
}

fn named(path: &str) -> Vec<u8> {
    plus(|tar| tar.file(path, b"data"))
}

fn cuts() -> Vec<HostileCase> {
    let tar = valid().build();
    let whole = valid().writer().file("last", b"data").unfinished();
    vec![
        case("cut in the first header", tar[..300].to_vec(), "ends inside a header at byte 0"),
        case("cut in the end marker", cut(&tar, 100), "no end marker"),
        case("one block of end marker", cut(&tar, 512), "no end marker"),
        case("no end marker", cut(&tar, 1024), "no end marker"),
        case("cut in padding", cut(&whole, 100), "ends inside the padding after last"),
        case("cut in data", cut(&whole, 510), "ends inside the data of last"),
        case("cut before data", cut(&whole, 512), "ends inside the data of last"),
        case("cut in a header", cut(&whole, 512 + 100), "ends inside a header"),
        case(
            "cut in an inner tar",
            cut(&tar, 1024 + 600),
            "ends inside the data of rootfs-diff.tar",
        ),
        case("padding not zero", flip(&whole, whole.len() - 1), "padding after last is not zero"),
        case("data after the end", [&tar[..], b"x"].concat(), "data after the end marker"),
        case("two archives", [&tar[..], &tar[..]].concat(), "data after the end marker"),
        case(
            "zeros without end",
            [&tar[..], &vec![0; 2 << 20][..]].concat(),
            "bytes of zeros after the end marker",
        ),
    ]
}

fn headers() -> Vec<HostileCase> {
    let tar = valid().build();
    let field = |change: fn(&mut tar::Header)| plus(|tar| tar.with(b'0', b"odd", b"", change));
    vec![
        case("checksum of the second header", flip(&tar, 512 + 2), "wrong checksum"),
        case("checksum of the first header", flip(&tar, 2), "wrong checksum"),
        case(
            "old header without magic",
            plus(|tar| tar.with(b'0', b"odd", b"", |h| h.as_mut_bytes()[257..265].fill(0))),
            "not a tar archive",
        ),
        case("star header", field(|h| put(&mut h.as_mut_bytes()[508..], b"tar\0")), "ambiguous"),
        case(
            "gnu header with a prefix",
            field(|h| {
                put(&mut h.as_mut_bytes()[257..265], b"ustar  \0");
                put(&mut h.as_mut_bytes()[345..], b"checkpoint");
            }),
            "ambiguous",
        ),
        case(
            "size is not a number",
            field(|h| put(&mut h.as_old_mut().size, b"0000000zzzz")),
            "no valid size",
        ),
        case(
            "two sizes in one field",
            field(|h| put(&mut h.as_old_mut().size, b"0\x0077777777")),
            "no valid size",
        ),
        case("negative size", field(|h| h.as_old_mut().size = [0xff; 12]), "no valid size"),
        case(
            "negative time",
            field(|h| h.as_old_mut().mtime = [0xff; 12]),
            "no valid modification time",
        ),
        case("mode is not a number", field(|h| put(&mut h.as_old_mut().mode, b"rw")), "valid mode"),
        case("setuid", field(|h| h.set_mode(0o4755)), "mode with setuid"),
        case("setgid", field(|h| h.set_mode(0o2755)), "mode with setgid"),
        case("sticky file", field(|h| h.set_mode(0o1755)), "mode with a sticky bit"),
        case(
            "setgid directory",
            plus(|tar| tar.with(b'5', b"odd/", b"", |h| h.set_mode(0o2755))),
            "mode with setgid",
        ),
    ]
}

fn names() -> Vec<HostileCase> {
    let deep = "d/".repeat(45) + "f";
    vec![
        case("absolute", named("/etc/passwd"), "name /etc/passwd is absolute"),
        case("parent first", named("../escape"), "leads out of the archive"),
        case("parent inside", named("checkpoint/../../escape"), "leads out of the archive"),
        case("parent last", named("checkpoint/.."), "leads out of the archive"),
        case("dot first", named("./config.json"), "has a . component"),
        case("dot inside", named("checkpoint/./x.img"), "has a . component"),
        case("root itself", plus(|tar| tar.directory("./")), "has a . component"),
        case("two slashes", named("checkpoint//x.img"), "has an empty component"),
        case("file with a slash", named("file/"), "has an empty component"),
        case("no name", named(""), "has an empty component"),
        case("backslash", named("..\\escape"), "has a backslash"),
        case("newline", named("a\nb"), "has a control character"),
        case("escape sequence", named("a\x1b[2Jb"), "has a control character"),
        case("turned around", named("a\u{202e}gmi.b"), "has a control character"),
        case("not utf-8", plus(|tar| tar.entry(b'0', b"a\xff\xfe", b"")), "not UTF-8"),
        case(
            "too deep",
            plus(|tar| tar.pax(&[("path", deep.repeat(3).as_bytes())]).file("x", b"")),
            "more than 128 components",
        ),
        case(
            "too long",
            plus(|tar| tar.pax(&[("path", "n".repeat(5000).as_bytes())]).file("x", b"")),
            "longer than 4096 bytes",
        ),
        case("twice", named("config.dump"), "config.dump is in the archive twice"),
        case(
            "directory twice",
            plus(|tar| tar.directory("checkpoint")),
            "checkpoint is in the archive twice",
        ),
        case("file as folder", named("config.dump/x"), "config.dump is both a file and a folder"),
        case(
            "folder as file",
            plus(|tar| tar.file("late/x", b"").file("late", b"")),
            "late is both a file and a folder",
        ),
        case(
            "file and directory",
            plus(|tar| tar.directory("spec.dump/")),
            "spec.dump is in the archive twice",
        ),
    ]
}

fn types() -> Vec<HostileCase> {
    let of = |flag| plus(|tar| tar.entry(flag, b"odd", b""));
    vec![
        case("hard link", plus(|tar| tar.link(b'1', "odd", "config.dump")), "odd is a hard link"),
        case("log is a link", log_link(), "container.log is a symbolic link"),
        case(
            "parent link",
            plus(|tar| tar.link(b'2', "checkpoint/parent", "../../other")),
            "checkpoint/parent is a symbolic link",
        ),
        case("character device", of(b'3'), "odd is a character device"),
        case("block device", of(b'4'), "odd is a block device"),
        case("fifo", of(b'6'), "odd is a fifo"),
        case("contiguous", of(b'7'), "odd is a contiguous file"),
        case("unknown type", of(b'Z'), "unknown entry type 0x5a"),
        case("gnu sparse", sparse(), "odd is a sparse file"),
        case(
            "directory with data",
            plus(|tar| tar.entry(b'5', b"odd/", b"data")),
            "directory odd/ has data",
        ),
    ]
}

/// CVE-2026-53489: a log that is read through a link is a file of the host.
fn log_link() -> Vec<u8> {
    plus(|tar| tar.link(b'2', "container.log", "/etc/shadow"))
}

fn sparse() -> Vec<u8> {
    plus(|tar| {
        tar.with(b'S', b"odd", b"", |header| {
            put(&mut header.as_mut_bytes()[257..265], b"ustar  \0");
        })
    })
}

fn extensions() -> Vec<HostileCase> {
    let pax = |records: &[(&str, &[u8])]| plus(|tar| tar.pax(records).file("odd", b"data"));
    let raw = |data: &[u8]| plus(|tar| tar.entry(b'x', b"pax", data).file("odd", b""));
    vec![
        case("pax path out", pax(&[("path", b"../../escape")]), "leads out of the archive"),
        case("pax path over", pax(&[("path", b"config.dump")]), "in the archive twice"),
        case("pax path with nul", pax(&[("path", b"a\0b")]), "has a NUL"),
        case("pax path empty", pax(&[("path", b"")]), "pax name is empty"),
        case("pax path twice", pax(&[("path", b"a"), ("path", b"b")]), "pax key is there twice"),
        case("pax size", pax(&[("size", b"0")]), "pax size 0 of odd disagrees"),
        case(
            "pax size where the header has none",
            plus(|tar| tar.pax(&[("size", b"4")]).file("odd", b"").data(b"data")),
            "pax size 4 of odd disagrees with its header, which says 0",
        ),
        case("pax size huge", pax(&[("size", b"9999999999999")]), "disagrees"),
        case("pax size not a number", pax(&[("size", b"+4")]), "pax size is not a number"),
        case("pax time", pax(&[("mtime", b"yesterday")]), "pax time is not a number"),
        case(
            "pax sparse",
            pax(&[("GNU.sparse.major", b"1")]),
            "pax key GNU.sparse.major is refused",
        ),
        case("pax unknown", pax(&[("VENDOR.magic", b"1")]), "pax key VENDOR.magic is refused"),
        case(
            "pax attribute",
            pax(&[("SCHILY.xattr.user.a", b"1")]),
            "pax key SCHILY.xattr.user.a is refused",
        ),
        case("pax charset", pax(&[("hdrcharset", b"BINARY")]), "pax key hdrcharset is refused"),
        case("pax length too long", raw(b"99 path=x\n"), "bad pax record"),
        case("pax length too short", raw(b"3 path=x\n"), "bad pax record"),
        case("pax length huge", raw(b"99999999999999999999999 path=x\n"), "bad pax record"),
        case("pax without value", raw(b"9 path x\n"), "bad pax record"),
        case("pax twice", plus(two_pax), "an entry has two of its kind"),
        case("pax for nothing", plus(|tar| tar.pax(&[("path", b"a")])), "belongs to no entry"),
        case(
            "long name for nothing",
            plus(|tar| tar.entry(b'L', b"././@LongLink", b"name\0")),
            "belongs to no entry",
        ),
        case(
            "long name out",
            plus(|tar| tar.entry(b'L', b"././@LongLink", b"../x\0").file("odd", b"")),
            "leads out of the archive",
        ),
        case(
            "long name and pax path",
            plus(|tar| tar.entry(b'L', b"l", b"a\0").pax(&[("path", b"b")]).file("odd", b"")),
            "two long names",
        ),
        case(
            "long link",
            plus(|tar| tar.entry(b'K', b"././@LongLink", b"x\0").file("odd", b"")),
            "long link names are refused",
        ),
        case(
            "long name bomb",
            plus(|tar| tar.with(b'L', b"l", b"", |header| header.set_size(1 << 30))),
            "is larger than 1048576 bytes",
        ),
    ]
}

fn two_pax(tar: TarWriter) -> TarWriter {
    tar.pax(&[("path", b"a")]).pax(&[("mtime", b"1")]).file("odd", b"")
}

fn sizes() -> Vec<HostileCase> {
    let claimed = |path: &[u8], size: u64| {
        plus(|tar| tar.with(b'0', path, b"", |header| header.set_size(size)))
    };
    vec![
        case("claims 2 TiB", claimed(b"big", 2 << 40), "takes the archive past"),
        case("claims all there is", claimed(b"big", u64::MAX >> 1), "takes the archive past"),
        case("claims 1 GiB", claimed(b"big", 1 << 30), "ends inside the data of big"),
        case("metadata of 1 GiB", claimed(b"network.status", 1 << 30), "network.status is larger"),
        case("many entries", many(), "more than 100000 entries"),
    ]
}

/// Compresses to next to nothing.
fn many() -> Vec<u8> {
    let plain = (0..=100_000_u32)
        .fold(TarWriter::new(), |tar, n| tar.file(&format!("f/{n}"), b""))
        .finish();
    crate::hostile::zstd(&plain)
}
