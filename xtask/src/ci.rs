//! All that must pass, in order. A step that fails does not keep later ones from running, unless they need it.

use anyhow::Result;

use crate::commands::{cargo, command, read_lines, released_binary, root, succeeds};
use crate::counts::Counts;
use crate::prerequisites;
use crate::summary::{Outcome, Summary};
use crate::tidy;

/// How much of it to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything.
    Full,
    /// Only what needs no release build.
    Fast,
}

const BUILD: &str = "release build";
const NODE: &str = "node";
const END_TO_END: &str = "clients and end to end";
const CRASHES: &str = "crashes";
const CONFORMANCE: &str = "OCI conformance";
const LOAD: &str = "load";
const API: &str = "API";
const PAGES: &str = "web pages";

/// How long schemathesis asks; `tests/api/run` without a flag is the long form.
const API_SECONDS: &str = "30";

/// How long the load lasts; `tests/load/run` without a flag is the long form.
const LOAD_SECONDS: &str = "20";

/// The server is killed this many times; `tests/e2e/crash --rounds 200` is the long form.
const CRASH_ROUNDS: &str = "20";

/// The binary as it is shipped, and the program that puts load on it.
const RELEASE: [&str; 9] = [
    "build",
    "--release",
    "--package",
    "pagevault",
    "--bin",
    "pagevault",
    "--package",
    "pagevault-tests",
    "--example=load",
];

/// Runs the steps and prints the summary; true if none failed.
pub(crate) fn run(extent: Extent) -> Result<bool> {
    let mut summary = Summary::default();
    let mut missing = Vec::new();
    summary.step("prerequisites", |_| {
        missing = prerequisites::install(extent == Extent::Full)?;
        Ok(Outcome::Passed)
    });
    summary.could_not_run_all(missing);
    summary.step("formatting", |_| run_cargo(&["fmt", "--all", "--check"]));
    summary.step("clippy", |_| {
        run_cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
    });
    summary.step("tests", run_tests);
    summary.step("tidy", run_tidy);
    if extent == Extent::Full {
        run_released(&mut summary);
    }
    println!("{}", summary.text());
    Ok(summary.passed())
}

/// The steps that use the binary as it is shipped.
fn run_released(summary: &mut Summary) {
    summary.step(BUILD, |_| run_cargo(&RELEASE));
    let built = summary.passed_step(BUILD);
    let obstacle = prerequisites::node_obstacle();
    summary.step(NODE, |_| match &obstacle {
        Some(why) => Ok(Outcome::Skipped(why.clone())),
        None => Ok(Outcome::of(succeeds(command("tests/e2e/node/up", &[]))?)),
    });
    let why_not_end_to_end = match obstacle {
        Some(_) => Some("there is no node"),
        None if !summary.passed_step(NODE) => Some("the node could not be made"),
        None if !built => Some("there is no binary"),
        None => None,
    };
    summary.script(END_TO_END, why_not_end_to_end, "tests/e2e/run", &[]);
    let no_binary = (!built).then(|| "there is no binary".to_owned());
    let why_no_crashes = prerequisites::python_obstacle().or(no_binary);
    let why_no_load = why_no_crashes.clone();
    let why_no_conformance = why_no_crashes.clone().or_else(prerequisites::go_obstacle);
    summary.script(LOAD, why_no_load.as_deref(), "tests/load/run", &["--seconds", LOAD_SECONDS]);
    let why_no_api = why_no_crashes.as_deref();
    summary.script(API, why_no_api, "tests/api/run", &["--seconds", API_SECONDS]);
    let why_no_pages = why_no_crashes.clone().or_else(prerequisites::browser_obstacle);
    summary.script(PAGES, why_no_pages.as_deref(), "tests/pages/run", &[]);
    summary.script(CONFORMANCE, why_no_conformance.as_deref(), "tests/conformance/run", &[]);
    summary.script(
        CRASHES,
        why_no_crashes.as_deref(),
        "tests/e2e/crash",
        &["--rounds", CRASH_ROUNDS],
    );
}

impl Summary {
    /// A step that is a script which takes `--binary` and closes with its counts.
    fn script(&mut self, name: &str, why_not: Option<&str>, script: &str, arguments: &[&str]) {
        let mut skipped = Vec::new();
        self.step(name, |counts| match why_not {
            Some(why) => Ok(Outcome::Skipped(why.to_owned())),
            None => run_script(script, arguments, counts, &mut skipped),
        });
        self.could_not_run_all(skipped);
    }
}

fn run_cargo(arguments: &[&str]) -> Result<Outcome> {
    Ok(Outcome::of(succeeds(command(cargo(), arguments))?))
}

fn run_tests(counts: &mut Counts) -> Result<Outcome> {
    let test = command(cargo(), &["test", "--workspace", "--no-fail-fast"]);
    let success = read_lines(test, |line| {
        println!("{line}");
        *counts += Counts::of_cargo(line).unwrap_or_default();
    })?;
    Ok(Outcome::of(success))
}

fn run_tidy(counts: &mut Counts) -> Result<Outcome> {
    let complaints = tidy::check(&root())?;
    for complaint in &complaints {
        println!("{complaint}");
    }
    counts.failed = u64::try_from(complaints.len())?;
    Ok(Outcome::of(complaints.is_empty()))
}

/// Shows what a script prints but for its closing line: that belongs to the end of the whole run.
fn run_script(
    script: &str,
    arguments: &[&str],
    counts: &mut Counts,
    skipped: &mut Vec<(String, String)>,
) -> Result<Outcome> {
    let mut command = command("python3", &["-u", script]);
    command.args(arguments).arg("--binary").arg(released_binary()?);
    let success = read_lines(command, |line| match Counts::of_script(line) {
        Some(closing) => *counts += closing,
        None => {
            println!("{line}");
            let reason = line.strip_prefix("skip ").and_then(|rest| rest.split_once(": "));
            skipped.extend(reason.map(|(what, why)| (what.to_owned(), why.to_owned())));
        }
    })?;
    Ok(Outcome::of(success))
}
