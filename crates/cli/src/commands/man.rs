//! `pagevault man`.

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::args::{Cli, ManArgs};

pub(crate) fn run(args: &ManArgs) -> anyhow::Result<()> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    clap_mangen::generate_to(Cli::command(), folder).with_context(|| folder.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_each_command() {
        let folder = tempfile::tempdir().unwrap();
        run(&ManArgs { folder: folder.path().join("man1") }).unwrap();
        for page in
            ["pagevault.1", "pagevault-ls.1", "pagevault-diff.1", "pagevault-retention-plan.1"]
        {
            let text = std::fs::read_to_string(folder.path().join("man1").join(page)).unwrap();
            assert!(text.contains(".SH NAME") && text.contains(".SH OPTIONS"), "{page}");
        }
    }
}
