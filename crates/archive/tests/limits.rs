//! Each limit, hit from below and from above; and archives that are unusual and fine.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{self, Read};

use pagevault_archive::{
    ArchiveError, Checkpoint, Collector, ErrorKind, Limits, MemberKind, Scanner, Source, Streamed,
    check_inner, read_checkpoint,
};
use pagevault_testkit::{Flavour, TarWriter, Tarball};

fn small() -> Tarball {
    Tarball::new(Flavour::Containerd)
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Checkpoint, ArchiveError> {
    read_checkpoint(bytes, limits)
}

#[test]
fn limits_are_exact() {
    let bytes = small().build();
    let usual = Limits::default();
    let entries = u64::try_from(small().members().len()).unwrap();
    let tar_bytes = u64::try_from(bytes.len()).unwrap() - 1024;
    let metadata = ["config.dump", "spec.dump", "status.dump", "checkpoint/inventory.img"]
        .map(|name| small().members().into_iter().find(|(path, _)| path == name).unwrap().1.len());
    let metadata_bytes = u64::try_from(metadata.iter().sum::<usize>()).unwrap();
    let pairs = [
        (Limits { max_entries: entries, ..usual.clone() }, true),
        (Limits { max_entries: entries - 1, ..usual.clone() }, false),
        (Limits { max_bytes: tar_bytes, ..usual.clone() }, true),
        (Limits { max_bytes: tar_bytes - 1, ..usual.clone() }, false),
        (Limits { max_metadata_bytes: metadata_bytes, ..usual.clone() }, true),
        (Limits { max_metadata_bytes: metadata_bytes - 1, ..usual.clone() }, false),
        (Limits { max_path_bytes: 24, ..usual.clone() }, true),
        (Limits { max_path_bytes: 23, ..usual.clone() }, false),
        (Limits { max_depth: 2, ..usual.clone() }, true),
        (Limits { max_depth: 1, ..usual.clone() }, false),
        (Limits { max_names_bytes: 100, ..usual.clone() }, false),
        (Limits { max_tail_bytes: 1023, ..usual.clone() }, false),
        (Limits { max_inner_entries: 2, ..usual.clone() }, true),
        (Limits { max_inner_entries: 1, ..usual.clone() }, false),
        (Limits { max_inner_bytes: 1024, ..usual.clone() }, false),
    ];
    for (limits, fits) in pairs {
        match read(&bytes, &limits) {
            Ok(_) => assert!(fits, "{limits:?}"),
            Err(error) => {
                assert!(!fits, "{error}");
                assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
            }
        }
    }
}

#[test]
fn images_that_do_not_fit_are_passed_over() {
    let few = Limits { max_kept_bytes: 200, ..Limits::default() };
    let checkpoint = read(&small().build(), &few).unwrap();
    let images = checkpoint.kept.iter().filter(|(path, _)| path.starts_with("checkpoint/"));
    assert!(images.map(|(_, data)| data.len()).sum::<usize>() <= 200);
    let none = Limits { max_image_bytes: 0, max_pagemap_bytes: 0, ..Limits::default() };
    let checkpoint = read(&small().build(), &none).unwrap();
    let images = checkpoint.kept.keys().filter(|path| path.starts_with("checkpoint/"));
    assert_eq!(images.collect::<Vec<_>>(), ["checkpoint/inventory.img"]);
}

#[test]
fn unusual_and_fine() {
    let long = format!("checkpoint/{}", "n".repeat(200));
    let gnu = format!("{long}g\0");
    let mtime = "1795425700.123456789".as_bytes();
    let tar = small()
        .writer()
        .pax(&[("path", long.as_bytes()), ("mtime", mtime), ("uid", b"4000000")])
        .file("short", b"data")
        .entry(b'L', b"././@LongLink", gnu.as_bytes())
        .file("short", b"")
        .pax(&[("size", b"4")])
        .file("sized", b"data")
        .entry(b'\0', b"old", b"x")
        .directory("no-slash")
        .file("no-slash/file", b"")
        .with(b'5', b"sticky/", b"", |header| header.set_mode(0o1777))
        .file("artifact \u{e4}\u{1f980}", b"")
        .raw(&[0; 10_240])
        .finish();
    let checkpoint = read(&tar, &Limits::default()).unwrap();
    let member = checkpoint.members.iter().find(|member| member.path == long).unwrap();
    assert_eq!((member.size, member.mtime), (4, 1_795_425_700));
    assert_eq!(member.data_offset - member.header_offset, 3 * 512);
    assert!(checkpoint.members.iter().any(|m| m.path.len() == long.len() + 1));
    let sticky = checkpoint.members.iter().find(|member| member.path == "sticky").unwrap();
    assert_eq!((sticky.kind, sticky.mode), (MemberKind::Directory, 0o1777));
}

/// Some bytes, and after them as many zeros as are asked for.
struct Sparse {
    head: io::Cursor<Vec<u8>>,
    zeros: u64,
}

impl Read for Sparse {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.head.read(buf)?;
        match read {
            0 => io::repeat(0).take(self.zeros).read(buf).inspect(|&read| {
                self.zeros -= u64::try_from(read).unwrap();
            }),
            read => Ok(read),
        }
    }
}

