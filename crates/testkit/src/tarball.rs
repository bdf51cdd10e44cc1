//! A small checkpoint archive as an engine writes it: valid unless told otherwise, and the same bytes every time.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::criu_images;
use crate::raw_tar::{MTIME, TarWriter};

/// Bytes of a page of memory.
pub const PAGE_BYTES: usize = 4096;

/// The container's id in every archive that is made here.
pub const CONTAINER_ID: &str = "1f2e3d4c5b6a79880716253443526170f1e2d3c4b5a697887960514233241506";
/// The pod sandbox's id.
pub const SANDBOX_ID: &str = "a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9f";
/// Digest of the image's manifest.
pub const IMAGE_DIGEST: &str =
    "sha256:39ed4a72e060bf4dc7e4c2080b52d078aaa2e4a9ddee6db77677e2a3929575e0";
/// Id of the image in an engine's storage.
pub const IMAGE_ID: &str = "49f42f6aee917b96ebfc044f5c5b9e6a30eeb508c6dd13eff313cae40187d9fa";
/// Uid of the pod.
pub const POD_UID: &str = "21df8fd8-82a0-4451-9536-6a3bfd14a1d3";

/// Whose way of writing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `podman container checkpoint --export --compress=none`.
    Podman,
    /// A kubelet with containerd.
    Containerd,
    /// A kubelet with CRI-O.
    CriO,
}

/// A process and what is in its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id inside the container.
    pub pid: u32,
    /// Runs of pages: address, and contents in whole pages.
    pub runs: Vec<(u64, Vec<u8>)>,
}

/// Builds an archive.
#[derive(Clone, Debug)]
pub struct Tarball {
    flavour: Flavour,
    namespace: String,
    pod: String,
    container: String,
    image: String,
    checkpointed_at: u64,
    processes: Vec<Process>,
    /// Members that are put in place of the usual ones, taken out (`None`), or added at the end.
    changes: Vec<(String, Option<Vec<u8>>)>,
}

impl Tarball {
    /// `shop/cart-0`, container `redis` (podman: container `redis`), one process with four pages.
    #[must_use]
    pub fn new(flavour: Flavour) -> Self {
        let pages = (1_u8..=4).flat_map(|fill| [fill; PAGE_BYTES]).collect();
        Self {
            flavour,
            namespace: "shop".to_owned(),
            pod: "cart-0".to_owned(),
            container: "redis".to_owned(),
            image: "registry.example/base/redis:1".to_owned(),
            checkpointed_at: MTIME,
            processes: vec![Process { pid: 1, runs: vec![(0x7000_0000_0000, pages)] }],
            changes: Vec::new(),
        }
    }

    /// Another pod and container.
    #[must_use]
    pub fn named(mut self, namespace: &str, pod: &str, container: &str) -> Self {
        (self.namespace, self.pod) = (namespace.to_owned(), pod.to_owned());
        self.container = container.to_owned();
        self
    }

    /// Another image name.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    /// Another time, in seconds since 1970.
    #[must_use]
    pub fn at(mut self, seconds: u64) -> Self {
        self.checkpointed_at = seconds;
        self
    }

    /// Other processes.
    #[must_use]
    pub fn processes(mut self, processes: Vec<Process>) -> Self {
        self.processes = processes;
        self
    }

    /// Replaces a member, or adds one at the end.
    #[must_use]
    pub fn member(mut self, path: &str, data: impl Into<Vec<u8>>) -> Self {
        self.changes.push((path.to_owned(), Some(data.into())));
        self
    }

