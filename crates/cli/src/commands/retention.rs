//! `pagevault retention`.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use pagevault_api::retention::{
    Limits, Policy, RetentionAction, RetentionConfig, RetentionDecision, RetentionResult,
    RetentionRun,
};
use pagevault_api::run::RunState;
use pagevault_client::Client;
use serde_json::json;

use super::follow::follow;
use super::{print, print_json};
use crate::args::{RetentionArgs, RetentionPlanArgs, RetentionRunArgs, RetentionSetArgs};
use crate::failure::Advised;
use crate::text::{escape, short, size, table, things};

/// What a server gives at once.
const PAGE_MAX: usize = 1000;

pub(crate) async fn run(args: RetentionArgs) -> anyhow::Result<()> {
    match args {
        RetentionArgs::Show(args) => {
            let policies = args.server.client()?.policies().await?;
            match args.json {
                true => print_json(&policies.config),
                false => Ok(print(&show(&policies.config))?),
            }
        }
        RetentionArgs::Set(args) => set(args).await,
        RetentionArgs::Plan(args) => plan(args).await,
        RetentionArgs::Run(args) => carry_out(args).await,
    }
}

async fn set(args: RetentionSetArgs) -> anyhow::Result<()> {
    let yaml = read(&args.file)?;
    let client = args.server.client()?;
    // Read a moment ago: whoever changes them at the same time is not overwritten unseen.
    let before = client.policies().await?;
    let policies = client.put_policies(yaml, &before.etag).await?;
    if args.json {
        return print_json(&policies.config);
    }
    Ok(print(&show(&policies.config))?)
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("reading stdin")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| escape(&file.display().to_string()))
}

async fn plan(args: RetentionPlanArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let run = complete(&client, true, args.json).await?;
    let action = (!args.all).then_some(RetentionAction::Delete);
    let decisions = decisions(&client, run.id, action).await?;
    if args.json {
        return print_json(&json!({"run": run, "items": decisions}));
    }
    print(&list(&decisions))?;
    Ok(print(&tell(&run.result.unwrap_or_default(), true))?)
}

async fn carry_out(args: RetentionRunArgs) -> anyhow::Result<()> {
    let run = complete(&args.server.client()?, false, args.json).await?;
    match args.json {
        true => print_json(&run),
        false => Ok(print(&tell(&run.result.unwrap_or_default(), false))?),
    }
}

/// Runs retention to its end.
async fn complete(client: &Client, dry_run: bool, quiet: bool) -> anyhow::Result<RetentionRun> {
    let id = client.start_retention(dry_run).await?.id;
    let run = follow(quiet, || client.retention_run(id)).await?;
    let hint = "what was deleted stays deleted, the rest is as it was";
    match run.state {
        RunState::Done => Ok(run),
        RunState::Cancelled => Err(Advised::new("the run was ended early", hint).into()),
        _ => Err(Advised::new(run.error.as_deref().unwrap_or("the run has failed"), hint).into()),
    }
}

async fn decisions(
    client: &Client,
    id: u64,
    action: Option<RetentionAction>,
) -> anyhow::Result<Vec<RetentionDecision>> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.retention_plan(id, action, cursor.as_deref(), PAGE_MAX).await?;
        // A page of nothing with a cursor would go on for ever.
        let more = !page.items.is_empty();
        all.extend(page.items);
        cursor = page.next.filter(|_| more);
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

fn show(config: &RetentionConfig) -> String {
    let mut text = match config.policies.is_empty() {
        true => "no policies: everything stays\n".to_owned(),
        false => {
            let row = |policy: &Policy| vec![escape(&policy.scope.to_string()), rules(policy)];
            let rows: Vec<_> = config.policies.iter().map(row).collect();
            table(&["SCOPE", "POLICY"], &rows, &[])
        }
    };
    if !config.quotas.is_empty() {
        let quotas = config.quotas.iter();
        let row = |quota: &pagevault_api::retention::Quota| {
            vec![escape(&quota.namespace), limits("", &quota.limits()).join(", ")]
        };
        text.push('\n');
        text.push_str(&table(&["NAMESPACE", "QUOTA"], &quotas.map(row).collect::<Vec<_>>(), &[]));
    }
    text
}

/// A policy on one line, in its own words.
fn rules(policy: &Policy) -> String {
    let mut parts = Vec::new();
    for (name, number) in [
        ("keepLast", policy.keep_last),
        ("keepHourly", policy.keep_hourly),
        ("keepDaily", policy.keep_daily),
        ("keepWeekly", policy.keep_weekly),
        ("minKeep", policy.min_keep),
    ] {
        parts.extend(number.map(|number| format!("{name} {number}")));
    }
    parts.extend(policy.keep_within.map(|period| format!("keepWithin {period}")));
    parts.extend(policy.max_age.map(|period| format!("maxAge {period}")));
    parts.extend(policy.max_checkpoint_size.map(|b| format!("maxCheckpointSize {}", size(b))));
    parts.extend(limits("", &policy.whole()));
    parts.extend(limits("perNamespace.", &policy.per_namespace));
    parts.extend(limits("perPod.", &policy.per_pod));
    parts.extend(limits("perContainer.", &policy.per_container));
    if !policy.retain_orphan {
        parts.push("retainOrphan false".to_owned());
    }
    match parts.is_empty() {
        true => "everything stays".to_owned(),
        false => parts.join(", "),
    }
}

