//! Names of recipes and data objects as numbers: sets of them take 16 bytes each.

use std::fmt;

/// A name: 128 random bits, in hex where it is part of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(u128);

impl Id {
    /// Reads a name; nothing if it is none that this program gives.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let ours = text.len() == 32
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        u128::from_str_radix(text, 16).ok().filter(|_| ours).map(Self)
    }

    /// The name that a key ends with.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        Self::parse(key.rsplit('/').next()?)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_others_are_none() {
        let name = "00ab".repeat(8);
        assert_eq!(Id::parse(&name).unwrap().to_string(), name);
        assert_eq!(Id::of_key(&format!("data/00/{name}")), Id::parse(&name));
        for other in ["", "x", &"AB".repeat(16), &"ab".repeat(17), &format!("+{}", "a".repeat(31))]
        {
            assert_eq!(Id::parse(other), None, "{other}");
        }
    }
}
