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

use pagevault_api::ascii;
use serde::Serialize;

/// Writes to stdout at once, so that a reader that went away is seen.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// One JSON value on a line of its own.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&json_line(value)?)?)
}

/// In ASCII: it may be shown on a terminal.
fn json_line(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(ascii::json(&serde_json::to_string(value)?) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_moves_no_cursor_and_turns_no_line() {
        let line = json_line(&"é\u{7f}\u{9b}2J\u{202e}").unwrap();
        assert_eq!(line, "\"\\u00e9\\u007f\\u009b2J\\u202e\"\n");
    }
}
