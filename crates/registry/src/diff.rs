//! What differs between two checkpoints.

use std::collections::BTreeMap;

use pagevault_api::contents::{MemoryArea, OpenFile, Process, RootfsFile, Socket};
use pagevault_api::diff::{
    AreaDiff, Change, Diff, FileDiff, MemoryDiff, ProcessDiff, RootfsDiff, RootfsFileDiff,
    SocketDiff, VariableDiff,
};
use pagevault_api::reference::Reference;

use crate::comparisons::Compared;
use crate::describe::{Detail, mask};
use crate::memory::{changes, total};
use crate::{Registry, Result, blocking};

impl Registry {
    /// Compares two checkpoints, whatever they are of.
    pub async fn diff(&self, from: &Reference, to: &Reference) -> Result<Diff> {
        let (old, new) = (self.find(from).await?, self.find(to).await?);
        let compared = self.compared(&old, &new).await?;
        let (a, b) = (self.detail(from, &old).await?, self.detail(to, &new).await?);
        let (from, to) = (old.summary(from), new.summary(to));
        blocking(move || {
            Ok(Diff {
                from,
                to,
                processes: processes(&a, &b),
                memory: memory(&a, &b, compared.as_ref()),
                files: files(&a, &b),
                sockets: sockets(&a, &b),
                environment: environment(&a, &b),
                rootfs: rootfs(&a, &b),
            })
        })
        .await
    }
}

/// Pairs things by what they are called; each of a name that several have is compared with the one
/// of the same rank.
fn pairs<'a, T, K: Ord>(
    from: impl IntoIterator<Item = &'a T>,
    to: impl IntoIterator<Item = &'a T>,
    key: impl Fn(&'a T) -> K,
) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    let mut all: BTreeMap<K, (Vec<&T>, Vec<&T>)> = BTreeMap::new();
    from.into_iter().for_each(|it| all.entry(key(it)).or_default().0.push(it));
    to.into_iter().for_each(|it| all.entry(key(it)).or_default().1.push(it));
    let paired = all.into_values().flat_map(|(from, to)| {
        let number = from.len().max(to.len());
        (0..number).map(move |n| (from.get(n).copied(), to.get(n).copied())).collect::<Vec<_>>()
    });
    paired.collect()
}

/// What has become of something, if it is not as it was.
fn change<T: PartialEq>(from: Option<&T>, to: Option<&T>) -> Option<Change> {
    match (from, to) {
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        (Some(from), Some(to)) if from != to => Some(Change::Changed),
        _ => None,
    }
}

/// Fields that are not as they were, in words.
#[derive(Default)]
struct Details(Vec<String>);

impl Details {
    fn compare(&mut self, what: &str, from: impl ToString, to: impl ToString) {
        let (from, to) = (from.to_string(), to.to_string());
        if from != to {
            self.0.push(format!("{what}: {to}, was {from}"));
        }
    }
}

fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

fn processes(a: &Detail, b: &Detail) -> Vec<ProcessDiff> {
    let key = |process: &Process| (process.pid, process.command.clone());
    let mut all = Vec::new();
    for (from, to) in pairs(&a.processes, &b.processes, key) {
        let mut details = Details::default();
        if let (Some(from), Some(to)) = (from, to) {
            details.compare("state", or_none(from.state.as_ref()), or_none(to.state.as_ref()));
            let executable = |p: &Process| or_none(p.executable.as_ref());
            details.compare("executable", executable(from), executable(to));
            details.compare("parent", from.parent, to.parent);
            details.compare("threads", from.threads.len(), to.threads.len());
            details.compare("user", or_none(from.uid), or_none(to.uid));
            details.compare("memory bytes", from.memory_bytes, to.memory_bytes);
            details.compare("open files", from.file_count, to.file_count);
        }
        let Some(it) = to.or(from) else { continue };
        let change = match change(from, to) {
            Some(Change::Changed) if details.0.is_empty() => continue,
            Some(change) => change,
            None => continue,
        };
        let command = it.command.clone();
        all.push(ProcessDiff { change, pid: it.pid, command, details: details.0 });
    }
    all
}

