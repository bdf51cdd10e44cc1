//! Archives that two readers would read as two different ones, or that Go's reader refuses half-way.

use crate::hostile::{HostileCase, case, valid};
use crate::raw_tar::{TarWriter, pax_records, put};

pub(crate) fn reader_cases() -> Vec<HostileCase> {
    [global_headers(), folders(), gnu_times(), numbers()].concat()
}

fn plus(add: impl FnOnce(TarWriter) -> TarWriter) -> Vec<u8> {
    add(valid().writer()).finish()
}

fn inner(add: impl FnOnce(TarWriter) -> TarWriter) -> Vec<u8> {
    valid().member("rootfs-diff.tar", add(TarWriter::new()).finish()).build()
}

/// Go gives a global header to its caller as an entry, and forgets what was said about the next one.
fn global_headers() -> Vec<HostileCase> {
    let comment = pax_records(&[("comment", b"hi")]);
    let global = |tar: TarWriter| tar.entry(b'g', b"pax", &comment);
    let after_pax =
        |tar: TarWriter| global(tar.pax(&[("path", b"safe.txt")])).file("../../etc/evil", b"data");
    let after_long = |tar: TarWriter| {
        global(tar.entry(b'L', b"l", b"safe.txt\0")).file("../../etc/evil", b"data")
    };
    let between = "a global header stands between an entry and its extension header";
    vec![
        case("global pax", plus(|tar| global(tar).file("odd", b"")), "global headers are refused"),
        case("global pax after pax", plus(after_pax), between),
        case("global pax after a long name", plus(after_long), between),
        case("inner global pax after pax", inner(after_pax), between),
        case("inner global pax after a long name", inner(after_long), between),
        case(
            "inner global pax with a path",
            inner(|tar| tar.entry(b'g', b"pax", &pax_records(&[("path", b"x")])).file("a", b"")),
            "sets path; only comments",
        ),
    ]
}

/// A name with a slash at its end is a directory to some, and then its data are headers.
fn folders() -> Vec<HostileCase> {
    let hidden = TarWriter::new().file("../../etc/evil", b"").unfinished();
    let folder = |flag| inner(|tar| tar.entry(flag, b"odd/", &hidden));
    vec![
        case("inner old folder with data", folder(0), "a directory by its name has data"),
        case("inner file with a slash", folder(b'0'), "a directory by its name has data"),
    ]
}

/// Access and change time of GNU headers lie where ustar has a prefix of the name.
fn gnu_times() -> Vec<HostileCase> {
    let gnu = |access: &'static [u8], change: &'static [u8]| {
        move |tar: TarWriter| {
            tar.with(b'0', b"name", b"", |header| {
                put(&mut header.as_mut_bytes()[257..265], b"ustar  \0");
                put(&mut header.as_mut_bytes()[345..357], access);
                put(&mut header.as_mut_bytes()[357..369], change);
            })
        }
    };
    let two = gnu(b"1 2", b"");
    vec![
        case("gnu access time of two numbers", plus(two), "not quite a GNU header"),
        case("inner gnu access time of two numbers", inner(two), "not quite a GNU header"),
        case("gnu change time of two numbers", plus(gnu(b"", b"1\x002")), "not quite a GNU header"),
    ]
}

/// Fields that nothing here needs, and whose nonsense makes Go refuse the archive that was let in.
fn numbers() -> Vec<HostileCase> {
    let odd = |change: fn(&mut tar::Header)| plus(|tar| tar.with(b'0', b"odd", b"", change));
    let pax = |key: &str, value: &[u8]| plus(|tar| tar.pax(&[(key, value)]).file("odd", b""));
    vec![
        case("uid", odd(|h| put(&mut h.as_old_mut().uid, b"root")), "no valid user id"),
        case("gid", odd(|h| put(&mut h.as_old_mut().gid, b"0\x001")), "no valid group id"),
        case(
            "device number",
            odd(|h| put(&mut h.as_mut_bytes()[329..337], b"sda")),
            "no valid device number",
        ),
        case("pax uid", pax("uid", b"root"), "pax uid or gid is not a number"),
        case("pax gid", pax("gid", b"-1"), "pax uid or gid is not a number"),
        case("pax uid past 63 bits", pax("uid", b"9223372036854775808"), "is not a number"),
        case(
            "inner time",
            inner(|tar| tar.with(b'0', b"a", b"", |h| put(&mut h.as_old_mut().mtime, b"noon"))),
            "no valid modification time",
        ),
        case("mode of a directory", odd(|h| h.set_mode(0o040_644)), "mode is that of another type"),
        case("mode past all types", odd(|h| h.set_mode(0o200_644)), "mode is that of another type"),
        case(
            "inner mode of a link",
            inner(|tar| tar.with(b'0', b"a", b"", |h| h.set_mode(0o120_777))),
            "mode is that of another type",
        ),
    ]
}