impl Source for Sparse {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let left = u64::try_from(self.head.get_ref().len()).unwrap() - self.head.position();
        let in_head = bytes.min(left);
        self.head.set_position(self.head.position() + in_head);
        match self.zeros.checked_sub(bytes - in_head) {
            Some(zeros) => self.zeros = zeros,
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }
}

#[test]
fn sizes_past_eight_gib_as_go_writes_them() {
    let size = 9_u64 << 30;
    let text = size.to_string();
    // Go leaves the header's own field 0; base-256 is GNU tar's way.
    let go = TarWriter::new().pax(&[("size", text.as_bytes())]).file("checkpoint/pages-1.img", b"");
    let gnu = TarWriter::new().with(b'0', b"checkpoint/pages-1.img", b"", |h| h.set_size(size));
    for (tar, headers) in [(go, 3), (gnu, 1)] {
        let head = tar.unfinished();
        for (zeros, whole) in [(size + 1024, true), (size - 1, false)] {
            let source = Sparse { head: io::Cursor::new(head.clone()), zeros };
            let mut scanner = Scanner::new(source, Limits::default());
            let member = scanner.next_member().unwrap().unwrap();
            assert_eq!((member.size, member.data_offset), (size, headers * 512));
            match scanner.finish() {
                Ok(scanned) => {
                    assert_eq!((scanned.tail_offset, whole), (headers * 512 + size, true));
                }
                Err(error) => assert!(!whole && error.kind() == ErrorKind::Truncated, "{error}"),
            }
        }
    }
}

#[test]
fn data_is_read_in_parts_or_passed_over() {
    let tar = TarWriter::new().file("a", b"0123456789").file("b", b"x").finish();
    let mut scanner = Scanner::new(Streamed(&*tar), Limits::default());
    scanner.next_member().unwrap();
    let mut part = [0; 4];
    assert_eq!(scanner.read_data(&mut part).unwrap(), 4);
    assert_eq!(scanner.read_member(5).unwrap_err().to_string(), "a is larger than 5 bytes");
    assert_eq!(scanner.read_member(6).unwrap(), b"456789");
    assert_eq!(scanner.read_data(&mut part).unwrap(), 0);
    assert_eq!(scanner.offset(), 522);
    assert_eq!(scanner.next_member().unwrap().unwrap().path, "b");
    assert_eq!(scanner.finish().unwrap().members, 2);
}

#[test]
fn only_observed_bytes_are_kept() {
    let mut collector = Collector::new(Limits::default());
    collector.keep("config.dump", b"{}".to_vec());
    let error = collector.finish(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotACheckpoint);
}

/// Fails in the middle.
struct Failing<'b>(&'b [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "connection reset")),
            read => Ok(read),
        }
    }
}

#[test]
fn failures_of_the_input_are_not_blamed_on_the_archive() {
    let tar = small().build();
    let wrapped = [pagevault_testkit::hostile::gzip, pagevault_testkit::hostile::zstd];
    let wrapped = wrapped.map(|wrap| wrap(&tar));
    for bytes in wrapped.iter().chain([&tar]) {
        for cut in [0, 2, 300, bytes.len() / 2, bytes.len() - 3] {
            let part = &bytes[..cut.min(bytes.len())];
            let error = read_checkpoint(Failing(part), &Limits::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "at {cut}: {error}");
        }
    }
}

