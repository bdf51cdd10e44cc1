//! Load for a registry, over the OCI API, with data that never repeats.
//!
//! ```text
//! load soak  --address HOST:PORT --pid PID [--clients 64] [--seconds 60 | --pushes N] [--seed 1] [--bytes-max N]
//! load bench --address HOST:PORT --pid PID [--scale 1]
//! load grow  --address HOST:PORT --pid PID [--manifests 10000]
//! ```
//!
//! `soak` pushes, pulls, mounts, lists, deletes and collects at once, and fails if any request does,
//! if any byte is wrong, or if the server's memory grows. With `--pushes` it ends after so many images,
//! small ones, however long that takes, and only tells how much memory that took. `bench` runs one operation after the other and
//! prints what each cost. `grow` measures what is asked for by name in a repository of ten manifests, of a
//! hundredth of so many, and of as many. All print JSON; the server is another process, on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod client;
mod collect;
mod content;
mod grow;
mod process;
mod soak;

use std::collections::BTreeMap;
use std::process::ExitCode;

/// What the command line says: `--name value`.
struct Options(BTreeMap<String, String>);

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut options = BTreeMap::new();
        while let Some(name) = words.next() {
            let name = name.strip_prefix("--").expect("options are of the form --name value");
            options.insert(name.to_owned(), words.next().expect("an option lacks its value"));
        }
        Self(options)
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("--{name} is missing"))
    }

    fn number(&self, name: &str, default: u64) -> u64 {
        self.0.get(name).map_or(default, |text| text.parse().expect("a number"))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap_or_default();
    let options = Options::read(words);
    match what.as_str() {
        "soak" => soak::run(&options).await,
        "bench" => bench::run(&options).await,
        "grow" => grow::run(&options).await,
        _ => panic!("the first word is soak, bench or grow"),
    }
}
