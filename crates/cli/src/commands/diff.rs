//! `pagevault diff`.

use std::fmt::Write as _;

use pagevault_api::contents::{PageChanges, RootfsFile, Variable};
use pagevault_api::diff::{Change, Diff, MemoryDiff, RootfsDiff};

use super::{print, print_json};
use crate::args::DiffArgs;
use crate::text::{count, escape, size, table, things};

/// Lines of each kind that are shown; `--json` has all.
const LINES_MAX: usize = 40;

pub(crate) async fn run(args: DiffArgs) -> anyhow::Result<()> {
    let diff = args.server.client()?.diff(&args.from, &args.to).await?;
    if args.json { print_json(&diff) } else { Ok(print(&show(&diff))?) }
}

/// All of it was written by strangers.
fn show(diff: &Diff) -> String {
    let mut out = String::new();
    for (sign, it) in [("-", &diff.from), ("+", &diff.to)] {
        let taken = it.created_at.strftime("%Y-%m-%d %H:%M:%SZ");
        let _ = writeln!(out, "{sign} {}  {taken}", escape(&it.reference.to_string()));
    }
    memory(&mut out, &diff.memory);
    let detailed = |what: String, details: &[String]| match details {
        [] => what,
        details => format!("{what}  {}", details.join("; ")),
    };
    section(&mut out, "PROCESSES", &diff.processes, |it| {
        let what = format!("{} {}", it.pid, it.command.as_deref().unwrap_or("-"));
        (it.change, detailed(what, &it.details))
    });
    section(&mut out, "FILES", &diff.files, |it| {
        let what = format!("{} fd {}  {}", it.pid, it.fd, it.target);
        (it.change, detailed(what, &it.details))
    });
    section(&mut out, "SOCKETS", &diff.sockets, |it| {
        let socket = &it.socket;
        let [local, remote] = [&socket.local, &socket.remote].map(|a| a.as_deref().unwrap_or("-"));
        let protocol = socket.protocol.as_ref().unwrap_or(&socket.family);
        let what = format!("{} {protocol} {local} - {remote}  {}", it.pid, socket.state);
        (it.change, detailed(what, &it.details))
    });
    section(&mut out, "ENVIRONMENT", &diff.environment, |it| {
        let value = |it: &Option<Variable>| it.as_ref().map(variable).unwrap_or_default();
        let name = it.to.as_ref().or(it.from.as_ref()).map_or("", |it| it.name.as_str());
        let text = match it.change {
            Change::Added => format!("{name}={}", value(&it.to)),
            Change::Removed => format!("{name}={}", value(&it.from)),
            Change::Changed => format!("{name}={}, was {}", value(&it.to), value(&it.from)),
        };
        (it.change, text)
    });
    rootfs(&mut out, &diff.rootfs);
    out
}

fn variable(it: &Variable) -> String {
    it.value.clone().unwrap_or_else(|| "(kept back)".to_owned())
}

fn memory(out: &mut String, memory: &MemoryDiff) {
    match &memory.pages {
        None => out.push_str("  memory   cannot be compared: one of the two is kept as it came\n"),
        Some(pages) => {
            let PageChanges { same, changed, added, removed } = *pages;
            let _ = writeln!(
                out,
                "  memory   {} as they were, {} changed, {} added, {} removed",
                things(same, "page"),
                count(changed),
                count(added),
                count(removed)
            );
        }
    }
    if memory.areas.is_empty() {
        return;
    }
    out.push_str("\nMEMORY\n");
    let rows = memory.areas.iter().take(LINES_MAX).map(|area| {
        let pages = area.pages.unwrap_or_default();
        let [changed, added, removed] = [pages.changed, pages.added, pages.removed].map(count);
        let place = format!("{}-{}", area.start, area.end);
        let sign = sign(area.change).to_owned();
        let file = escape(area.file.as_deref().unwrap_or_default());
        let kind = escape(&area.kind);
        vec![sign, area.pid.to_string(), place, kind, changed, added, removed, file]
    });
    let header = ["", "PID", "AREA", "KIND", "CHANGED", "ADDED", "REMOVED", "FILE"];
    out.push_str(&table(&header, &rows.collect::<Vec<_>>(), &[1, 4, 5, 6]));
    rest(out, memory.areas.len());
}

