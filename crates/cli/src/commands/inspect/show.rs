//! What `inspect` shows to people. All of it was written by strangers.

use std::fmt::Write as _;

use pagevault_api::checkpoint::CheckpointDetail;
use serde_json::Value;

use super::local::View;
use crate::text::{count, escape, share, short, size, table, things};

/// Processes, connections and warnings that are shown; `--json` has all.
const LINES_MAX: usize = 40;

/// A checkpoint on the server.
pub(crate) fn stored(detail: &CheckpointDetail) -> String {
    let it = &detail.summary;
    let mut out = format!("{}\n", escape(&it.reference.to_string()));
    field(&mut out, "digest", it.digest.as_ref());
    field(&mut out, "layer", it.layer_digest.as_ref());
    field(&mut out, "taken", &it.created_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
    field(&mut out, "of", &format!("{}/{}/{}", it.namespace, it.pod, it.container));
    optional(&mut out, "workload", it.workload.as_deref());
    optional(&mut out, "node", it.node.as_deref());
    field(&mut out, "image", &it.image);
    field(&mut out, "by", &by(&it.engine, &it.runtime, Some(&it.architecture)));
    for (key, value) in &it.labels {
        field(&mut out, "label", &format!("{key}={value}"));
    }
    field(&mut out, "size", &size(it.logical_bytes));
    let share = share(it.stored_bytes, it.logical_bytes);
    field(&mut out, "stored", &format!("{}, {share} of that", size(it.stored_bytes)));
    let base = it.base.as_ref().map(|base| format!("sha256 {}…", short(base.as_ref())));
    optional(&mut out, "against", base.as_deref());
    let pages = &detail.stats.pages;
    let text = format!(
        "{}: {} as they were, {} changed, {} new, {} shared, {} zero",
        count(pages.total()),
        count(pages.same),
        count(pages.changed),
        count(pages.new),
        count(pages.shared),
        count(pages.zero)
    );
    field(&mut out, "pages", &text);
    report(&mut out, &detail.processes, &detail.warnings);
    out
}

/// A checkpoint file.
pub(crate) fn file(view: &View) -> String {
    let mut out = String::new();
    let of = match (&view.namespace, &view.pod) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}/{}", view.container),
        _ => view.container.clone(),
    };
    field(&mut out, "of", &of);
    field(&mut out, "taken", &view.created_at);
    field(&mut out, "image", &view.image);
    field(&mut out, "by", &by(view.engine, &view.runtime, view.architecture.as_deref()));
    let tar = format!(
        "{}, {} of it memory, {}, {}",
        size(view.logical_bytes),
        size(view.pages_bytes),
        things(view.members.len() as u64, "file"),
        view.compression
    );
    field(&mut out, "tar", &tar);
    field(&mut out, "layer", view.layer_digest.as_ref());
    field(&mut out, "push to", &view.reference.to_string());
    report(&mut out, &view.processes, &view.warnings);
    out
}

fn by(engine: &str, runtime: &str, architecture: Option<&str>) -> String {
    let parts = [Some(engine), Some(runtime), architecture];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn field(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "  {name:<9} {}", escape(value));
}

fn optional(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        field(out, name, value);
    }
}

/// Processes, connections and warnings of the report on the process images.
fn report(out: &mut String, report: &Value, warnings: &[String]) {
    let list = |name: &str| report.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let processes = list("processes");
    if !processes.is_empty() {
        let rows = processes.iter().take(LINES_MAX).map(process).collect::<Vec<_>>();
        out.push('\n');
        let header = ["PID", "PARENT", "COMMAND", "THREADS", "MEMORY", "FILES", "EXECUTABLE"];
        out.push_str(&table(&header, &rows, &[0, 1, 3, 4, 5]));
        rest(out, processes.len());
    }
    let connections = list("tcp_connections");
    if !connections.is_empty() {
        out.push_str("\nTCP CONNECTIONS\n");
        for connection in connections.iter().take(LINES_MAX) {
            let [local, remote, state] = ["local", "remote", "state"].map(|k| text(connection, k));
            let _ = writeln!(out, "{local} - {remote}  {state}");
        }
        rest(out, connections.len());
    }
    if !warnings.is_empty() {
        out.push_str("\nWARNINGS\n");
        for warning in warnings.iter().take(LINES_MAX) {
            let _ = writeln!(out, "{}", escape(warning));
        }
        rest(out, warnings.len());
    }
}

fn rest(out: &mut String, all: usize) {
    if all > LINES_MAX {
        let _ = writeln!(out, "… and {} more: --json", all - LINES_MAX);
    }
}

fn process(process: &Value) -> Vec<String> {
    let number = |name: &str| process.get(name).and_then(Value::as_u64).unwrap_or(0);
    let length = |name: &str| {
        process.get(name).and_then(Value::as_array).map_or(0, |list| list.len() as u64)
    };
    vec![
        number("pid").to_string(),
        number("ppid").to_string(),
        text(process, "comm"),
        count(length("threads")),
        size(number("present_pages").saturating_mul(4096)),
        count(length("files")),
        text(process, "exe"),
    ]
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map_or_else(|| "-".to_owned(), escape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_escaped_and_bounded() {
        let process = serde_json::json!({
            "pid": 1, "ppid": 0, "comm": "x\u{1b}]0;owned\u{7}", "exe": null,
            "threads": [{}, {}], "files": [], "present_pages": 300,
        });
        let json = serde_json::json!({ "processes": vec![process; 41], "tcp_connections": 7 });
        let mut out = String::new();
        report(&mut out, &json, &["odd\nthing".to_owned()]);
        assert!(!out.contains('\u{1b}') && !out.contains('\u{7}'));
        let shown = out.lines().filter(|line| line.contains("owned")).count();
        assert_eq!(shown, LINES_MAX);
        assert!(out.contains("… and 1 more: --json"));
        assert!(out.contains("odd\\nthing"));
    }
}
