//! The log of a dump, which says what no image does.

/// Bytes of a log that are looked at: what is looked for is in its first lines.
const HEAD_BYTES: usize = 64 << 10;
/// Bytes of a version, a node's name or a release, at most.
const WORD_BYTES_MAX: usize = 253;

/// What the first lines of `dump.log` tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogHead {
    /// Version of CRIU.
    pub criu: Option<String>,
    /// Name that the host has for itself.
    pub node: Option<String>,
    /// Release of its kernel.
    pub kernel: Option<String>,
}

/// Reads the first lines of a log: `(00.000116) Version: 4.2 (gitid 0)` and
/// `(00.000122) Running on NODE Linux RELEASE …` (criu `criu/crtools.c`, `criu/util.c`).
pub fn log_head(log: &[u8]) -> LogHead {
    let text = String::from_utf8_lossy(log.get(..HEAD_BYTES).unwrap_or(log));
    let mut head = LogHead::default();
    for line in text.lines() {
        let line = line.split_once(") ").map_or(line, |(_, rest)| rest);
        if let Some(version) = line.strip_prefix("Version: ") {
            head.criu = head.criu.or_else(|| version.split(' ').next().and_then(word));
        } else if let Some(host) = line.strip_prefix("Running on ") {
            let mut words = host.split(' ');
            let (node, system, kernel) = (words.next(), words.next(), words.next());
            if system == Some("Linux") {
                head.node = head.node.or_else(|| node.and_then(word));
                head.kernel = head.kernel.or_else(|| kernel.and_then(word));
            }
        }
    }
    head
}

/// A word as hosts and versions have it; nothing else gets from a log into a record.
fn word(text: &str) -> Option<String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-+~".contains(c);
    let sound = !text.is_empty() && text.len() <= WORD_BYTES_MAX && text.chars().all(fine);
    sound.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_log() {
        let log = "(00.000000) CRIU run id = 1\n(00.000116) Version: 4.2.1 (gitid 0)\n\
                   (00.000122) Running on node-a Linux 6.18.44-x #1 SMP x86_64\n\
                   (00.1) Version: 9 (gitid 0)\n";
        let word = |text: &str| Some(text.to_owned());
        let head = LogHead { criu: word("4.2.1"), node: word("node-a"), kernel: word("6.18.44-x") };
        assert_eq!(log_head(log.as_bytes()), head);
        for odd in ["", "Version: ", "Running on", "Running on a\u{1b}[2J Linux 1\u{7}", "\u{0}"] {
            assert_eq!(log_head(odd.as_bytes()), LogHead::default(), "{odd:?}");
        }
        log_head(&[0xff; 100_000]);
    }
}
