//! One file a command.

pub(crate) mod completion;
pub(crate) mod diff;
pub(crate) mod follow;
pub(crate) mod gc;
pub(crate) mod inspect;
pub(crate) mod keep;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod retention;
pub(crate) mod serve;
pub(crate) mod stats;
pub(crate) mod verify;

use std::io::{self, Write as _};

use serde::Serialize;

/// Writes to stdout at once, so that a reader that went away is seen.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// One JSON value on a line of its own.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&format!("{}\n", serde_json::to_string(value)?))?)
}
