//! What `inspect` shows to people. All of it was written by strangers.

use std::fmt::Write as _;

use pagevault_api::checkpoint::CheckpointDetail;

use super::local::View;
use crate::text::{count, escape, share, short, size, table, things};

/// Processes, connections and warnings that are shown; `--json` has all.
const LINES_MAX: usize = 40;

/// A checkpoint on the server.
pub(crate) fn stored(detail: &CheckpointDetail, found: &Found) -> String {
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
    optional(&mut out, "criu", detail.criu.as_deref());
    optional(&mut out, "kernel", detail.kernel.as_deref());
    optional(&mut out, "pinned", detail.pin.as_ref().map(|pin| pin.reason.as_str()));
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
    report(&mut out, found, &detail.warnings);
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
    report(&mut out, &view.found, &view.warnings);
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

/// Processes, connections and warnings.
fn report(out: &mut String, found: &Found, warnings: &[String]) {
    let Found { processes, connections } = found;
    if !processes.is_empty() {
        let rows = processes.iter().take(LINES_MAX).map(ProcessLine::row).collect::<Vec<_>>();
        out.push('\n');
        let header = ["PID", "PARENT", "COMMAND", "THREADS", "MEMORY", "FILES", "EXECUTABLE"];
        out.push_str(&table(&header, &rows, &[0, 1, 3, 4, 5]));
        rest(out, processes.len());
    }
    if !connections.is_empty() {
        out.push_str("\nTCP CONNECTIONS\n");
        for [local, remote, state] in connections.iter().take(LINES_MAX) {
            let [local, remote, state] = [local, remote, state].map(|text| escape(text));
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

/// What was found in the images, of a server or of a file.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) processes: Vec<ProcessLine>,
    /// Address here, address there, state.
    pub(crate) connections: Vec<[String; 3]>,
}

/// A process in a table.
#[derive(Debug, Clone)]
pub(crate) struct ProcessLine {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) command: Option<String>,
    pub(crate) threads: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) files: u64,
    pub(crate) executable: Option<String>,
}

impl ProcessLine {
    fn row(&self) -> Vec<String> {
        vec![
            self.pid.to_string(),
            self.parent.to_string(),
            escape(&text(self.command.as_deref())),
            count(self.threads as u64),
            size(self.memory_bytes),
            count(self.files),
            escape(&text(self.executable.as_deref())),
        ]
    }
}

/// A text, or that there is none.
pub(crate) fn text(value: Option<&str>) -> String {
    value.unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_escaped_and_bounded() {
        let process = ProcessLine {
            pid: 1,
            parent: 0,
            command: Some("x\u{1b}]0;owned\u{7}".to_owned()),
            threads: 2,
            memory_bytes: 1 << 20,
            files: 0,
            executable: None,
        };
        let connections = vec![["a\u{1b}".to_owned(), "b".to_owned(), "established".to_owned()]];
        let found = Found { processes: vec![process; 41], connections };
        let mut out = String::new();
        report(&mut out, &found, &["odd\nthing".to_owned()]);
        assert!(!out.contains('\u{1b}') && !out.contains('\u{7}'));
        let shown = out.lines().filter(|line| line.contains("owned")).count();
        assert_eq!(shown, LINES_MAX);
        assert!(out.contains("… and 1 more: --json"));
        assert!(out.contains("odd\\nthing"));
    }
}
