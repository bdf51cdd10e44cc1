//! `pagevault verify`.

use indicatif::ProgressBar;
use pagevault_api::verify::{VerifyRun, VerifyState};
use pagevault_client::Client;

use super::follow::wait;
use super::{print, print_json};
use crate::args::VerifyArgs;
use crate::failure::Advised;
use crate::text::{escape, size, things};

pub(crate) async fn run(args: VerifyArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    let begun = client.start_verify().await?;
    let ended = follow(&client, &begun, args.json).await?;
    let failed = |why: &str, hint: &str| Err(Advised::new(why, hint).into());
    match ended.state {
        VerifyState::Done => {}
        VerifyState::Cancelled => {
            return failed("the scrub was ended early, as the server ends", "run it again");
        }
        _ => {
            let why = ended.error.as_deref().unwrap_or("the scrub could not go on");
            return failed(why, "what could not be read now may be whole: run it again");
        }
    }
    match args.json {
        true => print_json(&ended)?,
        false => print(&show(&ended))?,
    }
    match ended.is_damaged() {
        false => Ok(()),
        true => failed(
            "stored data is damaged",
            "look at the disk; what is touched comes back when it is pushed again, and collection goes on when that is done, or it is deleted",
        ),
    }
}

/// Waits for the end of a scrub, and shows how far it is.
async fn follow(client: &Client, begun: &VerifyRun, quiet: bool) -> anyhow::Result<VerifyRun> {
    let look = || async {
        let last = client.last_verify().await?;
        Ok(last.filter(|run| run.id == begun.id))
    };
    let show = |bar: &ProgressBar, run: &VerifyRun| {
        let layers = things(run.read.recipes, "layer");
        bar.set_message(format!("{} of {layers}", size(run.read.bytes)));
        bar.set_position(run.read.blocks);
    };
    wait(quiet, look, |run| run.state == VerifyState::Running, show).await
}

fn show(run: &VerifyRun) -> String {
    let read = format!("read {} of {}", size(run.read.bytes), things(run.read.recipes, "layer"));
    if run.damage.is_empty() {
        return format!("{read}: all is as it was stored\n");
    }
    let mut text = format!("{read}: {} damaged\n", things(run.damage.len() as u64, "layer"));
    for damage in &run.damage {
        let layer = if damage.layer.is_empty() { &damage.recipe } else { &damage.layer };
        let fate = if damage.repaired { ": repaired from another copy" } else { "" };
        text.push_str(&format!("{}{fate}\n  {}\n", escape(layer), escape(&damage.what)));
        for image in &damage.touches {
            text.push_str(&format!("  touches {}\n", escape(&image.to_string())));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use pagevault_api::verify::{VerifyCounts, VerifyDamage};

    use super::*;

    #[test]
    fn for_people() {
        let damage = |repaired| VerifyDamage {
            recipe: "r1".to_owned(),
            layer: "sha256:aa".to_owned(),
            what: "object x is damaged at byte 16".to_owned(),
            touches: vec!["a/b:c".parse().unwrap()],
            repaired,
        };
        let run = VerifyRun {
            id: 1,
            state: VerifyState::Done,
            started_at: "2026-11-23T09:20:33Z".parse().unwrap(),
            finished_at: None,
            read: VerifyCounts { recipes: 3, blocks: 10, bytes: 5 << 20 },
            damage: Vec::new(),
            error: None,
        };
        assert_eq!(show(&run), "read 5.0 MiB of 3 layers: all is as it was stored\n");
        let run = VerifyRun { damage: vec![damage(true), damage(false)], ..run };
        assert!(run.is_damaged());
        insta::assert_snapshot!(show(&run), @r"
        read 5.0 MiB of 3 layers: 2 layers damaged
        sha256:aa: repaired from another copy
          object x is damaged at byte 16
          touches a/b:c
        sha256:aa
          object x is damaged at byte 16
          touches a/b:c
        ");
    }
}