fn rootfs(out: &mut String, rootfs: &RootfsDiff) {
    section(out, "ROOT FILE SYSTEM", &rootfs.files, |it| {
        let of = |it: &RootfsFile| format!("{}, {}", it.kind, size(it.bytes));
        let path = it.to.as_ref().or(it.from.as_ref()).map_or("", |it| it.path.as_str());
        let text = match (&it.from, &it.to) {
            (Some(from), Some(to)) => format!("{path}  {}, was {}", of(to), of(from)),
            (from, to) => {
                format!("{path}  {}", to.as_ref().or(from.as_ref()).map(of).unwrap_or_default())
            }
        };
        (it.change, text)
    });
    section(out, "DELETED FROM THE IMAGE", &rootfs.deleted, |path| (Change::Added, path.clone()));
    section(out, "THERE AGAIN", &rootfs.restored, |path| (Change::Removed, path.clone()));
}

/// A heading, and a line for each thing.
fn section<T>(out: &mut String, heading: &str, all: &[T], line: impl Fn(&T) -> (Change, String)) {
    if all.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{heading}");
    for it in all.iter().take(LINES_MAX) {
        let (change, text) = line(it);
        let _ = writeln!(out, "{} {}", sign(change), escape(&text));
    }
    rest(out, all.len());
}

fn sign(change: Change) -> &'static str {
    match change {
        Change::Added => "+",
        Change::Removed => "-",
        Change::Changed => "~",
    }
}

fn rest(out: &mut String, all: usize) {
    if all > LINES_MAX {
        let _ = writeln!(out, "… and {} more: --json", all - LINES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn for_people() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let it = |tag: &str| {
            json!({
                "reference": format!("shop/cart-0/redis:{tag}"), "digest": digest,
                "layerDigest": digest, "namespace": "shop", "pod": "cart-0", "container": "redis",
                "engine": "cri-o", "runtime": "runc", "image": "redis", "architecture": "amd64",
                "createdAt": "2026-11-23T09:20:33Z", "pushedAt": "2026-11-23T09:21:00Z",
                "logicalBytes": 1, "storedBytes": 1, "pinned": false
            })
        };
        let pages = json!({"same": 3000, "changed": 7, "added": 1, "removed": 0});
        let variable = |value: &str| json!({"name": "A", "value": value, "masked": false});
        let diff: Diff = serde_json::from_value(json!({
            "from": it("1"), "to": it("2"),
            "processes": [{"change": "added", "pid": 9, "command": "evil\u{1b}[2J", "details": []}],
            "memory": {"pages": pages, "areas": [{"change": "changed", "pid": 1, "start": "0x1000",
                "end": "0x9000", "kind": "anonymous", "pages": pages}]},
            "files": [{"change": "changed", "pid": 1, "fd": 3, "target": "/data/log",
                "details": ["position: 512, was 0"]}],
            "sockets": [],
            "environment": [{"change": "changed", "from": variable("x"),
                "to": {"name": "A", "masked": true}}],
            "rootfs": {"files": [{"change": "added", "to": {"path": "/tmp/a\n", "kind": "file",
                "bytes": 4096, "mode": 420}}], "deleted": vec!["/etc/motd"; 41], "restored": [],
                "truncated": false}
        }))
        .unwrap();
        let shown = show(&diff);
        assert!(shown.ends_with("+ /etc/motd\n… and 1 more: --json\n"));
        let shown = shown.split("\nDELETED").next().unwrap();
        insta::assert_snapshot!(shown, @r"
        - shop/cart-0/redis:1  2026-11-23 09:20:33Z
        + shop/cart-0/redis:2  2026-11-23 09:20:33Z
          memory   3,000 pages as they were, 7 changed, 1 added, 0 removed

        MEMORY
           PID  AREA           KIND       CHANGED  ADDED  REMOVED  FILE
        ~    1  0x1000-0x9000  anonymous        7      1        0

        PROCESSES
        + 9 evil\u{1b}[2J

        FILES
        ~ 1 fd 3  /data/log  position: 512, was 0

        ENVIRONMENT
        ~ A=(kept back), was x

        ROOT FILE SYSTEM
        + /tmp/a\n  file, 4.0 KiB
        ");
    }
}
