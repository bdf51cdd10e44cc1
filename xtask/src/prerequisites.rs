//! What the other steps need, installed where that is allowed: as root, on Debian.

use std::fs;

use anyhow::Result;

use crate::commands::{cargo, command, output, succeeds, works};

/// Programs of the end-to-end test, and the Debian packages that hold them.
const PROGRAMS: [(&str, &str); 4] = [
    ("debootstrap", "debootstrap"),
    ("python3", "python3"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
];

/// Programs of the test of the web pages.
const BROWSER: [(&str, &str); 3] =
    [("chromium", "chromium"), ("chromedriver", "chromium-driver"), ("zstd", "zstd")];

/// Parts of the Rust toolchain that a minimal one lacks.
const COMPONENTS: [(&str, &str); 2] = [("fmt", "rustfmt"), ("clippy", "clippy")];

/// Why the end-to-end test cannot run on this machine, if so.
pub(crate) fn node_obstacle() -> Option<String> {
    if !is_root() {
        return Some("it makes containers, which needs root".to_owned());
    }
    if !is_debian() {
        return Some("it makes its node with debootstrap, which needs Debian".to_owned());
    }
    let missing = PROGRAMS.iter().find(|(program, _)| !is_there(program));
    missing
        .map(|(program, package)| {
            format!("{program} is missing and the package {package} could not be installed")
        })
        .or_else(python_obstacle)
}

/// Why no script of the tests can run on this machine, if so.
pub(crate) fn python_obstacle() -> Option<String> {
    let new_enough = ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"];
    (!works("python3", &new_enough)).then(|| "it needs Python 3.11 or newer".to_owned())
}

/// Why the web pages cannot be tested on this machine, if so.
pub(crate) fn browser_obstacle() -> Option<String> {
    let missing = BROWSER.iter().find(|(program, _)| !is_there(program));
    missing.map(|(program, package)| {
        format!("{program} is missing (package {package}), and is installed as root on Debian only")
    })
}

/// Why the conformance suite cannot be built on this machine, if so.
pub(crate) fn go_obstacle() -> Option<String> {
    let said = output(command("sh", &["-c", "go env GOVERSION"])).unwrap_or_default();
    let minor = said.trim().strip_prefix("go1.").and_then(|rest| rest.split('.').next());
    let new_enough = minor.and_then(|minor| minor.parse::<u32>().ok()).is_some_and(|m| m >= 24);
    (!new_enough).then(|| "it is a Go program, which needs Go 1.24 or newer".to_owned())
}

/// Installs what is missing, and returns what could not be installed and why: that stops nothing here.
pub(crate) fn install(with_programs: bool) -> Result<Vec<(String, String)>> {
    let mut notes = Vec::new();
    for (subcommand, component) in COMPONENTS {
        if !add_component(subcommand, component)? {
            notes.push((format!("cargo {subcommand}"), "rustup could not add it".to_owned()));
        }
    }
    if with_programs && is_root() && is_debian() {
        // One by one: a browser that cannot be had must not keep the node from being made.
        for programs in [&PROGRAMS[..], &BROWSER[..]] {
            notes.extend(install_programs(programs)?);
        }
    }
    Ok(notes)
}

/// Installs those that are missing; returns what could not be installed and why.
fn install_programs(programs: &[(&str, &str)]) -> Result<Option<(String, String)>> {
    let missing = programs.iter().filter(|(program, _)| !is_there(program));
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    let failed = !missing.is_empty() && !install_packages(&missing)?;
    Ok(failed.then(|| (format!("apt-get install {}", missing.join(" ")), "it failed".to_owned())))
}

fn add_component(subcommand: &str, component: &str) -> Result<bool> {
    let there = || works(&cargo().to_string_lossy(), &[subcommand, "--version"]);
    if there() {
        return Ok(true);
    }
    Ok(works("rustup", &["--version"])
        && succeeds(command("rustup", &["component", "add", component]))?
        && there())
}

fn install_packages(packages: &[&str]) -> Result<bool> {
    let apt = |arguments: &[&str]| {
        let mut apt = command("apt-get", arguments);
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        succeeds(apt)
    };
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(packages);
    Ok(apt(&["update", "-qq"])? && apt(&install)?)
}

fn is_there(program: &str) -> bool {
    works("sh", &["-c", &format!("command -v {program}")])
}

fn is_root() -> bool {
    output(command("id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

fn is_debian() -> bool {
    fs::read_to_string("/etc/os-release")
        .is_ok_and(|text| text.lines().any(|line| line == "ID=debian"))
}
