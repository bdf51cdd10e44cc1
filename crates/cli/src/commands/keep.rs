//! `pagevault pin`, `unpin`, `label` and `rm`.

use pagevault_api::checkpoint::{Checkpoint, LabelChanges, PinRequest};

use super::{print, print_json};
use crate::args::{LabelArgs, PinArgs, RmArgs, UnpinArgs};
use crate::text::escape;

pub(crate) async fn pin(args: PinArgs) -> anyhow::Result<()> {
    let PinArgs { reference, reason, server, json } = args;
    let pinned = server.client()?.pin(&reference, &PinRequest { reason }).await?;
    tell(&pinned, json, "pinned")
}

pub(crate) async fn unpin(args: UnpinArgs) -> anyhow::Result<()> {
    let UnpinArgs { reference, server, json } = args;
    let unpinned = server.client()?.unpin(&reference).await?;
    tell(&unpinned, json, "no longer pinned")
}

pub(crate) async fn label(args: LabelArgs) -> anyhow::Result<()> {
    let LabelArgs { reference, changes, server, json } = args;
    let changes = LabelChanges(changes.into_iter().collect());
    let labelled = server.client()?.label(&reference, &changes).await?;
    let labels: Vec<_> = labelled.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let labels = if labels.is_empty() { "no labels".to_owned() } else { labels.join(" ") };
    tell(&labelled, json, &labels)
}

pub(crate) async fn rm(args: RmArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    for reference in &args.references {
        client.delete(reference).await?;
        print(&format!("{}: deleted\n", escape(&reference.to_string())))?;
    }
    Ok(())
}

fn tell(checkpoint: &Checkpoint, json: bool, what: &str) -> anyhow::Result<()> {
    if json {
        return print_json(checkpoint);
    }
    let reference = escape(&checkpoint.reference.to_string());
    Ok(print(&format!("{reference}: {}\n", escape(what)))?)
}
