//! Parts of a checkpoint, as `inspect` shows them. All of it was written by strangers.

use std::fmt::Write as _;

use pagevault_api::ascii;
use pagevault_api::contents::{Environment, MemoryMap, OpenFiles, RootfsChanges};
use pagevault_api::reference::Reference;
use pagevault_api::restore::RestoreManifests;
use pagevault_client::Client;
use serde::Serialize;

use super::super::{print, print_json};
use super::show::text;
use crate::args::PartArgs;
use crate::text::{count, escape, short, size, table};

/// Shows the part that is asked for; false if none is.
pub(crate) async fn show(
    client: &Client,
    reference: &Reference,
    part: &PartArgs,
    json: bool,
) -> anyhow::Result<bool> {
    if part.memory {
        tell(&client.memory_map(reference).await?, json, memory)?;
    } else if part.files {
        tell(&client.open_files(reference).await?, json, files)?;
    } else if part.env {
        tell(&client.environment(reference).await?, json, environment)?;
    } else if part.rootfs {
        tell(&client.rootfs(reference).await?, json, rootfs)?;
    } else if let Some(registry) = &part.restore {
        let registry = Some(registry.as_str()).filter(|registry| !registry.is_empty());
        tell(&client.restore(reference, registry).await?, json, restore)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn tell<T: Serialize>(part: &T, json: bool, show: impl Fn(&T) -> String) -> anyhow::Result<()> {
    if json { print_json(part) } else { Ok(print(&show(part))?) }
}

fn memory(map: &MemoryMap) -> String {
    let mut out = String::new();
    if let Some(against) = &map.against {
        let _ = writeln!(out, "against sha256 {}…", short(against.as_ref()));
    }
    let areas = map.processes.iter().flat_map(|p| p.areas.iter().map(move |area| (p.pid, area)));
    let rows = areas.map(|(pid, area)| {
        let changes = area.changes.filter(|_| map.against.is_some());
        let number = |of: u64| changes.map_or_else(|| "-".to_owned(), |_| count(of));
        let [changed, added] = [
            number(changes.unwrap_or_default().changed),
            number(changes.unwrap_or_default().added),
        ];
        vec![
            pid.to_string(),
            format!("{}-{}", area.start, area.end),
            escape(&area.rights),
            escape(&area.kind),
            count(area.pages),
            changed,
            added,
            escape(area.file.as_deref().unwrap_or_default()),
        ]
    });
    let header = ["PID", "AREA", "", "KIND", "PAGES", "CHANGED", "ADDED", "FILE"];
    out.push_str(&table(&header, &rows.collect::<Vec<_>>(), &[0, 4, 5, 6]));
    out
}

fn files(files: &OpenFiles) -> String {
    let rows = files.items.iter().map(|file| {
        let state = file.socket.as_ref().map(|socket| {
            let protocol = socket.protocol.as_ref().unwrap_or(&socket.family);
            format!("{protocol} {}", socket.state)
        });
        vec![
            file.pid.to_string(),
            file.fd.to_string(),
            escape(&state.unwrap_or_else(|| file.kind.clone())),
            escape(&text(file.access.as_deref())),
            escape(&file.target),
        ]
    });
    table(&["PID", "FD", "KIND", "ACCESS", "WHAT"], &rows.collect::<Vec<_>>(), &[0, 1])
}

fn environment(environment: &Environment) -> String {
    let line = |it: &pagevault_api::contents::Variable| {
        let value = it.value.as_deref().unwrap_or("(kept back)");
        format!("{}={}\n", escape(&it.name), escape(value))
    };
    environment.items.iter().map(line).collect()
}

fn rootfs(rootfs: &RootfsChanges) -> String {
    let rows = rootfs.items.iter().map(|file| {
        let time = file.modified_at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
        vec![
            escape(&file.kind),
            size(file.bytes),
            text(time.as_deref()),
            escape(&match &file.target {
                Some(target) => format!("{} -> {target}", file.path),
                None => file.path.clone(),
            }),
        ]
    });
    let gone = rootfs.deleted.iter();
    let gone =
        gone.map(|path| vec!["deleted".to_owned(), String::new(), String::new(), escape(path)]);
    let rows: Vec<_> = rows.chain(gone).collect();
    let mut out = match rows.is_empty() {
        true => "nothing was changed\n".to_owned(),
        false => table(&["KIND", "SIZE", "CHANGED (UTC)", "PATH"], &rows, &[1]),
    };
    if rootfs.truncated {
        out.push_str("… and more than are kept\n");
    }
    out
}

/// Written for files and shells: as it is, but for what could move a cursor, which is written as YAML
/// reads it.
fn restore(manifests: &RestoreManifests) -> String {
    let RestoreManifests { crio, containerd, podman, .. } = manifests;
    let parts = [crio, containerd, podman].into_iter().flatten();
    let lines = parts.flat_map(|part| part.lines()).map(|line| ascii::yaml(line) + "\n");
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pod_quotes_stays_readable_and_harmless() {
        let manifests = serde_json::json!({
            "reference": "a/b:c",
            "image": "r/a/b@sha256:00",
            "containerd": "kind: Pod\n  name: \"\u{9b}2J\u{202e}\u{1f600}\"\n",
            "needs": {
                "baseImage": "", "processes": 0, "memoryBytes": 0, "architecture": "", "mounts": [],
                "ports": [], "connections": [], "obstacles": []
            },
        });
        let manifests: RestoreManifests = serde_json::from_value(manifests).unwrap();
        let expected = "kind: Pod\n  name: \"\\u009b2J\\u202e\\U0001f600\"\n";
        assert_eq!(restore(&manifests), expected);
    }
}
