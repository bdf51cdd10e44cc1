//! What a restore needs, and what may stand in its way.

use std::collections::BTreeSet;

use pagevault_api::restore::{ListeningPort, NeededMount, Obstacle, ObstacleKind, RestoreNeeds};
use pagevault_archive::{Checkpoint as Archive, Engine, Mount};
use pagevault_criu::{FileKind, OpenFile, Report};

use super::contents;

/// Mounts that every engine, or the kubelet, makes by itself (cri-o
/// `server/container_restore.go`, kubelet `kubelet_pods.go`).
const MADE_ANYWAY: [&str; 18] = [
    "/proc",
    "/dev",
    "/dev/pts",
    "/dev/mqueue",
    "/dev/shm",
    "/dev/termination-log",
    "/sys",
    "/sys/fs/cgroup",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/passwd",
    "/etc/group",
    "/run/secrets",
    "/run/.containerenv",
    "/run/.dockerenv",
    "/.dockerenv",
    "/etc/localtime",
];

/// Devices that every container has.
const USUAL_DEVICES: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/console",
];

pub(super) fn of(archive: &Archive, report: &Report) -> RestoreNeeds {
    let mut needs = RestoreNeeds {
        mounts: mounts(&archive.spec.mounts),
        ports: ports(report),
        connections: contents::connections(report),
        obstacles: Vec::new(),
    };
    needs.obstacles = obstacles(archive, report, &needs);
    needs
}

fn mounts(all: &[Mount]) -> Vec<NeededMount> {
    let needed = all.iter().filter(|mount| !MADE_ANYWAY.contains(&mount.destination.as_str()));
    let needed = needed.map(|mount| NeededMount {
        path: mount.destination.clone(),
        kind: mount.kind.clone(),
        read_only: mount.options.iter().any(|option| option == "ro"),
    });
    needed.collect()
}

fn ports(report: &Report) -> Vec<ListeningPort> {
    let files = report.processes.iter().flat_map(|process| &process.files);
    let ports = files.filter_map(|file| {
        let socket = file.socket.as_ref()?;
        let protocol = socket.protocol.as_deref()?;
        // A UDP socket without another side takes what comes.
        let listens = match protocol {
            "tcp" => socket.state == "listen",
            "udp" => socket.remote.is_none(),
            _ => false,
        };
        let (address, port) = socket.local.as_deref().filter(|_| listens)?.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let address = address.trim_matches(['[', ']']).to_owned();
        Some(ListeningPort { protocol: protocol.to_owned(), port, address })
    });
    ports.collect::<BTreeSet<_>>().into_iter().collect()
}

fn obstacles(archive: &Archive, report: &Report, needs: &RestoreNeeds) -> Vec<Obstacle> {
    let mut all = Vec::new();
    let mut add = |kind, fatal, detail: String| all.push(Obstacle { kind, fatal, detail });
    if !needs.connections.is_empty() {
        let number = needs.connections.len();
        add(
            ObstacleKind::TcpConnections,
            true,
            format!(
                "{number} open TCP connections: the node needs tcp-established (where the pod keeps \
                 its address) or tcp-close in /etc/criu/runc.conf"
            ),
        );
    }
    if !needs.mounts.is_empty() {
        let paths: Vec<_> = needs.mounts.iter().map(|mount| mount.path.as_str()).collect();
        let paths = paths.join(", ");
        add(ObstacleKind::Mounts, true, format!("mounts must be declared at {paths}"));
    }
    let devices = names(report, |file| {
        let path = file.path_or_address.as_str();
        let of_all = USUAL_DEVICES.contains(&path) || path.starts_with("/dev/pts/");
        let in_memory = path.starts_with("/dev/shm/") || path.starts_with("/dev/mqueue/");
        file.kind == FileKind::Tunnel
            || (file.kind == FileKind::Regular
                && path.starts_with("/dev/")
                && !of_all
                && !in_memory)
    });
    if !devices.is_empty() {
        let detail = format!("devices that the node must have: {}", devices.join(", "));
        add(ObstacleKind::Devices, false, detail);
    }
    let external = names(report, |file| file.kind == FileKind::External);
    if !external.is_empty() {
        let detail = "files of a plugin are open, which has to take part in the restore".to_owned();
        add(ObstacleKind::External, false, detail);
    }
    let plugins = report.criu.as_ref().map(|criu| criu.plugins.join(", ")).unwrap_or_default();
    if !plugins.is_empty() {
        add(ObstacleKind::Plugins, true, format!("CRIU needs the plugins {plugins}"));
    }
    let identity = &archive.identity;
    if identity.engine == Engine::Containerd {
        if identity.image_digest.is_none() {
            let detail = "the base image is known by its id only, as an imported one is: containerd \
                          finds base images by name and digest";
            add(ObstacleKind::BaseImage, true, detail.to_owned());
        }
        let detail = "containerd 2.4 and later do not restore from an image; 2.2.7 and 2.3.4 and \
                      later do if enable_experimental_restore_via_create is set";
        add(ObstacleKind::Engine, false, detail.to_owned());
    }
    all
}

/// What some open files are called, each once.
fn names(report: &Report, wanted: impl Fn(&OpenFile) -> bool) -> Vec<String> {
    let files = report.processes.iter().flat_map(|process| &process.files);
    let names = files.filter(|file| wanted(file)).map(|file| file.path_or_address.clone());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}