fn memory(a: &Detail, b: &Detail, compared: Option<&Compared>) -> MemoryDiff {
    let areas = |detail: &'_ Detail| -> Vec<(u32, MemoryArea)> {
        let all = detail.memory.iter();
        all.flat_map(|p| p.areas.iter().map(|area| (p.pid, area.clone()))).collect()
    };
    let (old, new) = (areas(a), areas(b));
    let mut differ = Vec::new();
    for (from, to) in pairs(&old, &new, |(pid, area)| (*pid, area.start, area.kind.clone())) {
        let Some((pid, it)) = to.or(from) else { continue };
        // An area that was there and is not has lost its pages to others, or to none.
        let runs = compared.and_then(|compared| compared.get(pid));
        let pages = runs.and_then(|runs| changes(it, runs));
        let shape = |area: Option<&(u32, MemoryArea)>| {
            area.map(|(_, area)| (area.end, area.rights.clone(), area.file.clone()))
        };
        let change = change(shape(from).as_ref(), shape(to).as_ref());
        let differs = pages.is_some_and(|pages| !pages.is_same());
        if let Some(change) = change.or(differs.then_some(Change::Changed)) {
            differ.push(AreaDiff {
                change,
                pid: *pid,
                start: it.start,
                end: it.end,
                kind: it.kind.clone(),
                file: it.file.clone(),
                pages,
            });
        }
    }
    MemoryDiff { pages: compared.map(total), areas: differ }
}

fn files(a: &Detail, b: &Detail) -> Vec<FileDiff> {
    let plain = |detail: &'_ Detail| -> Vec<OpenFile> {
        detail.files.items.iter().filter(|file| file.socket.is_none()).cloned().collect()
    };
    let (old, new) = (plain(a), plain(b));
    let mut all = Vec::new();
    for (from, to) in pairs(&old, &new, |file| (file.pid, file.fd)) {
        let Some(change) = change(from, to) else { continue };
        let mut details = Details::default();
        if let (Some(from), Some(to)) = (from, to) {
            details.compare("target", &from.target, &to.target);
            details.compare("access", or_none(from.access.as_ref()), or_none(to.access.as_ref()));
            details.compare("position", or_none(from.position), or_none(to.position));
            details.compare("waiting", or_none(from.waiting_bytes), or_none(to.waiting_bytes));
        }
        let Some(it) = to.or(from) else { continue };
        let (pid, fd, target) = (it.pid, it.fd, it.target.clone());
        all.push(FileDiff { change, pid, fd, target, details: details.0 });
    }
    all
}

fn sockets(a: &Detail, b: &Detail) -> Vec<SocketDiff> {
    let all = |detail: &'_ Detail| -> Vec<(u32, Socket)> {
        let files = detail.files.items.iter();
        files.filter_map(|file| Some((file.pid, file.socket.clone()?))).collect()
    };
    let (old, new) = (all(a), all(b));
    // A connection is another one if one of its sides is.
    let key = |(pid, socket): &(u32, Socket)| {
        let Socket { family, socket_type, protocol, local, remote, .. } = socket.clone();
        (*pid, family, socket_type, protocol, local, remote)
    };
    let mut differ = Vec::new();
    for (from, to) in pairs(&old, &new, key) {
        let (Some(change), Some((pid, socket))) = (change(from, to), to.or(from)) else { continue };
        let mut details = Details::default();
        if let (Some((_, from)), Some((_, to))) = (from, to) {
            details.compare("state", &from.state, &to.state);
        }
        differ.push(SocketDiff { change, pid: *pid, socket: socket.clone(), details: details.0 });
    }
    differ
}

fn environment(a: &Detail, b: &Detail) -> Vec<VariableDiff> {
    let name = |variable: &String| variable.split('=').next().unwrap_or_default().to_owned();
    let paired = pairs(&a.environment, &b.environment, name);
    let differ = paired.into_iter().filter_map(|(from, to)| {
        let change = change(from, to)?;
        Some(VariableDiff { change, from: from.map(|v| mask(v)), to: to.map(|v| mask(v)) })
    });
    differ.collect()
}

fn rootfs(a: &Detail, b: &Detail) -> RootfsDiff {
    let paired = pairs(&a.rootfs.items, &b.rootfs.items, |file: &RootfsFile| file.path.clone());
    let files = paired.into_iter().filter_map(|(from, to)| {
        Some(RootfsFileDiff { change: change(from, to)?, from: from.cloned(), to: to.cloned() })
    });
    let only = |in_: &Vec<String>, not_in: &Vec<String>| {
        in_.iter().filter(|path| not_in.binary_search(path).is_err()).cloned().collect()
    };
    RootfsDiff {
        files: files.collect(),
        deleted: only(&b.rootfs.deleted, &a.rootfs.deleted),
        restored: only(&a.rootfs.deleted, &b.rootfs.deleted),
        truncated: a.rootfs.truncated || b.rootfs.truncated,
    }
}
