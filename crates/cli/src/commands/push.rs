//! `pagevault push`.

use std::collections::BTreeMap;
use std::path::Path;

use pagevault_api::Digest;
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::upload::PushOptions;
use pagevault_client::{Client, PushOutcome, PushRequest, PushSource};

use super::{print, print_json};
use crate::args::PushArgs;
use crate::failure::Advised;
use crate::text::{escape, share, short, size, why};
use crate::{paths, progress, signals};

pub(crate) async fn run(args: PushArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let (source, is_stream) = match args.tar == Path::new("-") {
        true => (PushSource::Stream(Box::new(tokio::io::stdin())), true),
        false => (PushSource::File(args.tar.clone()), false),
    };
    let request = PushRequest { options: options(&args)?, state: paths::uploads() };
    let progress = progress::show(args.json, "sending");
    let outcome = tokio::select! {
        outcome = client.push(source, &request, progress.as_ref()) => outcome?,
        () = signals::asked_to_end() => {
            let hint = match is_stream {
                true => "nothing was stored",
                false => "run it again: it goes on where it stopped",
            };
            return Err(Advised::new("interrupted", hint).into());
        }
    };
    drop(progress);
    if args.json {
        return print_json(&outcome);
    }
    let base = base_name(&client, &outcome).await;
    Ok(print(&show(&outcome, base.as_deref()))?)
}

fn options(args: &PushArgs) -> anyhow::Result<PushOptions> {
    if let Some(Selector::Digest(_)) = args.reference.as_ref().map(|r| &r.selector) {
        let hint = "its digest follows from its content; --ref REPO:TAG";
        return Err(Advised::usage("a checkpoint is pushed to a tag", hint).into());
    }
    let mut labels = BTreeMap::new();
    for (key, value) in &args.labels {
        if labels.insert(key.clone(), value.clone()).is_some() {
            let message = format!("label {key:?} is there twice");
            return Err(Advised::usage(message, "a label has one value").into());
        }
    }
    Ok(PushOptions {
        reference: args.reference.clone(),
        workload: args.workload.clone(),
        node: args.node.clone(),
        labels,
    })
}

/// What the base is called. It may lie in another repository, and names move: then its digest does.
async fn base_name(client: &Client, outcome: &PushOutcome) -> Option<String> {
    let base: &Digest = outcome.pushed.base.as_ref()?;
    let reference = Reference::digest(outcome.pushed.reference.repository.clone(), base.clone());
    Some(match client.get(&reference).await {
        Ok(detail) => {
            format!("the one of {}", detail.summary.created_at.strftime("%Y-%m-%d %H:%M:%SZ"))
        }
        Err(_) => short(base.as_ref()).to_owned(),
    })
}

fn show(outcome: &PushOutcome, base: Option<&str>) -> String {
    let pushed = &outcome.pushed;
    format!(
        "{}\n  digest  {}\n  size    {}, {} sent\n  stored  {}, {} of that\n  why     {}\n",
        escape(&pushed.reference.to_string()),
        escape(pushed.digest.as_ref()),
        size(pushed.logical_bytes),
        size(outcome.sent_bytes),
        size(pushed.stored_bytes),
        share(pushed.stored_bytes, pushed.logical_bytes),
        why(pushed, base),
    )
}

#[cfg(test)]
mod tests {
    use pagevault_api::checkpoint::Pushed;
    use pagevault_api::stats::{IngestStats, PageStats};

    use super::*;

    fn outcome() -> PushOutcome {
        let digest = |c: &str| format!("sha256:{}", c.repeat(64)).parse::<Digest>().unwrap();
        let pages = PageStats { zero: 100, same: 3600, changed: 120, new: 3, shared: 0 };
        PushOutcome {
            pushed: Pushed {
                reference: "shop/cart-0/redis:20261123T092033Z".parse().unwrap(),
                digest: digest("a"),
                layer_digest: digest("b"),
                logical_bytes: 15 << 20,
                stored_bytes: 62_000,
                created: true,
                base: Some(digest("c")),
                stats: IngestStats { pages, ..IngestStats::default() },
            },
            sent_bytes: 15 << 20,
        }
    }

    #[test]
    fn json_has_what_programs_rely_on() {
        let json = serde_json::to_value(outcome()).unwrap();
        for key in ["reference", "digest", "logicalBytes", "storedBytes", "sentBytes"] {
            assert!(!json[key].is_null(), "{key}");
        }
        assert_eq!(json["reference"], "shop/cart-0/redis:20261123T092033Z");
        assert_eq!(serde_json::from_value::<PushOutcome>(json).unwrap(), outcome());
    }

    #[test]
    fn for_people() {
        insta::assert_snapshot!(show(&outcome(), Some("the one of 2026-11-23 09:10:00Z")), @r"
        shop/cart-0/redis:20261123T092033Z
          digest  sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
          size    15.0 MiB, 15.0 MiB sent
          stored  60.5 KiB, 0.39 % of that
          why     against the one of 2026-11-23 09:10:00Z: 120 pages changed, 3 new, 3,700 as they were
        ");
        let mut first = outcome();
        first.pushed.base = None;
        assert!(show(&first, None).contains("the first: 3,823 pages, 100 of them zero"));
    }
}
