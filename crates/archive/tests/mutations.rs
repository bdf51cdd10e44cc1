//! Nothing that comes in makes the reader panic, and what it accepts it accepts whole.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::OnceLock;

use pagevault_archive::{Limits, check_inner, read_checkpoint};
use pagevault_testkit::{Flavour, TarWriter, Tarball};
use proptest::prelude::*;

fn bases() -> &'static Vec<Vec<u8>> {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    BASES.get_or_init(|| {
        let made = [Flavour::Podman, Flavour::Containerd, Flavour::CriO];
        let made = made.map(|flavour| Tarball::new(flavour).build());
        let real = ["podman-counter", "cri-o-counter"];
        made.into_iter().chain(real.map(common::tar)).chain(real.map(common::compressed)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = read_checkpoint(&*bytes, &Limits::default());
        let _ = check_inner("x", &*bytes, &Limits::default());
        let _ = check_inner("checkpoint/tmpfs-1.tar.gz.img", &*bytes, &Limits::default());
    }

    #[test]
    fn mutated(base in 0_usize..7, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = bases()[base].clone();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = read_checkpoint(&*bytes, &Limits::default());
    }

    #[test]
    fn cut_anywhere(base in 0_usize..7, at in any::<prop::sample::Index>()) {
        let bytes = &bases()[base];
        let part = &bytes[..at.index(bytes.len())];
        let error = read_checkpoint(part, &Limits::default()).unwrap_err();
        prop_assert_eq!(error.kind(), pagevault_archive::ErrorKind::Truncated, "{}", error);
    }

    #[test]
    fn headers_with_any_byte(at in 0_usize..512, value in any::<u8>(), flag in any::<u8>()) {
        let tar = Tarball::new(Flavour::Containerd).writer().with(flag, b"odd", b"", |header| {
            header.as_mut_bytes()[at] = value;
        });
        let _ = read_checkpoint(&*tar.finish(), &Limits::default());
    }

    #[test]
    fn sparse_maps_with_any_bytes(map in prop::collection::vec(any::<u8>(), 126), more in prop::collection::vec(any::<u8>(), 0..1200)) {
        let tar = TarWriter::new().with(b'S', b"odd", b"data", |header| {
            header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
            header.as_mut_bytes()[386..].copy_from_slice(&map);
            header.as_mut_bytes()[495..].fill(0);
        });
        let _ = check_inner("checkpoint/tmpfs-1.tar.gz.img", &*tar.raw(&more).finish(), &Limits::default());
    }

    #[test]
    fn pax_with_any_bytes(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let tar = Tarball::new(Flavour::Containerd).writer();
        let tar = tar.entry(b'x', b"pax", &data).file("odd", b"x").finish();
        let _ = read_checkpoint(&*tar, &Limits::default());
    }
}
