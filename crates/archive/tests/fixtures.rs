//! What real checkpoints of each engine hold, exactly.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::io::Read as _;

use common::{SINGLE, compressed, tar};
use pagevault_archive::{
    Checkpoint, Engine, Identity, Limits, MemberKind, Outer, Scanner, Streamed, check_inner,
    decode, read_checkpoint,
};

fn read(name: &str) -> Checkpoint {
    read_checkpoint(&*compressed(name), &Limits::default()).unwrap()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn podman() {
    let checkpoint = read("podman-counter");
    let expected = Identity {
        engine: Engine::Podman,
        container_name: "c1".to_owned(),
        container_id: "cb32db03df4048f9b61c514731d3edaa348826b17609ad7f11ef01072b250894".to_owned(),
        pod: None,
        namespace: None,
        pod_uid: None,
        sandbox_id: None,
        image_name: "localhost/bb:1".to_owned(),
        image_ref: "1abb46ed47ed20fd82a6c68c787ab96cce32a8631e82f8531a092ca3b064992d".to_owned(),
        image_digest: None,
        runtime: "crun".to_owned(),
        created_at: Some("2026-11-23T08:27:28.831176933Z".parse().unwrap()),
        // config.dump has none: the newest image, in whole seconds.
        checkpointed_at: "2026-11-23T08:27:32Z".parse().unwrap(),
    };
    assert_eq!(checkpoint.identity, expected);
    assert_eq!(checkpoint.status, None);
    assert_eq!(checkpoint.spec.hostname, "cb32db03df40");
    assert_eq!((checkpoint.total_bytes, checkpoint.pages_bytes), (253_440, 69_632 + 65_536));
    assert_eq!(checkpoint.members.len(), 43);
}

#[test]
fn containerd() {
    let checkpoint = read("cri-containerd-counter");
    let digest = "sha256:39ed4a72e060bf4dc7e4c2080b52d078aaa2e4a9ddee6db77677e2a3929575e0";
    let expected = Identity {
        engine: Engine::Containerd,
        container_name: "counter".to_owned(),
        container_id: "17626714704d66ffd3594f96374ec593e63a036757807830349c286888fb07cf".to_owned(),
        pod: some("demo"),
        namespace: some("default"),
        pod_uid: some("21df8fd8-82a0-4451-9536-6a3bfd14a1d3"),
        sandbox_id: some("ec8031b747724f00c098194c901bd1f43ab891ed2211c85db4d0acc9b5495b33"),
        image_name: "127.0.0.1:5000/base/counter:1".to_owned(),
        image_ref: format!("127.0.0.1:5000/base/counter@{digest}"),
        image_digest: some(digest),
        runtime: "io.containerd.runc.v2".to_owned(),
        created_at: Some("2026-11-23T09:26:29.26593656Z".parse().unwrap()),
        checkpointed_at: "2026-11-23T09:26:32.626687513Z".parse().unwrap(),
    };
    assert_eq!(checkpoint.identity, expected);
    let status = checkpoint.status.unwrap();
    assert_eq!(status.created_at, 1_795_425_989_267_056_230);
    assert_eq!(status.log_path.rsplit('/').next(), Some("0.log"));
    assert_eq!(checkpoint.spec.process.args.first().map(String::as_str), Some("/bin/sh"));
    assert_eq!(checkpoint.spec.process.user.additional_gids, [0]);
    assert_eq!(checkpoint.spec.mounts.len(), 10);
    assert_eq!(checkpoint.spec.linux.namespaces.len(), 5);
    assert!(checkpoint.bind_mounts.is_empty() && checkpoint.deleted_files.is_empty());
}

#[test]
fn cri_o() {
    let checkpoint = read("cri-o-counter");
    let expected = Identity {
        engine: Engine::CriO,
        container_name: "counter".to_owned(),
        container_id: "feaeaeb1cdad672c42ea2aa0d35e1207e4baf8d6dc3f57bf27eba7e73a21a1b5".to_owned(),
        pod: some("cdemo6"),
        namespace: some("default"),
        pod_uid: some("baae0274-bab0-4c8e-9525-82d93e9cf971"),
        sandbox_id: some("ba713f9048975f9a41720025337d12a6e2c5871d9daa34fdaf9ae1a1eab22411"),
        image_name: "127.0.0.1:5000/base/counter:1".to_owned(),
        image_ref: "49f42f6aee917b96ebfc044f5c5b9e6a30eeb508c6dd13eff313cae40187d9fa".to_owned(),
        image_digest: some(
            "sha256:39ed4a72e060bf4dc7e4c2080b52d078aaa2e4a9ddee6db77677e2a3929575e0",
        ),
        runtime: "runc".to_owned(),
        created_at: Some("2026-11-23T09:56:50.833276139Z".parse().unwrap()),
        checkpointed_at: "2026-11-23T09:56:54.084062222Z".parse().unwrap(),
    };
    assert_eq!(checkpoint.identity, expected);
    let destinations = checkpoint.bind_mounts.iter().map(|bind| bind.destination.as_str());
    assert_eq!(
        destinations.collect::<Vec<_>>(),
        ["/etc/resolv.conf", "/etc/hostname", "/etc/hosts"]
    );
    assert_eq!(checkpoint.bind_mounts[0].permissions, 0o644);
}

#[test]
fn kubelet_and_redis() {
    let checkpoint = read("kubelet-containerd-redis");
    let identity = &checkpoint.identity;
    assert_eq!(identity.pod.as_deref(), Some("redis-a"));
    assert_eq!(identity.container_name, "redis");
    assert_eq!(checkpoint.pages_bytes, 3_043_328);
    let kept = checkpoint.kept.keys().map(String::as_str).collect::<Vec<_>>();
    assert!(kept.contains(&"checkpoint/pagemap-1.img") && kept.contains(&"checkpoint/core-11.img"));
    assert!(!kept.iter().any(|path| path.contains("pages-") || path.contains(".tar.gz")));
    assert!(kept.contains(&"dump.log") && !kept.contains(&"rootfs-diff.tar"));
    assert_eq!(kept.len(), 27);
}

#[test]
fn series_is_one_lineage() {
    let outer = tar("cart-redis-series");
    let mut archive = tar::Archive::new(&*outer);
    let checkpoints = archive.entries().unwrap().map(|entry| {
        let mut bytes = Vec::new();
        entry.unwrap().read_to_end(&mut bytes).unwrap();
        read_checkpoint(&*bytes, &Limits::default()).unwrap()
    });
    let checkpoints = checkpoints.collect::<Vec<_>>();
    let times = checkpoints.iter().map(|c| c.identity.checkpointed_at.as_second());
    assert_eq!(
        times.collect::<Vec<_>>(),
        [1_795_425_633, 1_795_425_634, 1_795_425_636, 1_795_425_637]
    );
    for Checkpoint { identity, .. } in &checkpoints {
        assert_eq!(identity.namespace.as_deref(), Some("shop"));
        assert_eq!(identity.pod.as_deref(), Some("cart-7d9f-0"));
        assert_eq!(identity.container_id, checkpoints[0].identity.container_id);
    }
}

#[test]
fn compression_changes_nothing() {
    for name in SINGLE {
        let plain = tar(name);
        let expected = read_checkpoint(&*plain, &Limits::default()).unwrap();
        let half = plain.len() / 2;
        let frames = [&plain[..half], &plain[half..]];
        let gzip = frames.map(pagevault_testkit::hostile::gzip).concat();
        let zstd = frames.map(pagevault_testkit::hostile::zstd).concat();
        for (bytes, outer) in [(plain, Outer::Plain), (gzip, Outer::Gzip), (zstd, Outer::Zstd)] {
            assert_eq!(decode::detect(&bytes), outer);
            assert!(read_checkpoint(&*bytes, &Limits::default()).unwrap() == expected, "{outer}");
        }
    }
}

#[test]
fn members_tile_the_stream() {
    for name in SINGLE {
        let bytes = tar(name);
        let mut scanner = Scanner::new(Streamed(&*bytes), Limits::default());
        let mut next = 0;
        while let Some(member) = scanner.next_member().unwrap() {
            assert_eq!(member.header_offset, next, "{name}: {}", member.path);
            assert_eq!(member.data_offset, next + 512);
            assert_eq!(
                member.kind == MemberKind::Directory,
                member.path.ends_with("checkpoint") || member.path == "artifacts"
            );
            next = member.data_offset + member.size.next_multiple_of(512);
        }
        let scanned = scanner.finish().unwrap();
        assert_eq!(scanned.tail_offset, next);
        assert_eq!(scanned.total_bytes, u64::try_from(bytes.len()).unwrap());
        assert_eq!(scanned.tail_offset + 1024, scanned.total_bytes);
    }
}

#[test]
fn inner_tars() {
    let entries = |name: &str| {
        let bytes = tar(name);
        let mut scanner = Scanner::new(Streamed(&*bytes), Limits::default());
        while let Some(member) = scanner.next_member().unwrap() {
            if member.path == "rootfs-diff.tar" {
                let data = scanner.read_member(1 << 20).unwrap();
                return check_inner(&member.path, &*data, &Limits::default()).unwrap().entries;
            }
        }
        panic!("{name} has no rootfs-diff.tar");
    };
    // containerd: gzip, the folders and the files that it mounts over; CRI-O: one symbolic link.
    assert_eq!(SINGLE.map(entries), [4, 7, 1, 7]);
    assert_eq!(check_inner("empty", &b""[..], &Limits::default()).unwrap().entries, 0);
}
