//! Archives whose tar is fine and whose contents must be refused.

use serde_json::{Value, json};

use crate::hostile::{HostileCase, case, valid};
use crate::raw_tar::TarWriter;
use crate::tarball::{Flavour, Tarball};

pub(crate) fn metadata_cases() -> Vec<HostileCase> {
    let images = image_references();
    let all = [shapes(), documents(), privileges(), keys_in_capitals(), mounts(), identities()];
    [all.concat(), podman_and_crio(), images].concat()
}

fn shapes() -> Vec<HostileCase> {
    let without = |path| valid().without(path).build();
    let with = |path| valid().member(path, "x").build();
    vec![
        case("empty tar", TarWriter::new().finish(), "checkpoint/inventory.img is missing"),
        case("no inventory", without("checkpoint/inventory.img"), "inventory.img is missing"),
        case(
            "inventory of text",
            valid().member("checkpoint/inventory.img", "hello").build(),
            "checkpoint/inventory.img is not what an engine writes",
        ),
        case("no config.dump", without("config.dump"), "config.dump is missing"),
        case("no spec.dump", without("spec.dump"), "spec.dump is missing"),
        case("pre-checkpoint", with("pre-checkpoint/inventory.img"), "incremental"),
        case("parent file", with("checkpoint/parent"), "incremental"),
        case("encrypted", with("checkpoint/cipher.img"), "encrypted"),
        case("whole pod", with("pod.dump"), "belongs to a whole pod"),
        case(
            "config.dump is a directory",
            valid().without("config.dump").writer().directory("config.dump/").finish(),
            "config.dump is missing",
        ),
    ]
}