    /// Leaves a member out.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.changes.push((path.to_owned(), None));
        self
    }

    /// Changes a member that is JSON.
    #[must_use]
    pub fn json(self, path: &str, change: impl FnOnce(&mut Value)) -> Self {
        let members = self.members();
        let found = members.iter().find(|(name, _)| name == path);
        let mut value =
            found.and_then(|(_, data)| serde_json::from_slice(data).ok()).unwrap_or(Value::Null);
        change(&mut value);
        self.member(path, value.to_string())
    }

    /// The archive, without its end marker: more entries can be written.
    #[must_use]
    pub fn writer(&self) -> TarWriter {
        let mut tar = TarWriter::new();
        for (path, data) in self.members() {
            let size_and_time = |header: &mut tar::Header| header.set_mtime(self.checkpointed_at);
            tar = match path.strip_suffix('/') {
                Some(_) => tar.with(b'5', path.as_bytes(), b"", |header| {
                    header.set_mode(0o700);
                    size_and_time(header);
                }),
                None => tar.with(b'0', path.as_bytes(), &data, size_and_time),
            };
        }
        tar
    }

    /// The archive: an uncompressed tar.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        self.writer().finish()
    }

    /// All members in the order in which the engine writes them; directories end with a slash.
    #[must_use]
    pub fn members(&self) -> Vec<(String, Vec<u8>)> {
        let mut members = match self.flavour {
            Flavour::Podman => [self.metadata(), self.images(), self.rootfs()].concat(),
            Flavour::Containerd | Flavour::CriO => {
                [self.images(), self.metadata(), self.rootfs()].concat()
            }
        };
        for (path, change) in &self.changes {
            let at = members.iter().position(|(name, _)| name == path);
            match (at, change) {
                (Some(at), Some(data)) => members[at].1.clone_from(data),
                (Some(at), None) => drop(members.remove(at)),
                (None, Some(data)) => members.push((path.clone(), data.clone())),
                (None, None) => {}
            }
        }
        members
    }

    fn images(&self) -> Vec<(String, Vec<u8>)> {
        let mut images = vec![
            ("inventory".to_owned(), criu_images::inventory()),
            ("pstree".to_owned(), criu_images::pstree(&self.processes)),
        ];
        for (pages_id, process) in (1_u32..).zip(&self.processes) {
            let pid = process.pid;
            images.extend([
                (format!("core-{pid}"), criu_images::core("redis-server")),
                (format!("mm-{pid}"), criu_images::mm(process)),
                (format!("pagemap-{pid}"), criu_images::pagemap(pages_id, process)),
                (format!("pages-{pages_id}"), criu_images::pages(process)),
            ]);
        }
        // By name, as the engines' directory walk has them: pages come before pstree.
        images.sort();
        let files = images.into_iter().map(|(name, data)| (format!("checkpoint/{name}.img"), data));
        std::iter::once(("checkpoint/".to_owned(), Vec::new())).chain(files).collect()
    }

    fn metadata(&self) -> Vec<(String, Vec<u8>)> {
        let file = |path: &str, value: Value| (path.to_owned(), value.to_string().into_bytes());
        let (config, spec) = (self.config(), self.spec());
        let mut files = vec![file("config.dump", config), file("spec.dump", spec)];
        match self.flavour {
            Flavour::Podman => files.push(file("network.status", Value::Null)),
            Flavour::Containerd => files.push(file("status.dump", self.status())),
            Flavour::CriO => {
                let bind = json!([{"source": HOSTS_SOURCE, "destination": "/etc/hosts",
                    "file_type": "file", "permissions": 0o644}]);
                files.push(file("bind.mounts", bind));
                files.push(file("deleted.files", json!(["/data/old"])));
            }
        }
        files
    }

    fn rootfs(&self) -> Vec<(String, Vec<u8>)> {
        let tar = TarWriter::new().directory("etc/").file("etc/hostname", b"cart-0\n").finish();
        vec![("rootfs-diff.tar".to_owned(), tar)]
    }

    fn config(&self) -> Value {
        let created = time(self.checkpointed_at.saturating_sub(60));
        if self.flavour == Flavour::Podman {
            return json!({"id": CONTAINER_ID, "name": self.container, "rootfsImageID": IMAGE_ID,
                "rootfsImageName": self.image, "RawImageName": self.image, "createdTime": created,
                "runtime": "crun"});
        }
        let (prefix, runtime) = match self.flavour {
            Flavour::CriO => ("k8s_", "runc"),
            _ => ("", "io.containerd.runc.v2"),
        };
        let Self { container, pod, namespace, .. } = self;
        json!({"id": CONTAINER_ID, "name": format!("{prefix}{container}_{pod}_{namespace}_{POD_UID}_0"),
            "rootfsImage": self.image, "rootfsImageRef": self.image_ref(),
            "rootfsImageName": self.image, "runtime": runtime, "createdTime": created,
            "checkpointedTime": time(self.checkpointed_at), "restoredTime": "0001-01-01T00:00:00Z",
            "restored": false})
    }

    fn image_ref(&self) -> String {
        match self.flavour {
            Flavour::Containerd => self.image_with_digest(),
            _ => IMAGE_ID.to_owned(),
        }
    }

    fn image_with_digest(&self) -> String {
        let repository = self.image.rsplit_once(':').map_or(&*self.image, |(name, _)| name);
        format!("{repository}@{IMAGE_DIGEST}")
    }

    fn spec(&self) -> Value {
        json!({"ociVersion": "1.2.1",
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["/usr/bin/redis-server"],
                "env": ["PATH=/usr/bin:/bin"], "cwd": "/data"},
            "root": {"path": "rootfs"},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/etc/hosts", "type": "bind", "source": HOSTS_SOURCE,
                    "options": ["rbind", "rprivate", "rw"]}],
            "annotations": self.annotations(),
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}})
    }

    fn annotations(&self) -> Value {
        let Self { container, pod, namespace, .. } = self;
        match self.flavour {
            Flavour::Podman => json!({"io.container.manager": "libpod"}),
            Flavour::Containerd => json!({"io.kubernetes.cri.container-name": container,
                "io.kubernetes.cri.container-type": "container",
                "io.kubernetes.cri.image-name": self.image,
                "io.kubernetes.cri.sandbox-id": SANDBOX_ID,
                "io.kubernetes.cri.sandbox-name": pod,
                "io.kubernetes.cri.sandbox-namespace": namespace,
                "io.kubernetes.cri.sandbox-uid": POD_UID}),
            Flavour::CriO => json!({"io.container.manager": "cri-o",
                "io.kubernetes.container.name": container,
                "io.kubernetes.cri-o.Annotations": "{\"io.kubernetes.container.hash\":\"0\"}",
                "io.kubernetes.cri-o.ContainerID": CONTAINER_ID,
                "io.kubernetes.cri-o.ImageName": self.image,
                "io.kubernetes.cri-o.ImageRepoDigests": self.image_with_digest(),
                "io.kubernetes.cri-o.Labels": self.labels().to_string(),
                "io.kubernetes.cri-o.Metadata": json!({"name": container}).to_string(),
                "io.kubernetes.cri-o.SandboxID": SANDBOX_ID,
                "io.kubernetes.pod.name": pod, "io.kubernetes.pod.namespace": namespace,
                "io.kubernetes.pod.uid": POD_UID}),
        }
    }

    fn labels(&self) -> Value {
        json!({"io.kubernetes.container.name": self.container,
            "io.kubernetes.pod.name": self.pod, "io.kubernetes.pod.namespace": self.namespace,
            "io.kubernetes.pod.uid": POD_UID})
    }

    fn status(&self) -> Value {
        json!({"id": CONTAINER_ID, "metadata": {"name": self.container}, "state": 1,
            "image": {"image": self.image}, "image_ref": self.image_with_digest(),
            "labels": self.labels(), "annotations": {"io.kubernetes.container.hash": "0"}})
    }
}

/// The kubelet's file that is mounted at `/etc/hosts`.
const HOSTS_SOURCE: &str = "/var/lib/kubelet/pods/21df8fd8-82a0-4451-9536-6a3bfd14a1d3/etc-hosts";

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok());
    time.unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
