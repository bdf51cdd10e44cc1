//! `pagevault stats`.

use pagevault_api::stats::StoreStats;

use super::{print, print_json};
use crate::args::StatsArgs;
use crate::text::{escape, share, size, things};

pub(crate) async fn run(args: StatsArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let stats = client.stats().await?;
    if args.json { print_json(&stats) } else { Ok(print(&show(&stats, client.server()))?) }
}

fn show(stats: &StoreStats, server: &str) -> String {
    let repositories = match stats.repositories {
        1 => "1 repository".to_owned(),
        n => format!("{} repositories", crate::text::count(n)),
    };
    let of = match stats.logical_bytes {
        0 => String::new(),
        logical => format!(", {} of that", share(stats.stored_bytes, logical)),
    };
    format!(
        "{} in {repositories}\n  hold   {}\n  take   {}{of}\n  at     {}, version {}\n",
        things(stats.checkpoints, "checkpoint"),
        size(stats.logical_bytes),
        size(stats.stored_bytes),
        escape(server),
        escape(&stats.version),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_people() {
        let stats = StoreStats {
            logical_bytes: 243 << 20,
            stored_bytes: 13 << 20,
            checkpoints: 8,
            repositories: 1,
            version: "0.1.0".to_owned(),
            ..StoreStats::default()
        };
        insta::assert_snapshot!(show(&stats, "http://127.0.0.1:5000"), @r"
        8 checkpoints in 1 repository
          hold   243.0 MiB
          take   13.0 MiB, 5.3 % of that
          at     http://127.0.0.1:5000, version 0.1.0
        ");
    }
}