fn documents() -> Vec<HostileCase> {
    let member = |path: &str, text: &str| valid().member(path, text).build();
    let nested = "[".repeat(100_000);
    vec![
        case("config.dump is not json", member("config.dump", "id: 1"), "config.dump is not what"),
        case("config.dump is empty", member("config.dump", ""), "config.dump is not what"),
        case("spec.dump cut", member("spec.dump", "{\"mounts\": ["), "spec.dump is not what"),
        case("spec.dump is a list", member("spec.dump", "[1]"), "spec.dump is not what"),
        case("spec.dump deep", member("spec.dump", &nested), "recursion limit"),
        case("status.dump is a number", member("status.dump", "7"), "status.dump is not what"),
        case("two documents", member("spec.dump", "{}{}"), "spec.dump is not what"),
        case("key twice", member("config.dump", r#"{"id": "a", "id": "b"}"#), "duplicate field"),
        case(
            "time is not one",
            valid().json("config.dump", |c| c["checkpointedTime"] = json!("now")).build(),
            "config.dump is not what",
        ),
    ]
}

fn privileges() -> Vec<HostileCase> {
    let spec = |change: fn(&mut Value)| valid().json("spec.dump", change).build();
    let hook = || json!({"createRuntime": [{"path": "/bin/sh"}]});
    let in_crio = Tarball::new(Flavour::CriO).json("spec.dump", |spec| {
        let text = json!({"cdi.k8s.io/gpu": "vendor.com/gpu=all"}).to_string();
        spec["annotations"]["io.kubernetes.cri-o.Annotations"] = json!(text);
    });
    vec![
        case(
            "cdi annotation",
            spec(|spec| spec["annotations"]["cdi.k8s.io/gpu"] = json!("vendor.com/gpu=all")),
            "asks for a device by annotation cdi.k8s.io/gpu",
        ),
        case(
            "cdi annotation in status.dump",
            valid().json("status.dump", |s| s["annotations"]["cdi.k8s.io/x"] = json!("v")).build(),
            "asks for a device by annotation cdi.k8s.io/x",
        ),
        case("cdi annotation in cri-o's", in_crio.build(), "asks for a device by annotation"),
        case(
            "hooks",
            valid().json("spec.dump", |spec| spec["hooks"] = hook()).build(),
            "has createRuntime hooks",
        ),
        case(
            "hooks in capitals",
            valid().json("spec.dump", |spec| spec["Hooks"] = hook()).build(),
            "has key Hooks, which some readers take for hooks",
        ),
        case(
            "hooks with a long s",
            valid().json("spec.dump", |spec| spec["hookſ"] = hook()).build(),
            "which some readers take for hooks",
        ),
        case(
            "device",
            spec(|spec| spec["linux"]["devices"] = json!([{"path": "/dev/sda", "type": "b"}])),
            "asks for device /dev/sda",
        ),
        case(
            "network device",
            spec(|spec| spec["linux"]["netDevices"] = json!({"eth0": {}})),
            "asks for device eth0",
        ),
    ]
}

/// Go matches keys without regard to case, at every depth: the last one counts.
fn keys_in_capitals() -> Vec<HostileCase> {
    let spec = |change: fn(&mut Value)| valid().json("spec.dump", change).build();
    let taken = "which some readers take for";
    vec![
        case("mount key", spec(|s| s["mounts"][1]["Source"] = json!("/etc")), "has key Source"),
        case("process key", spec(|s| s["process"]["Args"] = json!(["/bin/sh"])), "has key Args"),
        case("user key", spec(|s| s["process"]["user"]["UID"] = json!(0)), "has key UID"),
        case("linux key", spec(|s| s["linux"]["Devices"] = json!([])), "has key Devices"),
        case(
            "namespace key",
            spec(|s| s["linux"]["namespaces"][0]["Path"] = json!("/proc/1/ns/pid")),
            "has key Path, which some readers take for path",
        ),
        case("hostname key", spec(|s| s["hostName"] = json!("x")), taken),
        case(
            "restored key",
            valid().json("config.dump", |c| c["Restored"] = json!(true)).build(),
            "has key Restored, which some readers take for restored",
        ),
        case(
            "status metadata key",
            valid().json("status.dump", |s| s["metadata"]["Name"] = json!("x")).build(),
            "has key Name, which some readers take for name",
        ),
        case(
            "log path key",
            valid().json("status.dump", |s| s["Log_Path"] = json!("/etc/shadow")).build(),
            taken,
        ),
    ]
}

fn mounts() -> Vec<HostileCase> {
    let bind = |source: &str, destination: &str| {
        let list = json!([{"source": source, "destination": destination,
            "file_type": "directory", "permissions": 0o755}]);
        Tarball::new(Flavour::CriO).member("bind.mounts", list.to_string()).build()
    };
    let deleted = |path: &str| {
        Tarball::new(Flavour::CriO).member("deleted.files", json!([path]).to_string()).build()
    };
    vec![
        case("bind mount not in spec", bind("/etc", "/host"), "not among the mounts"),
        case("bind mount from elsewhere", bind("/etc/shadow", "/etc/hosts"), "not the source"),
        case("bind mount relative", bind("etc", "/etc/hosts"), "bind.mounts: etc is not"),
        case("bind mount up", bind("/a/../etc", "/etc/hosts"), "bind.mounts: /a/../etc is not"),
        case("bind mount to up", bind("/etc", "/etc/../hosts"), "bind.mounts: /etc/../hosts"),
        case("bind mount key", key_in_capitals(), "some readers take for source"),
        case("deleted up", deleted("../../etc/passwd"), "leads out of the container"),
        case("deleted up, absolute", deleted("/a/../../etc"), "leads out of the container"),
        case("deleted root", deleted("/"), "is the root"),
    ]
}

fn key_in_capitals() -> Vec<u8> {
    let list = json!([{"Source": "/etc", "destination": "/etc/hosts"}]);
    Tarball::new(Flavour::CriO).member("bind.mounts", list.to_string()).build()
}

fn identities() -> Vec<HostileCase> {
    let annotation = |key: &'static str, value: &'static str| {
        valid().json("spec.dump", |spec| spec["annotations"][key] = json!(value)).build()
    };
    let config = |key: &'static str, value: &'static str| {
        valid().json("config.dump", |config| config[key] = json!(value)).build()
    };
    let label = |key: &'static str, value: &'static str| {
        valid().json("status.dump", |status| status["labels"][key] = json!(value)).build()
    };
    let no_pod = valid().json("spec.dump", |spec| spec["annotations"] = json!({}));
    vec![
        case("no identity", no_pod.build(), "identity has no io.kubernetes.cri"),
        case("unknown engine", annotation("io.container.manager", "lxc"), "invalid engine: lxc"),
        case("namespace up", annotation(NAMESPACE, "../kube-system"), "invalid namespace"),
        case("namespace empty", annotation(NAMESPACE, ""), "invalid namespace"),
        case("pod with a slash", annotation("io.kubernetes.cri.sandbox-name", "a/b"), "pod name"),
        case("uid with a space", annotation("io.kubernetes.cri.sandbox-uid", "a b"), "pod uid"),
        case("container name", annotation("io.kubernetes.cri.container-name", "A_b"), "invalid"),
        case("another namespace", annotation(NAMESPACE, "kube-system"), "contradictory: full name"),
        case(
            "another namespace in status",
            label("io.kubernetes.pod.namespace", "kube-system"),
            "contradictory: namespace is shop in spec.dump, but kube-system in status.dump",
        ),
        case("another pod in status", label("io.kubernetes.pod.name", "b"), "contradictory: pod"),
        case(
            "another id in status",
            valid().json("status.dump", |status| status["id"] = json!("0")).build(),
            "contradictory: container id",
        ),
        case(
            "another container in status",
            valid().json("status.dump", |s| s["metadata"] = json!({"name": "x"})).build(),
            "contradictory: container name",
        ),
        case(
            "another image in status",
            valid().json("status.dump", |s| s["image_ref"] = json!("busybox")).build(),
            "contradictory: image reference",
        ),
        case("container id", config("id", "../../../etc"), "invalid container id"),
        case("image name", config("rootfsImageName", "a b; rm -rf"), "invalid image name"),
        case("image name up", config("rootfsImageName", "a/../../b"), "invalid image name"),
        case("image digest", config("rootfsImageRef", "a/b@sha256:00"), "invalid image reference"),
        case("runtime", config("runtime", "/bin/../runc"), "invalid runtime"),
    ]
}

const NAMESPACE: &str = "io.kubernetes.cri.sandbox-namespace";

fn podman_and_crio() -> Vec<HostileCase> {
    let podman = |name: &'static str| {
        Tarball::new(Flavour::Podman).json("config.dump", |c| c["name"] = json!(name)).build()
    };
    let crio = |key: &'static str, value: Value| {
        let change = |spec: &mut Value| spec["annotations"][key] = value;
        Tarball::new(Flavour::CriO).json("spec.dump", change).build()
    };
    let labels = json!(json!({"io.kubernetes.pod.namespace": "kube-system"}).to_string());
    vec![
        case("podman name", podman("../up"), "invalid container name"),
        case("podman without a name", podman(""), "invalid container name"),
        case(
            "cri-o labels",
            crio("io.kubernetes.cri-o.Labels", labels),
            "contradictory: namespace",
        ),
        case(
            "cri-o labels are not json",
            crio("io.kubernetes.cri-o.Labels", json!("{")),
            "spec.dump annotation io.kubernetes.cri-o.Labels is not what",
        ),
        case("cri-o id", crio("io.kubernetes.cri-o.ContainerID", json!("1")), "contradictory"),
        case(
            "cri-o metadata",
            crio("io.kubernetes.cri-o.Metadata", json!("{\"name\":\"other\"}")),
            "contradictory: container name",
        ),
        case(
            "cri-o metadata key",
            crio("io.kubernetes.cri-o.Metadata", json!("{\"name\":\"redis\",\"Name\":\"x\"}")),
            "has key Name, which some readers take for name",
        ),
    ]
}

