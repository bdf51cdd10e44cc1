//! Benchmarks: builds what is released, prepares the node, and hands over to `bench/run`.

use anyhow::{Result, bail};

use crate::commands::{cargo, command, released_binary, succeeds};
use crate::prerequisites;

/// Runs the benchmarks with these arguments; true if they could be run to the end.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    if arguments.contains(&"--help") {
        return succeeds(command("bench/run", &["--help"]));
    }
    for (what, why) in prerequisites::install(true)? {
        println!("{what}: {why}");
    }
    if let Some(why) = prerequisites::node_obstacle() {
        bail!("the benchmarks cannot run: {why}");
    }
    let built = succeeds(command(cargo(), &["build", "--release", "--package", "pagevault"]))?;
    let load = ["build", "--release", "--package", "pagevault-tests", "--example", "load"];
    let built = built && succeeds(command(cargo(), &load))?;
    if !built || !succeeds(command("tests/e2e/node/up", &["--bench"]))? {
        return Ok(false);
    }
    let mut bench = command("bench/run", arguments);
    bench.arg("--binary").arg(released_binary()?);
    succeeds(bench)
}
