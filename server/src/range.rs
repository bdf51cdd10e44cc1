//! The `Range` header (RFC 9110, section 14), as data.

use std::ops::Range;

/// Ranges of one request that are answered: what containers/storage asks for at most.
const RANGES_MAX: usize = 1024;

/// What of a representation is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of it.
    Whole,
    /// One range, not empty, within the size.
    One(Range<u64>),
    /// At least two ranges, each not empty and within the size, in the order asked for.
    Many(Vec<Range<u64>>),
    /// Nothing that is there, or nothing that makes sense: 416.
    Unsatisfiable,
    /// More ranges than are answered, or more bytes than the whole: 400, upon which
    /// containers/storage asks again for fewer (a 416 it takes for final).
    Excessive,
}

/// Reads the value of a `Range` header for a representation of `size` bytes.
pub(crate) fn select(header: Option<&str>, size: u64) -> Selection {
    let Some((unit, list)) = header.and_then(|h| h.split_once('=')) else {
        return Selection::Whole;
    };
    // Clients that ask for `bytes=0-` before they know the size must be able to read nothing.
    if !unit.trim().eq_ignore_ascii_case("bytes") || size == 0 {
        return Selection::Whole;
    }
    let mut ranges = Vec::new();
    let mut count = 0;
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        count += 1;
        if count > RANGES_MAX {
            return Selection::Excessive;
        }
        match one(part, size) {
            Ok(range) => ranges.extend(range),
            Err(Malformed) => return Selection::Unsatisfiable,
        }
    }
    among(ranges, size)
}

fn among(mut ranges: Vec<Range<u64>>, size: u64) -> Selection {
    let total: u128 = ranges.iter().map(|r| u128::from(r.end - r.start)).sum();
    if total > u128::from(size) {
        return Selection::Excessive;
    }
    match ranges.pop() {
        None => Selection::Unsatisfiable,
        Some(only) if ranges.is_empty() => Selection::One(only),
        Some(last) => {
            ranges.push(last);
            Selection::Many(ranges)
        }
    }
}

/// A range that breaks the grammar, or ends before it begins.
struct Malformed;

/// Reads `a-b`, `a-` or `-n`; none if it lies outside.
fn one(text: &str, size: u64) -> Result<Option<Range<u64>>, Malformed> {
    let (first, last) = text.split_once('-').ok_or(Malformed)?;
    let (first, last) = (first.trim_end(), last.trim_start());
    let range = match (first, last) {
        ("", suffix) => size.saturating_sub(number(suffix)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(Malformed);
            }
            first..last.saturating_add(1).min(size)
        }
    };
    Ok((range.start < range.end).then_some(range))
}

/// Digits only; more than fit are as good as endless.
fn number(text: &str) -> Result<u64, Malformed> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Malformed);
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// The value of `Content-Range` for a range of a whole of `size` bytes.
pub(crate) fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

/// Reads the `Content-Range` of an upload's chunk: `0-499`, of which some clients make
/// `bytes 0-499/*`. None if it cannot be read.
pub(crate) fn chunk(header: &str) -> Option<Range<u64>> {
    let text = header.trim();
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches([' ', '=']));
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let (first, last) = text.split_once('-')?;
    let (first, last) = (number(first).ok()?, number(last).ok()?);
    (first <= last && last < u64::MAX).then(|| first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::Selection::*;
    use super::*;

    #[test]
    fn single_ranges() {
        for (header, expected) in [
            ("bytes=0-0", One(0..1)),
            ("bytes=0-", One(0..1000)),
            ("bytes=10-19", One(10..20)),
            ("bytes=999-", One(999..1000)),
            ("bytes=990-5000", One(990..1000)),
            ("bytes=-1", One(999..1000)),
            ("bytes=-1000", One(0..1000)),
            ("bytes=-99999999999999999999999", One(0..1000)),
            ("bytes=0-99999999999999999999999", One(0..1000)),
            ("bytes=0-18446744073709551615", One(0..1000)),
            ("Bytes = 5-6 ", One(5..7)),
            ("bytes=,5-6,", One(5..7)),
        ] {
            assert_eq!(select(Some(header), 1000), expected, "{header}");
        }
    }

    #[test]
    fn whole_where_the_header_does_not_speak_of_bytes() {
        assert_eq!(select(None, 1000), Whole);
        for header in ["", "bytes", "pages=1-2", "0-5"] {
            assert_eq!(select(Some(header), 1000), Whole, "{header}");
        }
        for header in ["bytes=0-", "bytes=5-9", "bytes=-1"] {
            assert_eq!(select(Some(header), 0), Whole, "{header}");
        }
    }

    #[test]
    fn unsatisfiable() {
        for header in [
            "bytes=500-0",
            "bytes=1000-",
            "bytes=1000-1001",
            "bytes=99999999999999999999999-",
            "bytes=-0",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1",
            "bytes=1-2-3",
            "bytes=0-1,x",
            "bytes=2000-3000,4000-",
        ] {
            assert_eq!(select(Some(header), 1000), Unsatisfiable, "{header}");
        }
    }

    #[test]
    fn many_keep_their_order() {
        assert_eq!(select(Some("bytes=0-1, 10-11"), 1000), Many(vec![0..2, 10..12]));
        assert_eq!(select(Some("bytes=10-11,0-1"), 1000), Many(vec![10..12, 0..2]));
        assert_eq!(select(Some("bytes=0-1,5000-"), 1000), One(0..2));
        let all: Vec<_> = (0..1000u64).map(|i| format!("{i}-{i}")).collect();
        let Many(ranges) = select(Some(&format!("bytes={}", all.join(","))), 1000) else {
            panic!("not many");
        };
        assert_eq!(ranges.len(), 1000);
    }

    #[test]
    fn excessive() {
        let list = |n: u64| {
            let ranges: Vec<_> = (0..n).map(|i| format!("{i}-{i}")).collect();
            format!("bytes={}", ranges.join(","))
        };
        assert!(matches!(select(Some(&list(1024)), 5000), Many(r) if r.len() == 1024));
        assert_eq!(select(Some(&list(1025)), 5000), Excessive);
        assert_eq!(select(Some("bytes=0-,0-"), 1000), Excessive);
        assert_eq!(select(Some("bytes=0-899,800-999"), 1000), Excessive);
        assert_eq!(select(Some("bytes=0-,0-"), u64::MAX), Excessive);
    }

    #[test]
    fn chunks_of_uploads() {
        for (header, expected) in [
            ("0-499", Some(0..500)),
            ("5-5", Some(5..6)),
            ("bytes 0-499/*", Some(0..500)),
            ("bytes=0-499", Some(0..500)),
            ("500-0", None),
            ("-5", None),
            ("5-", None),
            ("", None),
            ("0-18446744073709551615", None),
        ] {
            assert_eq!(chunk(header), expected, "{header}");
        }
    }

    #[test]
    fn content_ranges() {
        assert_eq!(content_range(&(0..1), 10), "bytes 0-0/10");
        assert_eq!(content_range(&(5..10), 10), "bytes 5-9/10");
    }
}
