//! Periods as people write them: `30d`, `1d 12h`.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of seconds, read from and written as `90s`, `12h`, `30d`, `2w 3d`. A day has 24 hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub u64);

/// Why a period cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPeriod(String);

impl fmt::Display for InvalidPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a period: numbers with w, d, h, m or s, such as \"30d\"", self.0)
    }
}

impl std::error::Error for InvalidPeriod {}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPeriod(text.to_owned());
        let span: Span = text.parse().map_err(|_| invalid())?;
        // Months and years have no length of their own, and are an error here.
        let days = SpanRelativeTo::days_are_24_hours();
        let duration: SignedDuration = span.to_duration(days).map_err(|_| invalid())?;
        if duration.subsec_nanos() != 0 {
            return Err(invalid());
        }
        u64::try_from(duration.as_secs()).map(Self).map_err(|_| invalid())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut parts = Vec::new();
        for (unit, seconds) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
            if rest >= seconds {
                parts.push(format!("{}{unit}", rest / seconds));
                rest %= seconds;
            }
        }
        if parts.is_empty() { f.write_str("0s") } else { f.write_str(&parts.join(" ")) }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods() {
        for (text, seconds, written) in [
            ("0s", 0, "0s"),
            ("90s", 90, "1m 30s"),
            ("12h", 43_200, "12h"),
            ("36h", 129_600, "1d 12h"),
            ("30d", 2_592_000, "30d"),
            ("2w 3d", 1_468_800, "17d"),
            ("1d12h", 129_600, "1d 12h"),
        ] {
            assert_eq!(text.parse(), Ok(Period(seconds)), "{text}");
            assert_eq!(Period(seconds).to_string(), written);
            assert_eq!(written.parse(), Ok(Period(seconds)));
        }
        for text in ["", "30", "d", "1mo", "1y", "-1d", "1d ago", "0.5s", "1x", "999999999999999d"]
        {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
