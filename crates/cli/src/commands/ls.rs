//! `pagevault ls`.

use std::io::Write as _;

use pagevault_api::checkpoint::{Checkpoint, CheckpointFilter, CheckpointOrder};
use pagevault_api::page::Page;
use pagevault_client::Client;

use super::{print, print_json};
use crate::args::LsArgs;
use crate::text::{escape, share, size, table};

/// What a server gives at once.
const PAGE_MAX: usize = 1000;

pub(crate) async fn run(args: LsArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let page = collect(&client, &args.filter(), args.order(), args.limit).await?;
    if args.json {
        return print_json(&page);
    }
    print(&show(&page.items))?;
    let note = match (page.items.is_empty(), page.next.is_some()) {
        (true, _) => "no checkpoints",
        (_, true) => "there are more: --limit",
        _ => return Ok(()),
    };
    // A note that cannot be written is no loss.
    let _ = writeln!(std::io::stderr().lock(), "{note}");
    Ok(())
}

async fn collect(
    client: &Client,
    filter: &CheckpointFilter,
    order: CheckpointOrder,
    limit: usize,
) -> anyhow::Result<Page<Checkpoint>> {
    let mut all = Page { items: Vec::new(), next: None };
    while all.items.len() < limit {
        let want = (limit - all.items.len()).min(PAGE_MAX);
        let mut page = client.list(filter, order, all.next.as_deref(), want).await?;
        // A page of nothing with a cursor would go on for ever.
        let more = page.next.is_some() && !page.items.is_empty();
        all.items.append(&mut page.items);
        all.next = page.next;
        if !more {
            break;
        }
    }
    Ok(all)
}

fn show(items: &[Checkpoint]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let rows = items.iter().map(row).collect::<Vec<_>>();
    table(&["REFERENCE", "TAKEN (UTC)", "SIZE", "STORED", "", "ENGINE"], &rows, &[2, 3, 4])
}

fn row(item: &Checkpoint) -> Vec<String> {
    let pinned = if item.pinned { "  pinned" } else { "" };
    vec![
        escape(&item.reference.to_string()),
        item.created_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        size(item.logical_bytes),
        size(item.stored_bytes),
        share(item.stored_bytes, item.logical_bytes),
        format!("{}{pinned}", escape(&item.engine)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Checkpoint {
        let digest = format!("sha256:{}", "a".repeat(64));
        serde_json::from_value(serde_json::json!({
            "reference": "shop/cart-0/redis:20261123T092033Z", "digest": digest, "layerDigest": digest,
            "namespace": "shop", "pod": "cart-0", "container": "redis", "engine": "evil\u{1b}[2J",
            "runtime": "runc", "image": "redis", "architecture": "amd64",
            "createdAt": "2026-11-23T09:20:33Z", "pushedAt": "2026-11-23T09:21:00Z",
            "logicalBytes": 15728640, "storedBytes": 62000, "pinned": false
        }))
        .unwrap()
    }

    #[test]
    fn for_people() {
        let mut first = item();
        (first.stored_bytes, first.pinned, first.engine) = (1_500_000, true, "cri-o".to_owned());
        insta::assert_snapshot!(show(&[item(), first]), @r"
        REFERENCE                           TAKEN (UTC)              SIZE    STORED          ENGINE
        shop/cart-0/redis:20261123T092033Z  2026-11-23 09:20:33  15.0 MiB  60.5 KiB  0.39 %  evil\u{1b}[2J
        shop/cart-0/redis:20261123T092033Z  2026-11-23 09:20:33  15.0 MiB   1.4 MiB   9.5 %  cri-o  pinned
        ");
        assert_eq!(show(&[]), "");
    }
}
