//! `pagevault inspect`: a reference on the server, or a file here.

mod local;
mod show;

use std::path::{Path, PathBuf};

use pagevault_api::reference::Reference;

use super::{print, print_json};
use crate::args::InspectArgs;
use crate::failure::Advised;

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
    let detail = args.server.client()?.get(&reference).await?;
    if args.json { print_json(&detail) } else { Ok(print(&show::stored(&detail))?) }
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
