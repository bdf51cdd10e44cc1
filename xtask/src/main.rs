//! Project chores: `cargo xtask ci` runs all that must pass, `cargo xtask tidy` the quick checks of the tree,
//! `cargo xtask bench` the benchmarks.
#![expect(clippy::print_stdout, reason = "a chore speaks to the terminal")]

mod bench;
mod ci;
mod commands;
mod counts;
mod layers;
mod prerequisites;
mod summary;
mod tidy;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask ci [--fast]   formatting, clippy, tests, tidy, clients, end to end, crashes
                          --fast: without what needs the release binary
cargo xtask tidy          dependency table, file sizes, lints, crate docs
cargo xtask bench [...]   measures series of real checkpoints, beside other tools; writes bench/RESULTS.md
                          --quick: a few minutes; --help: the rest";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["ci"] => ci::run(ci::Extent::Full),
        ["ci", "--fast"] => ci::run(ci::Extent::Fast),
        ["tidy"] => run_tidy(),
        ["bench", arguments @ ..] => bench::run(arguments),
        _ => {
            println!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_tidy() -> anyhow::Result<bool> {
    let complaints = tidy::check(&commands::root())?;
    for complaint in &complaints {
        println!("{complaint}");
    }
    Ok(complaints.is_empty())
}
