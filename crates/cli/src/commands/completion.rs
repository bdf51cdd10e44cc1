//! `pagevault completion`.

use clap::CommandFactory as _;

use super::print;
use crate::args::{Cli, CompletionArgs};

pub(crate) fn run(args: &CompletionArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pagevault", &mut script);
    Ok(print(&String::from_utf8_lossy(&script))?)
}
