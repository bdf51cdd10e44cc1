//! `pagevault pull`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use pagevault_client::PullTarget;

use crate::args::PullArgs;
use crate::failure::Advised;
use crate::text::{escape, size};
use crate::{progress, signals};

pub(crate) async fn run(args: PullArgs) -> anyhow::Result<()> {
    let to_stdout = args.output == Path::new("-");
    if to_stdout && std::io::stdout().is_terminal() {
        let message = "a checkpoint is no text for a terminal";
        return Err(Advised::usage(message, "-o FILE, or a pipe behind -o -").into());
    }
    let target = match to_stdout {
        true => PullTarget::Stream(Box::new(std::io::stdout())),
        false => PullTarget::File { path: args.output.clone(), force: args.force },
    };
    let client = args.server.client()?;
    let progress = progress::show(false, "pulling");
    let pulled = tokio::select! {
        pulled = client.pull(&args.reference, target, progress.as_ref()) => pulled?,
        () = signals::asked_to_end() => {
            return Err(Advised::new("interrupted", "nothing was written; run it again").into());
        }
    };
    drop(progress);
    if !to_stdout {
        let path = escape(&args.output.display().to_string());
        let (size, digest) = (size(pulled.bytes), escape(pulled.layer_digest.as_ref()));
        // On stderr: stdout is for those who asked for the file.
        let _ = writeln!(std::io::stderr().lock(), "{path}: {size}, {digest}");
    }
    Ok(())
}
