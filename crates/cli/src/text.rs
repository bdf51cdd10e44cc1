//! Text for people: sizes, counts, times, tables, and what strangers have written made harmless.

use std::fmt::Write as _;
use std::io::IsTerminal;

use pagevault_api::checkpoint::Pushed;
use pagevault_server::ByteSize;

/// Makes text from elsewhere fit for a terminal: what could move a cursor or turn a line around is
/// written out.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) { out.push(c) } else { out.extend(c.escape_default()) }
    }
    out
}

fn is_harmless(c: char) -> bool {
    let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{61c}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !turns
}

/// A size in KiB, MiB …
pub(crate) fn size(bytes: u64) -> String {
    ByteSize(bytes).human()
}

/// A number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things.
pub(crate) fn things(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A share of a whole, in percent.
pub(crate) fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    match percent {
        p if p < 0.995 => format!("{p:.2} %"),
        p if p < 9.95 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// A digest, short enough to read and long enough to tell apart.
pub(crate) fn short(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

/// What a checkpoint cost, and why. `base` names what it was stored against.
pub(crate) fn why(pushed: &Pushed, base: Option<&str>) -> String {
    if !pushed.created {
        return "it was there already: nothing has changed".to_owned();
    }
    let pages = &pushed.stats.pages;
    let Some(base) = base else {
        let mut text = format!("the first: {}", things(pages.total(), "page"));
        if pages.zero > 0 {
            let _ = write!(text, ", {} of them zero", count(pages.zero));
        }
        if pages.shared > 0 {
            let _ = write!(text, ", {} shared with other containers", count(pages.shared));
        }
        return text;
    };
    let fresh = pages.new + pages.shared;
    format!(
        "against {}: {} changed, {} new, {} as they were",
        escape(base),
        things(pages.changed, "page"),
        count(fresh),
        count(pages.same + pages.zero)
    )
}

/// Columns as wide as what is in them; the last is not padded. `right` says which are numbers.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
            cells.chain(header.get(column).map(|h| width(h))).max().unwrap_or(0)
        })
        .collect();
    let header = header.iter().map(|&cell| cell.to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&header).chain(rows) {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if right.contains(&column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Bold and dim, where the output is a terminal that knows them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    pub(crate) fn stdout() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        Self { on: std::io::stdout().is_terminal() && !plain }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(escape("redis-server *:6379 ünïcode 日本"), "redis-server *:6379 ünïcode 日本");
        assert_eq!(escape("a\x1b]0;x\x07b\r\n\t"), "a\\u{1b}]0;x\\u{7}b\\r\\n\\t");
        assert_eq!(escape("\u{9b}31m\u{7f}\u{0}"), "\\u{9b}31m\\u{7f}\\u{0}");
        assert_eq!(escape("exe\u{202e}gnp.\u{2066}"), "exe\\u{202e}gnp.\\u{2066}");
    }

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [(1, 1000), (5, 100), (1, 2)].map(|(a, b)| share(a, b)),
            ["0.10 %", "5.0 %", "50 %"]
        );
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".to_owned(), "10".into()], vec!["bcd".into(), "9".into()]];
        assert_eq!(table(&["NAME", "N"], &rows, &[1]), "NAME   N\na     10\nbcd    9\n");
    }
}
