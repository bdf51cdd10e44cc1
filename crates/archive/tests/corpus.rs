//! Replays the seeds of the fuzz target, so that what it once found stays found without a fuzzer.

use std::fs;
use std::path::PathBuf;

use pagevault_archive::{Limits, check_inner, read_checkpoint};

#[test]
fn corpus() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/archive");
    let mut accepted = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for name in ["corpus", "checkpoint/tmpfs-1.tar.gz.img"] {
            let _ = check_inner(name, &*bytes, &Limits::default());
        }
        if let Ok(checkpoint) = read_checkpoint(&*bytes, &Limits::default()) {
            assert!(checkpoint.pages_bytes <= checkpoint.total_bytes);
            accepted.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    accepted.sort();
    let expected = ["containerd.tar.zst", "cri-o-real.tar.zst", "cri-o.tar.zst", "podman.tar.gz"];
    assert_eq!(accepted, expected);
}

/// Writes the seeds anew: `cargo test -p pagevault-archive --test corpus -- --ignored`.
#[test]
#[ignore = "writes into the tree"]
fn make_seeds() {
    use pagevault_testkit::hostile::{gzip, zstd};
    use pagevault_testkit::{Flavour, TarWriter, Tarball, hostile_cases};

    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("fuzz/corpus/archive");
    let small = |flavour| Tarball::new(flavour).build();
    let real = fs::read(root.join("tests/fixtures/cri-o-counter.tar.zst")).unwrap();
    let inner = TarWriter::new().link(b'2', "a", "b").link(b'1', "c", "a").file("d", b"x");
    let seeds = [
        ("podman.tar.gz", gzip(&small(Flavour::Podman))),
        ("containerd.tar.zst", zstd(&small(Flavour::Containerd))),
        ("cri-o.tar.zst", zstd(&small(Flavour::CriO))),
        ("cri-o-real.tar.zst", real),
        ("inner.tar", inner.finish()),
        ("tmpfs.tar", sparse()),
    ];
    for (name, bytes) in seeds {
        fs::write(folder.join(name), bytes).unwrap();
    }
    // Every third is enough to show a fuzzer the way, and small in the repository.
    for case in hostile_cases().into_iter().step_by(3) {
        let name = case.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let bytes = if case.bytes.len() > 4096 { zstd(&case.bytes) } else { case.bytes };
        if bytes.len() <= 4096 {
            fs::write(folder.join(format!("hostile-{name}")), bytes).unwrap();
        }
    }
}

/// A sparse file of one run.
fn sparse() -> Vec<u8> {
    let sparse = |header: &mut tar::Header| {
        let bytes = header.as_mut_bytes();
        bytes[257..265].copy_from_slice(b"ustar  \0");
        bytes[386..410].copy_from_slice(b"00000010000\x0000000000004\0");
        bytes[483..495].copy_from_slice(b"00000020000\0");
    };
    pagevault_testkit::TarWriter::new().with(b'S', b"./a", b"data", sparse).finish()
}
