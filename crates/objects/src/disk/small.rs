//! Small objects that were read lately, kept in memory: what everybody asks for (a tag, a manifest,
//! the record of a blob) is not read from the disk each time. One process has the folder, so that
//! what is written through it is all that can change.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Object;
use crate::key::Key;

/// Bytes of an object that is kept at most.
pub(super) const OBJECT_MAX: usize = 64 << 10;
/// Bytes that are kept at most, in all parts together.
const BYTES_MAX: usize = 16 << 20;
/// Parts, each with a lock of its own.
const PARTS: usize = 16;
/// What an object takes beside its bytes and its name, about.
const OVERHEAD: usize = 200;

/// The objects.
#[derive(Debug, Default)]
pub(super) struct SmallObjects {
    hasher: RandomState,
    parts: [Mutex<Part>; PARTS],
}

#[derive(Debug, Default)]
struct Part {
    /// Used since the last time that room was needed, and unused since: when the first is full it
    /// becomes the second, whose objects go.
    young: HashMap<Key, Object>,
    old: HashMap<Key, Object>,
    young_bytes: usize,
    /// Counts objects replaced or removed.
    changes: u64,
}

/// What was changed when a read began: what it reads is kept only if nothing was since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Began(u64);

impl SmallObjects {
    /// An object; or else the moment from which a read of it counts.
    pub(super) fn get(&self, key: &Key) -> Result<Object, Began> {
        let mut part = self.part(key);
        if let Some(object) = part.young.get(key) {
            return Ok(object.clone());
        }
        match part.old.remove(key) {
            Some(object) => {
                part.keep(key, &object);
                Ok(object)
            }
            None => Err(Began(part.changes)),
        }
    }

    /// Keeps what was read, unless it may have been replaced meanwhile.
    pub(super) fn keep(&self, key: &Key, object: &Object, began: Began) {
        let mut part = self.part(key);
        if object.bytes.len() <= OBJECT_MAX && part.changes == began.0 {
            part.keep(key, object);
        }
    }

    /// Forgets an object that has been replaced or removed.
    pub(super) fn forget(&self, key: &Key) {
        let mut part = self.part(key);
        part.changes += 1;
        if let Some(object) = part.young.remove(key) {
            part.young_bytes = part.young_bytes.saturating_sub(cost(key, &object));
        }
        part.old.remove(key);
    }

    fn part(&self, key: &Key) -> MutexGuard<'_, Part> {
        let at = usize::try_from(self.hasher.hash_one(key) % PARTS as u64).unwrap_or_default();
        self.parts[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn keep(&mut self, key: &Key, object: &Object) {
        let cost = cost(key, object);
        if self.young_bytes + cost > BYTES_MAX / PARTS / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(key.clone(), object.clone()).is_none() {
            self.young_bytes += cost;
        }
    }
}

fn cost(key: &Key, object: &Object) -> usize {
    key.as_str().len() + object.bytes.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::content_version;

    fn key(n: usize) -> Key {
        Key::new(n.to_string()).unwrap()
    }

    fn object(len: usize) -> Object {
        let bytes = Bytes::from(vec![0; len]);
        Object { version: content_version(&bytes), bytes }
    }

    #[test]
    fn what_was_replaced_while_it_was_read_is_not_kept() {
        let small = SmallObjects::default();
        let began = small.get(&key(1)).unwrap_err();
        small.forget(&key(1));
        small.keep(&key(1), &object(1), began);
        let began = small.get(&key(1)).unwrap_err();
        small.keep(&key(1), &object(1), began);
        assert!(small.get(&key(1)).is_ok());
        small.forget(&key(1));
        assert!(small.get(&key(1)).is_err());
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let small = SmallObjects::default();
        for n in 0..2000 {
            let _ = small.get(&key(0));
            if let Err(began) = small.get(&key(n)) {
                small.keep(&key(n), &object(OBJECT_MAX - 1000), began);
            }
        }
        assert!(small.get(&key(0)).is_ok());
        let sum = |part: &Mutex<Part>| {
            let part = part.lock().unwrap();
            part.young.iter().chain(&part.old).map(|(k, o)| cost(k, o)).sum::<usize>()
        };
        assert!(small.parts.iter().map(sum).sum::<usize>() <= BYTES_MAX);
        let began = small.get(&key(9999)).unwrap_err();
        small.keep(&key(9999), &object(OBJECT_MAX + 1), began);
        assert!(small.get(&key(9999)).is_err());
    }
}
