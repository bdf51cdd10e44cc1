//! Waiting for the end of what a server does by itself.

use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pagevault_api::problem::ProblemKind;
use pagevault_api::run::{Run, RunProgress, RunState};
use pagevault_client::ClientError;

/// Between looks at a run.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits for the end of a run, and shows how far it is.
pub(crate) async fn follow<R, F>(quiet: bool, mut look: impl FnMut() -> F) -> anyhow::Result<Run<R>>
where
    F: Future<Output = Result<Run<R>, ClientError>>,
{
    let look = || {
        let looking = look();
        async {
            match looking.await {
                Err(ClientError::Problem(problem)) if problem.kind == ProblemKind::NotFound => {
                    Ok(None)
                }
                looked => looked.map(Some),
            }
        }
    };
    let show = |bar: &ProgressBar, run: &Run<R>| {
        if let Some(progress) = &run.progress {
            draw(bar, progress);
        }
    };
    wait(quiet, look, |run| run.state == RunState::Running, show).await
}

/// Looks at something until it is not running any more, and shows how far it is. `look` finds nothing
/// where the server knows nothing of it.
pub(crate) async fn wait<T, F>(
    quiet: bool,
    mut look: impl FnMut() -> F,
    is_running: impl Fn(&T) -> bool,
    show: impl Fn(&ProgressBar, &T),
) -> anyhow::Result<T>
where
    F: Future<Output = Result<Option<T>, ClientError>>,
{
    let target = match quiet {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr_with_hz(10),
    };
    // Where there is no terminal, nothing is drawn.
    let bar = ProgressBar::with_draw_target(None, target);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let found = look().await?;
        let found =
            found.context("the server has been restarted, and knows nothing of it any more")?;
        if !is_running(&found) {
            bar.finish_and_clear();
            return Ok(found);
        }
        show(&bar, &found);
    }
}

fn draw(bar: &ProgressBar, progress: &RunProgress) {
    let template = match progress.total {
        Some(_) => "{msg}  {bar:32}  {pos} of {len}",
        None => "{msg}  {pos}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar.set_message(match progress.phase.as_str() {
        "records" => "reading records",
        "recipes" => "reading recipes",
        "data" => "listing objects",
        "condemn" => "marking what goes",
        "remove" => "removing",
        "rebase" => "storing layers anew",
        "repack" => "storing anew what little is used",
        _ => "collecting",
    });
    if let Some(total) = progress.total {
        bar.set_length(total);
    }
    bar.set_position(progress.done);
}
