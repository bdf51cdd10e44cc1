//! `pagevault`: the registry, and the commands that talk to it.

mod args;
mod commands;
mod config;
mod demo;
mod failure;
mod paths;
mod progress;
mod signals;
mod telemetry;
mod text;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use failure::Failed;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.command.is_json();
    match start(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failed::from(error).report(json),
    }
}

fn start(command: Command) -> anyhow::Result<()> {
    match &command {
        Command::Completion(args) => return commands::completion::run(args),
        Command::Man(args) => return commands::man::run(args),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(command));
    // A read from a terminal that nobody ends must not keep the process.
    runtime.shutdown_background();
    outcome
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => commands::serve::run(args).await,
        Command::Push(args) => commands::push::run(args).await,
        Command::Pull(args) => commands::pull::run(args).await,
        Command::Ls(args) => commands::ls::run(args).await,
        Command::Diff(args) => commands::diff::run(args).await,
        Command::Pin(args) => commands::keep::pin(args).await,
        Command::Unpin(args) => commands::keep::unpin(args).await,
        Command::Label(args) => commands::keep::label(args).await,
        Command::Rm(args) => commands::keep::rm(args).await,
        Command::Inspect(args) => commands::inspect::run(args).await,
        Command::Stats(args) => commands::stats::run(args).await,
        Command::Gc(args) => commands::gc::run(args).await,
        Command::Retention(args) => commands::retention::run(args).await,
        Command::Verify(args) => commands::verify::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Completion(args) => commands::completion::run(&args),
        Command::Man(args) => commands::man::run(&args),
    }
}
