//! `pagevault inspect`: a reference on the server, or a file here.

mod local;
mod part;
mod show;

use std::path::{Path, PathBuf};

use pagevault_api::checkpoint::CheckpointDetail;
use pagevault_api::contents::{OpenFiles, Process};
use pagevault_api::reference::Reference;
use serde::Serialize;

use super::{print, print_json};
use crate::args::InspectArgs;
use crate::failure::Advised;
use show::{Found, ProcessLine, text};

pub(crate) async fn run(args: InspectArgs) -> anyhow::Result<()> {
    if is_file(&args.what) {
        return inspect_file(args.what, args.json).await;
    }
    let text = args.what.to_string_lossy();
    let reference = text.parse::<Reference>().map_err(|error| {
        Advised::usage(
            format!("{text:?} is no file here, and no reference: {error}"),
            "a reference is REPO, REPO:TAG or REPO@DIGEST",
        )
    })?;
    let client = args.server.client()?;
    if part::show(&client, &reference, &args.part, args.json).await? {
        return Ok(());
    }
    let detail = client.get(&reference).await?;
    let processes = client.processes(&reference).await?.items;
    let files = client.open_files(&reference).await?;
    if args.json {
        return print_json(&Inspected { detail, processes, files });
    }
    Ok(print(&show::stored(&detail, &found(&processes, &files)))?)
}

/// All that is known of a checkpoint.
#[derive(Debug, Serialize)]
struct Inspected {
    #[serde(flatten)]
    detail: CheckpointDetail,
    processes: Vec<Process>,
    files: OpenFiles,
}

fn found(processes: &[Process], files: &OpenFiles) -> Found {
    let line = |process: &Process| ProcessLine {
        pid: process.pid,
        parent: process.parent,
        command: process.command.clone(),
        threads: process.threads.len(),
        memory_bytes: process.memory_bytes,
        files: process.file_count,
        executable: process.executable.clone(),
    };
    let connections = files.connections.iter().map(|connection| {
        let [local, remote] = [&connection.local, &connection.remote].map(|a| a.as_deref());
        [text(local), text(remote), connection.state.clone()]
    });
    Found { processes: processes.iter().map(line).collect(), connections: connections.collect() }
}

async fn inspect_file(path: PathBuf, json: bool) -> anyhow::Result<()> {
    let read = move || pagevault_client::inspect_file(&path);
    let local = tokio::task::spawn_blocking(read).await??;
    let view = local::View::new(&local)?;
    if json { print_json(&view) } else { Ok(print(&show::file(&view))?) }
}

/// What looks like a path, or is one that can be read, is a file; `shop/cart-0/redis:latest` is not.
fn is_file(what: &Path) -> bool {
    let text = what.to_string_lossy();
    text.starts_with(['/', '.', '~']) || what.is_file()
}