fn limits(of: &str, limits: &Limits) -> Vec<String> {
    let count = limits.max_count.map(|max| format!("{of}maxCount {max}"));
    let logical = limits.max_logical_size.map(|b| format!("{of}maxLogicalSize {}", size(b)));
    let stored = limits.max_stored_size.map(|b| format!("{of}maxStoredSize {}", size(b)));
    count.into_iter().chain(logical).chain(stored).collect()
}

fn list(decisions: &[RetentionDecision]) -> String {
    if decisions.is_empty() {
        return String::new();
    }
    let row = |decision: &RetentionDecision| {
        let action = match decision.action {
            RetentionAction::Keep => "stays",
            RetentionAction::Delete => "goes",
        };
        let why: Vec<_> = decision.reasons.iter().map(|reason| escape(&reason.text)).collect();
        vec![
            format!(
                "{}@{}",
                escape(&decision.reference.repository),
                short(decision.digest.as_ref())
            ),
            decision.created_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            size(decision.logical_bytes),
            size(decision.freeable_bytes),
            action.to_owned(),
            why.join("; "),
        ]
    };
    let rows: Vec<_> = decisions.iter().map(row).collect();
    table(&["CHECKPOINT", "TAKEN (UTC)", "SIZE", "ALONE FREES", "", "WHY"], &rows, &[2, 3])
}

fn tell(result: &RetentionResult, dry_run: bool) -> String {
    let (deleted, freed) = (things(result.deleted, "checkpoint"), size(result.freeable_bytes));
    let kept = things(result.kept, "checkpoint");
    let mut text = match (dry_run, result.deleted) {
        (true, 0) => format!("nothing would go; {kept} would stay\n"),
        (true, _) => format!("{deleted} would go, {kept} would stay; that would free {freed}\n"),
        (false, 0) => format!("nothing went; {kept} stayed\n"),
        (false, _) => {
            format!("{deleted} went, {kept} stayed; the next collection frees about {freed}\n")
        }
    };
    if result.spared > 0 {
        let spared = things(result.spared, "checkpoint");
        text.push_str(&format!("  let be     {spared} that changed meanwhile\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_for_people() {
        let config: RetentionConfig = serde_json::from_value(json!({
            "policies": [
                {"scope": {}, "keepLast": 3, "keepDaily": 7, "maxAge": "90d",
                 "perContainer": {"maxCount": 40}},
                {"scope": {"namespace": "shop\u{1b}[2J", "container": "redis"},
                 "retainOrphan": false, "maxStoredSize": "20GiB"}
            ],
            "quotas": [{"namespace": "shop", "maxCount": 9, "maxLogicalSize": "1GiB"}]
        }))
        .unwrap();
        insta::assert_snapshot!(show(&config), @r"
        SCOPE                  POLICY
        everything             keepLast 3, keepDaily 7, maxAge 90d, perContainer.maxCount 40
        shop\u{1b}[2J/*/redis  maxStoredSize 20.0 GiB, retainOrphan false

        NAMESPACE  QUOTA
        shop       maxCount 9, maxLogicalSize 1.0 GiB
        ");
        let nothing = RetentionConfig::default();
        assert_eq!(show(&nothing), "no policies: everything stays\n");
    }

    #[test]
    fn a_plan_for_people() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let decision: RetentionDecision = serde_json::from_value(json!({
            "reference": format!("shop/cart-0/redis@{digest}"), "digest": digest,
            "namespace": "shop", "pod": "cart-0", "container": "redis",
            "createdAt": "2026-11-23T09:20:33Z", "logicalBytes": 15_728_640, "storedBytes": 62_000,
            "freeableBytes": 0, "action": "delete", "scope": {"namespace": "shop"},
            "reasons": [{"rule": "maxAge", "text": "taken more than 2d ago"},
                        {"rule": "keepDaily", "text": "one of 7 daily ones"}]
        }))
        .unwrap();
        insta::assert_snapshot!(list(&[decision]), @r"
        CHECKPOINT                      TAKEN (UTC)              SIZE  ALONE FREES        WHY
        shop/cart-0/redis@aaaaaaaaaaaa  2026-11-23 09:20:33  15.0 MiB          0 B  goes  taken more than 2d ago; one of 7 daily ones
        ");
        let result = RetentionResult {
            examined: 5,
            kept: 3,
            deleted: 2,
            freeable_bytes: 3 << 20,
            ..RetentionResult::default()
        };
        let told = "2 checkpoints would go, 3 checkpoints would stay; that would free 3.0 MiB\n";
        assert_eq!(tell(&result, true), told);
        let result = RetentionResult { deleted: 0, spared: 2, kept: 5, ..result };
        let told = "nothing went; 5 checkpoints stayed\n  let be     2 checkpoints that changed meanwhile\n";
        assert_eq!(tell(&result, false), told);
    }
}
