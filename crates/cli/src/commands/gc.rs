//! `pagevault gc`.

use pagevault_api::gc::{GcExplanation, GcItemKind, GcResult, GcState};

use super::follow::follow;
use super::{print, print_json};
use crate::args::GcArgs;
use crate::failure::Advised;
use crate::text::{count, escape, size, things};

pub(crate) async fn run(args: GcArgs) -> anyhow::Result<()> {
    let client = args.server.client()?;
    if let Some(digest) = &args.explain {
        let explanation = client.explain(digest).await?;
        return match args.json {
            true => print_json(&explanation),
            false => Ok(print(&tell(&explanation))?),
        };
    }
    let begun = client.start_gc(args.dry_run).await?;
    let ended = follow(args.json, || client.gc_run(begun.id)).await?;
    let failed = |why: &str, hint: &str| Err(Advised::new(why, hint).into());
    match (ended.state, &ended.result) {
        (GcState::Done, Some(_)) if args.json => print_json(&ended),
        (GcState::Done, Some(result)) => Ok(print(&show(result, ended.dry_run))?),
        (GcState::Cancelled, _) => {
            failed("the collection was ended early", "nothing is lost; the next one goes on")
        }
        _ => failed(
            ended.error.as_deref().unwrap_or("the collection has failed"),
            "nothing was taken for unneeded that could not be read; if something is missing or \
             damaged, `pagevault verify` names the images: push them again, or delete them",
        ),
    }
}

fn show(result: &GcResult, dry_run: bool) -> String {
    let freed = &result.freed;
    let layers = things(freed.recipes, "layer");
    let mut text = match (dry_run, result.freed_bytes) {
        (_, 0) => "nothing to free\n".to_owned(),
        (true, bytes) => format!("would free {} in {layers}\n", size(bytes)),
        (false, bytes) => format!("freed {} in {layers}\n", size(bytes)),
    };
    text.push_str(&format!(
        "  looked at  {}, {}, {}\n",
        things(result.examined.manifests, "manifest"),
        things(result.examined.recipes, "layer"),
        things(result.examined.data_objects, "object"),
    ));
    let kept = &result.kept;
    if kept.buried > 0 {
        text.push_str(&format!(
            "  kept       {} in {} that later checkpoints stand on\n",
            size(kept.buried_bytes),
            things(kept.buried, "deleted layer"),
        ));
    }
    if kept.unfinished > 0 {
        text.push_str(&format!("  kept       {} being pushed\n", things(kept.unfinished, "layer")));
    }
    for (rewritten, what) in [(&result.rebased, "layer"), (&result.repacked, "object")] {
        if rewritten.number > 0 {
            text.push_str(&format!(
                "  anew       {} in {}; the next collection frees {}\n",
                things(rewritten.number, what),
                size(rewritten.written_bytes),
                size(rewritten.frees_bytes),
            ));
        }
    }
    let looking = result.records_micros + result.mark_micros + result.sweep_micros;
    let millis = (looking + result.upkeep_micros) / 1000;
    text.push_str(&format!("  took       {} ms\n", count(millis)));
    text
}

fn tell(explanation: &GcExplanation) -> String {
    if explanation.items.is_empty() {
        return format!("nothing is stored of {}\n", escape(&explanation.subject));
    }
    let mut text = String::new();
    for item in &explanation.items {
        let kind = match item.kind {
            GcItemKind::Manifest => "manifest",
            GcItemKind::Blob => "blob",
            GcItemKind::Recipe => "recipe",
            GcItemKind::DataObject => "object",
        };
        let bytes = item.bytes.map(|bytes| format!(", {}", size(bytes))).unwrap_or_default();
        let fate = if item.kept { "stays" } else { "goes" };
        text.push_str(&format!("{kind} {}{bytes}: {fate}\n", escape(&item.name)));
        for reason in &item.because {
            text.push_str(&format!("  {}\n", escape(reason)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use pagevault_api::gc::{GcCounts, GcItem, GcKept, GcRewritten};

    use super::*;

    #[test]
    fn for_people() {
        let result = GcResult {
            freed_bytes: 5 << 20,
            freed: GcCounts { recipes: 2, data_objects: 2, ..GcCounts::default() },
            examined: GcCounts {
                manifests: 8,
                recipes: 11,
                data_objects: 11,
                ..GcCounts::default()
            },
            kept: GcKept { buried: 1, buried_bytes: 9 << 20, unfinished: 1, ..GcKept::default() },
            rebased: GcRewritten { number: 1, written_bytes: 3 << 20, frees_bytes: 9 << 20 },
            mark_micros: 1_234_000,
            ..GcResult::default()
        };
        insta::assert_snapshot!(show(&result, false), @r"
        freed 5.0 MiB in 2 layers
          looked at  8 manifests, 11 layers, 11 objects
          kept       9.0 MiB in 1 deleted layer that later checkpoints stand on
          kept       1 layer being pushed
          anew       1 layer in 3.0 MiB; the next collection frees 9.0 MiB
          took       1,234 ms
        ");
        assert!(show(&result, true).starts_with("would free 5.0 MiB"));
        assert!(show(&GcResult::default(), true).starts_with("nothing to free\n"));
    }

    #[test]
    fn reasons_cannot_write_to_the_terminal() {
        let item = GcItem {
            kind: GcItemKind::Recipe,
            name: "ab".to_owned(),
            kept: true,
            bytes: Some(2048),
            because: vec!["manifest a\u{1b}[2J names it".to_owned()],
        };
        let explanation = GcExplanation { subject: "ab".to_owned(), kept: true, items: vec![item] };
        let told = "recipe ab, 2.0 KiB: stays\n  manifest a\\u{1b}[2J names it\n";
        assert_eq!(tell(&explanation), told);
        let nothing = GcExplanation { items: Vec::new(), ..explanation };
        assert_eq!(tell(&nothing), "nothing is stored of ab\n");
    }
}
