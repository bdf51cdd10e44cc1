//! What the report says of real checkpoints. Expected values are those of CRIU's own `crit`.

use std::collections::BTreeMap;

use pagevault_criu::{
    AreaKind, FileKind, Process, Report, TaskState, command_paths, identify, inspect,
};

use crate::fixtures::{ALL, images};

fn report(name: &str) -> Report {
    let report = inspect(&images(name));
    assert_eq!(report.warnings, [""; 0], "{name}");
    assert_eq!(report.architecture.as_deref(), Some("amd64"), "{name}");
    assert_eq!(report.tcp_connections, [], "{name}");
    report
}

fn areas(process: &Process) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for area in &process.areas {
        *counts.entry(format!("{:?}", area.kind)).or_default() += 1;
    }
    counts
}

#[test]
fn counters_are_a_shell_and_its_sleep() {
    for (name, shell, sleep) in
        [("podman-counter", 1, 5), ("cri-containerd-counter", 7, 16), ("cri-o-counter", 1, 9)]
    {
        let report = report(name);
        let told: Vec<_> = report
            .processes
            .iter()
            .map(|p| (p.pid, p.ppid, p.comm.as_deref(), p.threads.len(), p.uid, p.pages_id))
            .collect();
        assert_eq!(
            told,
            [
                (shell, 0, Some("sh"), 1, Some(0), Some(1)),
                (sleep, shell, Some("sleep"), 1, Some(0), Some(2))
            ],
            "{name}"
        );
        for process in &report.processes {
            assert_eq!(process.exe.as_deref(), Some("/bin/busybox"));
            assert_eq!(process.state, Some(TaskState::Alive));
            let kinds = [("Anonymous", 1), ("File", 5), ("Heap", 1), ("Stack", 1), ("Vdso", 1)];
            let kinds = kinds.into_iter().chain([("Vsyscall", 1), ("Vvar", 1)]);
            let kinds: BTreeMap<_, _> = kinds.map(|(k, n)| (k.to_owned(), n)).collect();
            assert_eq!(areas(process), kinds, "{name}");
            // Each page of the pages file is in some area.
            let present: u64 = process.areas.iter().map(|area| area.present_pages).sum();
            assert_eq!(present, process.present_pages, "{name}");
        }
    }
}

#[test]
fn inventory_of_the_podman_counter() {
    let criu = report("podman-counter").criu.unwrap();
    assert_eq!(criu.image_version, 2);
    assert_eq!(criu.run_id.as_deref(), Some("058300b4-7632-4ed9-93bf-35e99a6c637d"));
    assert_eq!((criu.lsm, criu.network_lock.as_deref()), (None, Some("iptables")));
    assert!(!criu.tcp_close && criu.plugins.is_empty());
}

#[test]
fn files_and_areas_of_the_podman_shell() {
    let report = report("podman-counter");
    let shell = &report.processes[0];
    let files: Vec<_> = shell
        .files
        .iter()
        .map(|f| (f.fd, f.kind, f.path_or_address.as_str(), f.access.as_deref(), f.position))
        .collect();
    assert_eq!(
        files,
        [
            (0, FileKind::Regular, "/dev/null", Some("rw"), Some(0)),
            (1, FileKind::Pipe, "pipe:[19224]", Some("w"), None),
            (2, FileKind::Pipe, "pipe:[19225]", Some("w"), None),
        ]
    );
    let lines: Vec<_> = shell
        .areas
        .iter()
        .map(|a| {
            let file = a.file.as_deref().unwrap_or("-");
            format!("{:x}-{:x} {} {:?} {file} {}", a.start, a.end, a.perms, a.kind, a.present_pages)
        })
        .collect();
    assert_eq!(
        lines,
        [
            "400000-401000 r--p File /bin/busybox 0",
            "401000-595000 r-xp File /bin/busybox 1",
            "595000-5ec000 r--p File /bin/busybox 0",
            "5ec000-5f4000 r--p File /bin/busybox 3",
            "5f4000-5f6000 rw-p File /bin/busybox 2",
            "5f6000-5fd000 rw-p Anonymous - 3",
            "1e41c000-1e43e000 rw-p Heap - 4",
            "7f74f8190000-7f74f8196000 r--p Vvar - 0",
            "7f74f8196000-7f74f8198000 r-xp Vdso - 2",
            "7ffe23440000-7ffe23461000 rw-p Stack - 2",
            "ffffffffff600000-ffffffffff601000 --xp Vsyscall - 0",
        ]
    );
}

