//! The key of a domain, and what pages are called under it.
//!
//! Equal pages have equal names within a domain and unrelated ones in two: what is stored under the
//! names of one domain says nothing to another.

use bytes::Bytes;
use pagevault_objects::{ErrorKind, Key, ObjectStore, Precondition};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::PageStoreError;
use crate::store::fresh_name;
use crate::{Result, codec};

/// First bytes of the object of a domain.
const MAGIC: [u8; 8] = *b"PVDOMAIN";
const KEY: usize = 32;
const BYTES: usize = MAGIC.len() + KEY + 8;

/// One page in so many is a hook.
pub(crate) const SAMPLE: u64 = 64;

/// The key of a domain.
#[derive(Clone)]
pub(crate) struct PageKey {
    key: [u8; KEY],
    seed: u64,
}

impl std::fmt::Debug for PageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PageKey")
    }
}

impl PageKey {
    pub(crate) fn new(key: [u8; KEY]) -> Self {
        let seed = first_word(&blake3::keyed_hash(&key, b"seed of fingerprints"));
        Self { key, seed }
    }

    /// A quick hash, to choose hooks by and to find equal pages of two blocks.
    pub(crate) fn fingerprint(&self, page: &[u8]) -> u64 {
        xxh3_64_with_seed(page, self.seed)
    }

    /// The id of a page: what the index and its stored form know it by.
    pub(crate) fn id(&self, page: &[u8]) -> u64 {
        first_word(&blake3::keyed_hash(&self.key, page))
    }

    /// Names the key without telling it: what was stored under another one is of no use.
    pub(crate) fn name(&self) -> u64 {
        first_word(&blake3::keyed_hash(&self.key, b"name of the key"))
    }

    /// Reads the key of a domain, or makes it up.
    pub(crate) async fn open(objects: &dyn ObjectStore, domain: &str) -> Result<Self> {
        let key = domain_key(domain)?;
        match objects.get(&key).await {
            Ok(found) => return Self::from_bytes(&found.bytes),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
        let mut fresh = [0; KEY];
        // Names are 128 random bits each.
        let random = [fresh_name()?, fresh_name()?].concat();
        hex::decode_to_slice(random, &mut fresh)
            .map_err(|e| PageStoreError::Task(e.to_string()))?;
        let fresh = Self::new(fresh);
        match objects.put(&key, fresh.to_bytes(), Precondition::Absent).await {
            Ok(_) => Ok(fresh),
            // Another writer was first: its key counts.
            Err(e) if e.kind() == ErrorKind::Precondition => {
                Self::from_bytes(&objects.get(&key).await?.bytes)
            }
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&codec::checksum(&out).to_le_bytes());
        out.into()
    }

    fn from_bytes(stored: &[u8]) -> Result<Self> {
        let damaged = || PageStoreError::damaged("the key of a domain");
        let (body, checksum) = stored.split_at_checked(BYTES - 8).ok_or_else(damaged)?;
        let key = body.strip_prefix(&MAGIC).and_then(|key| key.try_into().ok());
        match key {
            Some(key) if checksum == codec::checksum(body).to_le_bytes() => Ok(Self::new(key)),
            _ => Err(damaged()),
        }
    }
}

fn first_word(hash: &blake3::Hash) -> u64 {
    let bytes = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(bytes)
}

/// Key of a domain's object: by its hash, as a domain may have any name.
pub(super) fn domain_key(domain: &str) -> Result<Key> {
    let hash = blake3::hash(domain.as_bytes());
    let short = hash.as_bytes().first_chunk::<16>().copied().unwrap_or_default();
    Ok(Key::new(format!("domains/{}", hex::encode(short)))?)
}

#[cfg(test)]
mod tests {
    use pagevault_objects::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn a_domain_has_one_key_and_another_domain_another() {
        let store = MemoryStore::default();
        let first = PageKey::open(&store, "shop").await.unwrap();
        let again = PageKey::open(&store, "shop").await.unwrap();
        let other = PageKey::open(&store, "bank").await.unwrap();
        let page = [7; crate::PAGE];
        assert_eq!(first.id(&page), again.id(&page));
        assert_eq!(first.fingerprint(&page), again.fingerprint(&page));
        assert_ne!(first.id(&page), other.id(&page));
        assert_ne!(first.fingerprint(&page), other.fingerprint(&page));
        assert_ne!(first.name(), other.name());
    }

    #[test]
    fn a_damaged_key_is_refused() {
        let good = PageKey::new([9; KEY]).to_bytes();
        assert!(PageKey::from_bytes(&good).is_ok());
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            assert!(PageKey::from_bytes(&bad).is_err(), "byte {at}");
        }
        assert!(PageKey::from_bytes(&good[..BYTES - 1]).is_err());
    }
}
