//! Where a checkpoint is put when nobody says: `<namespace>/<pod>/<container>:<time>`.

use jiff::Timestamp;
use pagevault_archive::{Engine, Identity};

/// The default repository of a checkpoint, in the grammar of repository names.
pub fn default_repository(identity: &Identity) -> String {
    let container = component(&identity.container_name);
    match (&identity.namespace, &identity.pod) {
        (Some(namespace), Some(pod)) => {
            format!("{}/{}/{container}", component(namespace), component(pod))
        }
        _ => match identity.engine {
            Engine::Podman => format!("podman/{container}"),
            Engine::Containerd => format!("containerd/{container}"),
            Engine::CriO => format!("cri-o/{container}"),
        },
    }
}

/// The tag of a checkpoint time: `20261123T092033Z`.
pub fn time_tag(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A name as a repository component: lower case, anything else a dash, none at the ends and no two
/// separators beside each other.
fn component(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            _ if out.ends_with(['-', '.', '_']) || out.is_empty() => {}
            '.' | '_' => out.push(c),
            _ => out.push('-'),
        }
    }
    let out = out.trim_end_matches(['-', '.', '_']);
    if out.is_empty() { "unnamed".to_owned() } else { out.chars().take(63).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_always_valid() {
        let cases = [
            ("redis", "redis"),
            ("Big_Name", "big_name"),
            ("a..b", "a.b"),
            ("a.-b", "a.b"),
            ("-x-", "x"),
            ("ümlaut", "mlaut"),
            ("???", "unnamed"),
            ("a b", "a-b"),
        ];
        for (name, expected) in cases {
            assert_eq!(component(name), expected);
            pagevault_api::reference::check_repository(&component(name)).unwrap();
        }
    }

    #[test]
    fn tags_are_times_in_utc() {
        let time: Timestamp = "2026-11-23T10:20:33.987+01:00".parse().unwrap();
        assert_eq!(time_tag(time), "20261123T092033Z");
    }
}
