//! The stored form of the index: for each data object, its sampled pages.

use pagevault_objects::Key;
use prost::Message;

use super::index::Hook;
use crate::error::PageStoreError;
use crate::recipe::Frame;
use crate::{Result, codec};

/// Where they are: `hooks/<xx>/<data object>`.
pub(crate) const PREFIX: &str = "hooks/";
/// First bytes; the last of them is the version.
const MAGIC: [u8; 8] = *b"PVHOOKS\x01";
const HEADER: usize = 16;
/// Bytes of a stored hook: id, block (24 bits), literal (8).
const HOOK: usize = 12;
/// Largest body that is read: some 100 GB of pages.
const BODY_MAX: usize = 1 << 26;

/// The sampled pages of one data object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ObjectHooks {
    pub(crate) domain: String,
    /// Name of the key under which pages were hashed.
    pub(crate) key: u64,
    /// Blocks that can be shared from; their `object` and `used` mean nothing.
    pub(crate) blocks: Vec<Frame>,
    pub(crate) hooks: Vec<Hook>,
}

#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(fixed64, tag = "2")]
    key: u64,
    #[prost(message, repeated, tag = "3")]
    blocks: Vec<Frame>,
    #[prost(bytes, tag = "4")]
    hooks: Vec<u8>,
}

impl ObjectHooks {
    /// The stored form: magic, checksum of the body, body.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut hooks = Vec::with_capacity(self.hooks.len() * HOOK);
        for hook in &self.hooks {
            hooks.extend_from_slice(&hook.id.to_le_bytes());
            hooks.extend_from_slice(&(hook.block << 8 | hook.literal).to_le_bytes());
        }
        let (domain, key, blocks) = (self.domain.clone(), self.key, self.blocks.clone());
        let body = Body { domain, key, blocks, hooks }.encode_to_vec();
        let checksum = codec::checksum(&body).to_le_bytes();
        [&MAGIC[..], &checksum, &body].concat()
    }

    /// Reads the stored form.
    pub(crate) fn from_bytes(object: &str, stored: &[u8]) -> Result<Self> {
        let damaged = || PageStoreError::damaged(format!("hooks of object {object}"));
        let (header, body) = stored.split_at_checked(HEADER).ok_or_else(damaged)?;
        if header[..8] != MAGIC || body.len() > BODY_MAX {
            return Err(damaged());
        }
        if header[8..] != codec::checksum(body).to_le_bytes() {
            return Err(damaged());
        }
        let body = Body::decode(body).map_err(|_| damaged())?;
        let hook = |bytes: &[u8]| {
            let (id, place) = bytes.split_first_chunk()?;
            let place = u32::from_le_bytes(place.try_into().ok()?);
            let (block, literal) = (place >> 8, place & 0xff);
            Some(Hook { id: u64::from_le_bytes(*id), block, literal })
        };
        let hooks = body.hooks.chunks_exact(HOOK).filter_map(hook).collect();
        Ok(Self { domain: body.domain, key: body.key, blocks: body.blocks, hooks })
    }
}

/// Key of the hooks of a data object.
pub(crate) fn hooks_key(object: &str) -> Result<Key> {
    Ok(Key::new(format!("{PREFIX}{}/{object}", object.get(..2).unwrap_or("xx")))?)
}

/// A data object's name as a number; nothing if it is not one of ours.
pub(crate) fn number(object: &str) -> Option<u128> {
    (object.len() == 32).then(|| u128::from_str_radix(object, 16).ok())?
}

/// The name of the data object of that number.
pub(crate) fn name(object: u128) -> String {
    format!("{object:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back_and_damage_is_found() {
        let frame = Frame { at: 16, stored: 900, checksum: 7, pages: 40, ..Frame::default() };
        let hooks = ObjectHooks {
            domain: "shop".into(),
            key: 99,
            blocks: vec![frame; 3],
            hooks: vec![
                Hook { id: 64, block: 2, literal: 255 },
                Hook { id: 0, block: 0, literal: 1 },
            ],
        };
        let stored = hooks.to_bytes();
        assert_eq!(ObjectHooks::from_bytes("x", &stored).unwrap(), hooks);
        for at in 0..stored.len() {
            let mut bad = stored.clone();
            bad[at] ^= 0x20;
            assert!(ObjectHooks::from_bytes("x", &bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn names_are_numbers() {
        let text = "00ab000000000000000000000000ffff";
        assert_eq!(name(number(text).unwrap()), text);
        assert_eq!(number("abc"), None);
        assert_eq!(number(&"z".repeat(32)), None);
    }
}
