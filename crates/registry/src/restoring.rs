//! Manifests and commands that restore a checkpoint.

use std::fmt::Write as _;

use pagevault_api::annotations;
use pagevault_api::ascii;
use pagevault_api::checkpoint::Origin;
use pagevault_api::contents::TcpConnection;
use pagevault_api::reference::Reference;
use pagevault_api::restore::{NeededMount, Obstacle, ObstacleKind, RestoreManifests, RestoreNeeds};
use serde_json::Value;

use crate::history::Found;
use crate::{Registry, Result};

/// Where a pod's service account is mounted.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

impl Registry {
    /// How to restore a checkpoint; `registry` is what nodes call this one.
    pub async fn restore_manifests(
        &self,
        reference: &Reference,
        registry: &str,
    ) -> Result<RestoreManifests> {
        let found = self.find(reference).await?;
        let mut needs = self.detail(reference, &found).await?.restore;
        needs.obstacles.extend(unmarked(&found));
        let image = Reference::digest(&reference.repository, found.manifest.digest.clone());
        Ok(manifests(&found, reference, format!("{registry}/{image}"), needs))
    }
}

/// What an engine would take for an ordinary image: one that others built, without its annotation.
fn unmarked(found: &Found) -> Option<Obstacle> {
    let summary = &found.checkpoint.summary;
    let key = match summary.engine.as_str() {
        "cri-o" => annotations::CRIO_NAME,
        "containerd" => annotations::criu::CONTAINER_NAME,
        "podman" => annotations::podman::NAME,
        _ => return None,
    };
    let marked = summary.origin == Origin::Push || found.manifest.annotations.contains_key(key);
    (!marked).then(|| {
        let detail = format!(
            "{} does not take it for a checkpoint: it lacks the annotation {key}; pull its layer and \
             push that with pagevault push",
            summary.engine
        );
        Obstacle { kind: ObstacleKind::Image, fatal: true, detail }
    })
}

fn manifests(
    found: &Found,
    reference: &Reference,
    image: String,
    needs: RestoreNeeds,
) -> RestoreManifests {
    let of = |engine| found.checkpoint.summary.engine == engine;
    let pod = |notes: &[&str]| pod(found, &image, &needs, notes);
    RestoreManifests {
        reference: reference.clone(),
        crio: of("cri-o").then(|| {
            pod(&["The base image must be on the node: crictl pull it first."])
        }),
        containerd: of("containerd").then(|| {
            pod(&[
                "containerd 2.1 to 2.3, with enable_experimental_restore_via_create = true from 2.2.7 \
                 and 2.3.4 on.",
                "2.4 and later do not restore from an image.",
            ])
        }),
        podman: of("podman").then(|| podman(&image, &needs.connections)),
        needs,
        image,
    }
}

fn podman(image: &str, connections: &[TcpConnection]) -> String {
    let established = if connections.is_empty() { "" } else { " --tcp-established" };
    format!("podman pull {image}\npodman container restore{established} {image}\n")
}

/// The pod, in YAML. Texts are written as JSON has them, in ASCII, which YAML reads the same way:
/// nothing in an archive gets out of its quotes, or shows as what it is not.
fn pod(found: &Found, image: &str, needs: &RestoreNeeds, notes: &[&str]) -> String {
    let it = &found.checkpoint.summary;
    let account = needs.mounts.iter().any(|mount| mount.path == SERVICE_ACCOUNT);
    let mounts: Vec<_> =
        needs.mounts.iter().filter(|mount| mount.path != SERVICE_ACCOUNT).collect();
    let mut out = String::new();
    for note in notes {
        let _ = writeln!(out, "# {note}");
    }
    for obstacle in needs.obstacles.iter().filter(|obstacle| obstacle.fatal) {
        let _ = writeln!(out, "# {}", obstacle.detail.escape_debug());
    }
    let name = format!("{}-restored", it.pod.get(..244).unwrap_or(&it.pod));
    let _ = write!(
        out,
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {}\n  namespace: {}\nspec:\n  \
         # A restart would begin at the checkpoint again.\n  restartPolicy: Never\n  \
         automountServiceAccountToken: {account}\n  nodeSelector:\n    kubernetes.io/arch: {}\n  \
         containers:\n  - name: {}\n    image: {}\n",
        quoted(&name),
        quoted(&it.namespace),
        quoted(&it.architecture),
        quoted(&it.container),
        quoted(image),
    );
    volumes(&mut out, &mounts);
    out
}

/// The mounts of the container, on volumes that stand for what was there: the archive does not tell.
fn volumes(out: &mut String, mounts: &[&NeededMount]) {
    if mounts.is_empty() {
        return;
    }
    out.push_str("    volumeMounts:\n");
    for (number, mount) in mounts.iter().enumerate() {
        let (path, read_only) = (quoted(&mount.path), mount.read_only);
        let _ = writeln!(
            out,
            "    - {{ name: volume-{number}, mountPath: {path}, readOnly: {read_only} }}"
        );
    }
    out.push_str("  # Put the volumes of the source here.\n  volumes:\n");
    for (number, mount) in mounts.iter().enumerate() {
        let medium = if mount.kind == "tmpfs" { "medium: Memory" } else { "" };
        let _ = writeln!(out, "  - {{ name: volume-{number}, emptyDir: {{ {medium} }} }}");
    }
}

fn quoted(text: &str) -> String {
    ascii::yaml(&Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_reads_what_was_quoted() {
        for text in [
            "plain",
            "\"}\n- {",
            "a\u{7f}\u{85}\u{9b}31m\u{200b}\u{202e}gnp.\u{2028}",
            "日本 😀\u{e0041}",
        ] {
            let quoted = quoted(text);
            assert!(quoted.bytes().all(|b| matches!(b, b' '..=b'~')), "{quoted}");
            let read: Value = serde_saphyr::from_str(&format!("name: {quoted}\n")).unwrap();
            assert_eq!(read["name"], text);
        }
    }
}