#[test]
fn inner_tars_of_containers_are_fine() {
    let tar = TarWriter::new()
        .directory("./")
        .link(b'2', "etc/mtab", "/proc/mounts")
        .link(b'2', "up", "../../..")
        .link(b'1', "etc/second", "etc/first")
        .link(b'1', "mtab", "etc/mtab")
        .file("etc/.wh.gone", b"")
        .file("etc/.wh..wh..opq", b"")
        .entry(b'3', b"dev/whiteout", b"")
        .entry(b'6', b"run/fifo", b"")
        .with(b'0', b"bin/su", b"x", |header| header.set_mode(0o4755))
        .pax(&[("SCHILY.xattr.security.capability", b"\x01\0\0\x02")])
        .with(b'0', b"bin/ping", b"x", |header| header.set_mode(0o100_755))
        .directory("bin/")
        .directory("bin")
        .with(0, b"old/", b"", |header| header.set_mode(0o040_755))
        .entry(b'g', b"pax", b"14 comment=hi\n")
        .pax(&[("mtime", b"-1.5")])
        .file("before 1970", b"")
        .entry(b'0', b"odd\\name\xff\n", b"")
        .pax(&[("SCHILY.dev", b"1"), ("VENDOR.any", b"thing")])
        .entry(b'K', b"l", b"x/y\0")
        .link(b'1', "z", "")
        .finish();
    assert_eq!(check_inner("x", &*tar, &Limits::default()).unwrap().entries, 17);
}

#[test]
fn a_tmpfs_is_as_gnu_tar_writes_it() {
    let gnu =
        |header: &mut tar::Header| header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
    let octal = |bytes: &mut [u8], value: u64| {
        bytes[..11].copy_from_slice(format!("{value:011o}").as_bytes());
    };
    let device = |tar: TarWriter, name: &str, major: u64, minor: u64| {
        tar.with(b'3', name.as_bytes(), b"", |header| {
            gnu(header);
            header.set_device_major(u32::try_from(major).unwrap()).unwrap();
            header.set_device_minor(u32::try_from(minor).unwrap()).unwrap();
        })
    };
    let mut more = [0; 512];
    octal(&mut more[0..], 1 << 20);
    octal(&mut more[12..], 100);
    let tar = TarWriter::new()
        .directory("./")
        .link(b'2', "./fd", "/proc/self/fd")
        .file("./.wh.", b"only a name")
        .with(b'S', b"./shm/segment", b"", |header| {
            gnu(header);
            header.set_size(4 * 512 + 100);
            let bytes = header.as_mut_bytes();
            for (run, at) in (0..4).zip((386..).step_by(24)) {
                octal(&mut bytes[at..], run * 4096);
                octal(&mut bytes[at + 12..], 512);
            }
            bytes[482] = 1;
            octal(&mut bytes[483..], 2 << 20);
        })
        .raw(&more)
        .data(&[7; 4 * 512 + 100])
        .file("./last", b"x");
    let tar = [("null", 1, 3), ("tty", 5, 0), ("urandom", 1, 9)]
        .into_iter()
        .fold(tar, |tar, (name, major, minor)| device(tar, name, major, minor));
    let bytes = pagevault_testkit::hostile::gzip(&tar.finish());
    let name = "checkpoint/tmpfs-dev-64.tar.gz.img";
    assert_eq!(check_inner(name, &*bytes, &Limits::default()).unwrap().entries, 8);
    // Not what an engine packs.
    check_inner("rootfs-diff.tar", &*bytes, &Limits::default()).unwrap_err();
}

#[test]
fn an_imported_image_has_no_name_but_its_id() {
    let id = "sha256:49f42f6aee917b96ebfc044f5c5b9e6a30eeb508c6dd13eff313cae40187d9fa";
    let tar = small()
        .json("config.dump", |config| config["rootfsImageRef"] = id.into())
        .json("status.dump", |status| status["image_ref"] = id.into());
    let identity = read(&tar.build(), &Limits::default()).unwrap().identity;
    assert_eq!((&*identity.image_ref, identity.image_digest), (id, None));
}

#[test]
fn images_are_taken_without_the_rest() {
    let mut checkpoint = read(&small().build(), &Limits::default()).unwrap();
    let images = checkpoint.take_images();
    assert!(images.contains_key("inventory.img") && images.contains_key("pagemap-1.img"));
    let kept = checkpoint.kept.into_keys().collect::<Vec<_>>();
    assert_eq!(kept, ["config.dump", "spec.dump", "status.dump"]);
}