/// CVE-2026-50195: a reference that can move is pulled, or tagged, as whatever its name means by then.
fn image_references() -> Vec<HostileCase> {
    let tagged = "registry.example/library/evil:latest";
    let containerd = |reference: &'static str| {
        valid()
            .json("config.dump", |config| config["rootfsImageRef"] = json!(reference))
            .json("status.dump", |status| status["image_ref"] = json!(reference))
            .build()
    };
    let other = |flavour, key: &'static str, reference: &'static str| {
        Tarball::new(flavour).json("config.dump", |c| c[key] = json!(reference)).build()
    };
    let id = "sha256:49f42f6aee917b96ebfc044f5c5b9e6a30eeb508c6dd13eff313cae40187d9fa";
    let expect = "invalid image reference";
    vec![
        case("image by tag", containerd(tagged), expect),
        case("image by a short digest", containerd("a/b@sha256:39ed"), expect),
        case("image by another digest", containerd("a/b@sha512:39ed"), expect),
        case("image of cri-o by tag", other(Flavour::CriO, "rootfsImageRef", tagged), expect),
        case("image of cri-o by digest", other(Flavour::CriO, "rootfsImageRef", id), expect),
        case("image of podman by tag", other(Flavour::Podman, "rootfsImageID", tagged), expect),
    ]
}
