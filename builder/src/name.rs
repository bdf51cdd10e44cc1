//! Where a checkpoint is put when nobody says: `<namespace>/<pod>/<container>:<time>`.

use jiff::Timestamp;
use pagevault_api::reference::NAME_MAX;
use pagevault_archive::{Engine, Identity};
use sha2::{Digest as _, Sha256};

/// Bytes of a namespace or of the name of a container in a pod, which Kubernetes bounds by the same.
const LABEL_MAX: usize = 63;
/// Hexadecimal digits of the hash that tells apart what was cut to the same.
const HASH_CHARS: usize = 8;

/// The default repository of a checkpoint, in the grammar of repository names.
///
/// Names that Kubernetes allows are kept as they are, as far as they fit: of a pod's, only the end tells one replica
/// from the other, so one that is too long is cut and gets a hash of the whole.
pub fn default_repository(identity: &Identity) -> String {
    match (&identity.namespace, &identity.pod) {
        (Some(namespace), Some(pod)) => {
            let namespace = component(namespace, LABEL_MAX);
            let container = component(&identity.container_name, LABEL_MAX);
            let slashes = 2;
            let taken = namespace.len().saturating_add(container.len()).saturating_add(slashes);
            format!("{namespace}/{}/{container}", component(pod, NAME_MAX.saturating_sub(taken)))
        }
        _ => {
            let engine = match identity.engine {
                Engine::Podman => "podman/",
                Engine::Containerd => "containerd/",
                Engine::CriO => "cri-o/",
            };
            let room = NAME_MAX.saturating_sub(engine.len());
            format!("{engine}{}", component(&identity.container_name, room))
        }
    }
}

/// The tag of a checkpoint time: `20261123T092033Z`.
pub fn time_tag(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A name as a repository component of at most `max` bytes: lower case, anything else a dash, none at the ends, and
/// no two separators beside each other but dashes.
fn component(name: &str, max: usize) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        let separated = out.is_empty() || out.ends_with(['.', '_']);
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            '-' if out.ends_with('-') => out.push(c),
            _ if separated || out.ends_with('-') => {}
            '.' | '_' => out.push(c),
            _ => out.push('-'),
        }
    }
    let whole = trimmed(&out);
    match whole.len() {
        0 => "unnamed".to_owned(),
        len if len <= max => whole.to_owned(),
        _ => cut(whole, name, max),
    }
}

/// As much of a component as leaves room for a hash of the name that it stands for.
fn cut(component: &str, name: &str, max: usize) -> String {
    let hash = hex::encode(Sha256::digest(name));
    let hash = hash.get(..HASH_CHARS).unwrap_or(&hash);
    let room = max.saturating_sub(HASH_CHARS).saturating_sub(1);
    // All ASCII: every place is between characters.
    let head = trimmed(component.get(..room).unwrap_or(component));
    format!("{head}-{hash}")
}

/// Without separators at the end, which cutting may have bared.
fn trimmed(component: &str) -> &str {
    component.trim_end_matches(['-', '.', '_'])
}

#[cfg(test)]
mod tests;