#[test]
fn redis_has_its_threads_and_sockets() {
    let report = report("kubelet-containerd-redis");
    let [redis] = report.processes.as_slice() else { panic!("one process") };
    assert_eq!(redis.exe.as_deref(), Some("/usr/bin/redis-server"));
    let threads: Vec<_> =
        redis.threads.iter().map(|t| (t.tid, t.comm.as_deref().unwrap())).collect();
    assert_eq!(
        threads,
        [
            (1, "redis-server"),
            (7, "bio_close_file"),
            (8, "bio_aof"),
            (9, "bio_lazy_free"),
            (10, "jemalloc_bg_thd"),
            (11, "jemalloc_bg_thd"),
        ]
    );
    let files: Vec<_> =
        redis.files.iter().map(|f| (f.fd, f.path_or_address.as_str(), f.close_on_exec)).collect();
    assert_eq!(
        files,
        [
            (0, "/dev/null", false),
            (1, "pipe:[125687]", false),
            (2, "pipe:[125688]", false),
            (3, "pipe:[125748]", true),
            (4, "pipe:[125748]", true),
            (5, "pipe:[125749]", true),
            (6, "pipe:[125749]", true),
            (7, "anon_inode:[eventpoll]", true),
            (8, "0.0.0.0:16379", true),
            (9, "[::]:16379", true),
            (10, "pipe:[125755]", true),
            (11, "pipe:[125755]", true),
        ]
    );
    let socket = redis.files[9].socket.as_ref().unwrap();
    assert_eq!(
        (socket.family.as_str(), socket.protocol.as_deref(), socket.state.as_str()),
        ("inet6", Some("tcp"), "listen")
    );
    assert_eq!(redis.files[3].waiting_bytes, Some(0));
    assert_eq!(areas(redis)["Guard"], 5);
    assert_eq!(areas(redis)["File"], 70);
    assert_eq!(areas(redis)["Stack"], 1);
    assert_eq!(redis.areas.len(), 91);
    assert_eq!(redis.present_pages, 743);
    let present: u64 = redis.areas.iter().map(|area| area.present_pages).sum();
    assert_eq!(present, 743);
    assert!(redis.areas.iter().all(|a| a.kind != AreaKind::Guard || a.present_pages == 0));
}

#[test]
fn paths_of_commands() {
    let paths = command_paths(&images("cri-o-counter"));
    assert_eq!(paths, BTreeMap::from([(1, "sh".to_owned()), (9, "sh/sleep".to_owned())]));
}

#[test]
fn every_image_is_recognised_by_its_magic() {
    for (name, bytes) in ALL.iter().flat_map(|checkpoint| images(checkpoint)) {
        let Some(stem) = name.strip_suffix(".img") else { continue };
        let raw = ["iptables-", "route-"].iter().any(|raw| stem.starts_with(raw));
        let kind = identify(&bytes);
        assert_eq!(kind.is_none(), raw, "{name}");
        assert!(raw || stem.starts_with(kind.unwrap()), "{name} {kind:?}");
    }
}

#[test]
fn reports_serialize() {
    let json = serde_json::to_value(report("kubelet-containerd-redis")).unwrap();
    assert_eq!(json["processes"][0]["files"][8]["kind"], "inet-socket");
    assert_eq!(json["processes"][0]["files"][8]["socket"]["type"], "stream");
    assert_eq!(json["processes"][0]["areas"][0]["kind"], "file");
    assert_eq!(json["processes"][0]["state"], "alive");
}
