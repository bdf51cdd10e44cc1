//! JSON that Go programs wrote and will read again. Go matches keys without regard to case, so `Hooks` is `hooks` to it.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};

use crate::error::{ArchiveError, shown};

/// Parses a document. Extra keys are fine, other spellings of the known ones are not, at any depth. serde_json bounds the depth.
pub(crate) fn parse<T: DeserializeOwned>(
    name: &str,
    bytes: &[u8],
    known: Keys,
) -> Result<T, ArchiveError> {
    let bad = |error: serde_json::Error| ArchiveError::BadMetadata {
        name: shown(name.as_bytes()),
        reason: shown(error.to_string().as_bytes()),
    };
    let mut odd = None;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Walk { known, odd: &mut odd }.deserialize(&mut reader).map_err(bad)?;
    if let Some((key, taken_for)) = odd {
        let (name, key) = (shown(name.as_bytes()), shown(key.as_bytes()));
        return Err(ArchiveError::AmbiguousKey { name, key, taken_for });
    }
    serde_json::from_slice(bytes).map_err(bad)
}

/// Keys of an object, or of the objects of a list, each with those of its value.
pub(crate) type Keys = &'static [(&'static str, Nested)];

/// [`Keys`] of a value, which Rust does not let a type alias say of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nested(pub(crate) Keys);

/// A value of which no key is known.
pub(crate) const LEAF: Nested = Nested(&[]);

/// Walks the keys of a document, and keeps nothing but the first odd one.
struct Walk<'o> {
    known: Keys,
    odd: &'o mut Option<(String, &'static str)>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.known.is_empty() {
            return IgnoredAny::deserialize(deserializer).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, a list or null")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let other = self.known.iter().find(|(known, _)| same_to_go(known, &key));
            let known = other.map_or(LEAF, |(_, nested)| *nested).0;
            if let Some((taken_for, _)) = other.filter(|(known, _)| *known != key) {
                self.odd.get_or_insert((key, taken_for));
            }
            map.next_value_seed(Walk { known, odd: &mut *self.odd })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Walk { known: self.known, odd: &mut *self.odd })?.is_some() {}
        Ok(())
    }
}

/// Unicode simple folding, as encoding/json has it: beside case, two letters fold to ASCII.
pub(crate) fn same_to_go(known: &str, key: &str) -> bool {
    let fold = |c: char| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    };
    known.chars().map(fold).eq(key.chars().map(fold))
}
