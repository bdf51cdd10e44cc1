//! Quick checks of the tree that neither the compiler nor clippy makes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::commands::{cargo, command, output};
use crate::layers::{LAYERS, Layer};

/// Past this, a file has more than one subject.
const FILE_LINES_MAX: usize = 500;

/// The beginnings of paths that exist on one machine only. Written in halves, not to be found here.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/.")];

/// Folders that hold nothing of ours.
const NOT_OURS: [&str; 4] = ["target", ".git", "node_modules", "__pycache__"];

/// Checks everything; returns complaints, each with the file that it is about.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for package in packages()? {
        check_layer(&package, &mut complaints);
        check_manifest(&package, &mut complaints)?;
        check_crate_doc(&package, &mut complaints)?;
    }
    for file in files(root)? {
        // What is not text has no lines and names no paths.
        if let Ok(text) = fs::read_to_string(&file) {
            let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            check_text(&name, &text, &mut complaints);
        }
    }
    Ok(complaints)
}

/// A crate of this workspace.
struct Package {
    name: String,
    folder: PathBuf,
    /// Names of its normal and build dependencies.
    dependencies: BTreeSet<String>,
}

fn packages() -> Result<Vec<Package>> {
    let metadata = output(command(cargo(), &["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    packages.iter().map(package).collect()
}

fn package(value: &Value) -> Result<Package> {
    let name = value["name"].as_str().context("a package without a name")?;
    let manifest = value["manifest_path"].as_str().context("a package without a manifest")?;
    let dependencies =
        value["dependencies"].as_array().context("a package without dependencies")?;
    Ok(Package {
        name: name.to_owned(),
        folder: Path::new(manifest).parent().context("a manifest without a folder")?.to_path_buf(),
        dependencies: dependencies
            .iter()
            .filter(|dependency| dependency["kind"] != "dev")
            .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
            .collect(),
    })
}

fn check_layer(package: &Package, complaints: &mut Vec<String>) {
    let name = &package.name;
    match LAYERS.iter().find(|layer| layer.name == name) {
        Some(layer) => compare_layer(package, layer, complaints),
        None => complaints.push(format!("{name}: has no line in xtask/src/layers.rs")),
    }
}

fn compare_layer(package: &Package, layer: &Layer, complaints: &mut Vec<String>) {
    let Layer { name, uses, never, why } = layer;
    for dependency in &package.dependencies {
        let ours = LAYERS.iter().any(|other| other.name == dependency);
        let forbidden = never.contains(&dependency.as_str());
        if forbidden || (ours && !uses.contains(&dependency.as_str())) {
            complaints.push(format!("{name}: must not depend on {dependency} ({why})"));
        }
    }
    for unused in uses.iter().filter(|used| !package.dependencies.contains(**used)) {
        complaints
            .push(format!("{name}: does not use {unused}; take it out of xtask/src/layers.rs"));
    }
}

fn check_manifest(package: &Package, complaints: &mut Vec<String>) -> Result<()> {
    let path = package.folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lints = text.lines().map(str::trim).skip_while(|line| *line != "[lints]").nth(1);
    if lints != Some("workspace = true") {
        complaints.push(format!("{}: Cargo.toml lacks [lints] workspace = true", package.name));
    }
    Ok(())
}

fn check_crate_doc(package: &Package, complaints: &mut Vec<String>) -> Result<()> {
    for name in ["src/lib.rs", "src/main.rs"] {
        let path = package.folder.join(name);
        if path.exists() && !has_crate_doc(&fs::read_to_string(&path)?) {
            complaints
                .push(format!("{}: {name} does not begin with a crate doc (//!)", package.name));
        }
    }
    Ok(())
}

fn has_crate_doc(text: &str) -> bool {
    text.starts_with("//!") || text.starts_with("#![doc")
}

fn check_text(name: &str, text: &str, complaints: &mut Vec<String>) {
    for (line, number) in text.lines().zip(1..) {
        if let Some(path) = MACHINE_PATHS.iter().find(|path| names_path(line, path)) {
            complaints.push(format!("{name}:{number}: names a path of one machine: {path}"));
        }
    }
    if name.ends_with(".rs") && !is_test_module(name) {
        let lines = lines_without_tests(text);
        if lines > FILE_LINES_MAX {
            complaints
                .push(format!("{name}: {lines} lines without tests, {FILE_LINES_MAX} at most"));
        }
    }
}

/// True if the line has the path as an absolute one, not as the end of another path.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~*/})>$".contains(c))
    })
}

fn is_test_module(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

/// Lines of a file, less those of modules under `#[cfg(test)]`. Formatting puts their last brace at the margin.
fn lines_without_tests(text: &str) -> usize {
    let mut count = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let inline_tests = line == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if inline_tests {
            lines.by_ref().find(|line| *line == "}");
        } else {
            count += 1;
        }
    }
    count
}

fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let ours = !NOT_OURS.iter().any(|name| entry.file_name() == *name);
            if kind.is_dir() && ours {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Package, check, check_text, compare_layer, lines_without_tests};
    use crate::commands::root;
    use crate::layers::Layer;

    #[test]
    fn the_tree_is_tidy() {
        let complaints = check(&root()).unwrap();
        assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    }

    #[test]
    fn a_crate_uses_what_its_layer_says_and_nothing_else() {
        let layer = Layer {
            name: "x",
            uses: &["pagevault-api", "pagevault-criu"],
            never: &["axum"],
            why: "w",
        };
        let dependencies = ["axum", "pagevault-api", "pagevault-server", "serde"];
        let package = Package {
            name: "x".to_owned(),
            folder: root(),
            dependencies: dependencies.map(str::to_owned).into(),
        };
        let mut complaints = Vec::new();
        compare_layer(&package, &layer, &mut complaints);
        let want = [
            "x: must not depend on axum (w)",
            "x: must not depend on pagevault-server (w)",
            "x: does not use pagevault-criu; take it out of xtask/src/layers.rs",
        ];
        assert_eq!(complaints, want);
    }

    #[test]
    fn long_files_and_paths_of_one_machine_are_found() {
        let work = super::MACHINE_PATHS[0];
        let cases = [
            (format!("see {work}x"), 1),
            (format!("\"{work}x\""), 1),
            (format!("--in net{work}"), 0),
            (format!("$dir{work}x ${{dir}}{work}"), 0),
            ("//\n".repeat(501), 1),
            ("//\n".repeat(500), 0),
        ];
        for (text, want) in cases {
            let mut complaints = Vec::new();
            check_text("a.rs", &text, &mut complaints);
            assert_eq!(complaints.len(), want, "{text:.40}");
        }
    }

    #[test]
    fn tests_are_not_counted() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\n#[cfg(test)]\nmod other;\n";
        assert_eq!(lines_without_tests(text), 3);
    }
}
