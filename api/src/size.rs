//! Sizes as people write them: `10GiB`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes, read from and written as `512`, `64MiB`, `10GiB`, `1.5TB`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Why a size cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidByteSize(String);

impl fmt::Display for InvalidByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = "B, KiB, MiB, GiB, TiB, kB, MB, GB, TB";
        write!(f, "{:?} is not a size: a number and one of {units}", self.0)
    }
}

impl std::error::Error for InvalidByteSize {}

/// Units, the larger first, binary ones before decimal ones: the order in which they are tried
/// when a size is written.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

impl ByteSize {
    /// The size for people, with one digit after the point: `231.7 MiB`.
    pub fn human(self) -> String {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return format!("{} B", self.0);
        }
        let (mut value, mut unit) = (self.0 as f64 / 1024.0, 0);
        // 1023.95 would be written as 1024.0.
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            (value, unit) = (value / 1024.0, unit + 1);
        }
        format!("{value:.1} {}", UNITS.get(unit).unwrap_or(&"PiB"))
    }
}

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidByteSize(text.to_owned());
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| c != '.' && !c.is_ascii_digit());
        let (number, name) = trimmed.split_at(split.unwrap_or(trimmed.len()));
        let unit = match name.trim() {
            "" => 1,
            name => UNITS
                .iter()
                .find(|(known, _)| is_unit(name, known))
                .map(|(_, unit)| *unit)
                .ok_or_else(invalid)?,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if fraction.len() > 9 {
            return Err(invalid());
        }
        let whole: u128 = whole.parse().map_err(|_| invalid())?;
        let parts: u128 = fraction.parse().map_err(|_| invalid())?;
        let digits = u32::try_from(fraction.len()).map_err(|_| invalid())?;
        let bytes = whole.checked_mul(unit.into()).ok_or_else(invalid)?
            + parts * u128::from(unit) / 10u128.pow(digits);
        u64::try_from(bytes).map(Self).map_err(|_| invalid())
    }
}

/// Whether a unit is that one, in any case; Kubernetes leaves out the B of binary ones.
fn is_unit(name: &str, known: &str) -> bool {
    let short = known.strip_suffix("iB").map(|letter| format!("{letter}i"));
    known.eq_ignore_ascii_case(name) || short.is_some_and(|s| s.eq_ignore_ascii_case(name))
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit));
        let (name, unit) = exact.copied().unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

/// Takes a text with a unit, or a plain number of bytes.
struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"10GiB\", or a number of bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
        Ok(ByteSize(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
        u64::try_from(bytes).map(ByteSize).map_err(|_| E::custom("a size is not negative"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("10GiB", 10 << 30),
            ("10 gib", 10 << 30),
            ("10Gi", 10 << 30),
            ("1.5KiB", 1536),
            ("2kB", 2000),
            ("1TB", 1_000_000_000_000),
            (" 7B ", 7),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "GiB", "-1", "1.2.3", "10 apples", "1e3", "99999999TiB", "1.", "."] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for (bytes, text) in [(0, "0B"), (512, "512B"), (10 << 30, "10GiB"), (2000, "2kB")] {
            assert_eq!(ByteSize(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
        }
    }

    #[test]
    fn for_people() {
        let sizes = [0, 1023, 1024, 1536, (1 << 20) - 1, 1 << 20, 243_000_000, u64::MAX];
        let texts = sizes.map(|bytes| ByteSize(bytes).human());
        assert_eq!(
            texts.join(" | "),
            "0 B | 1023 B | 1.0 KiB | 1.5 KiB | 1.0 MiB | 1.0 MiB | 231.7 MiB | 16384.0 PiB"
        );
    }
}
