//! The sampled index of a domain in memory: which stored page has a certain id.
//!
//! Entries are 16 bytes in sorted arrays, small ones merged into larger ones as they come: at one
//! page in 64, 4 TB of pages take 256 MB. It only proposes; what it says is compared byte by byte.

use std::collections::HashMap;

/// Longest array that is merged any more: merging holds an array twice for a moment.
const ARRAY_MAX: usize = 1 << 20;
/// Most places that one id is looked up in.
const PLACES_MAX: usize = 4;

/// A sampled page of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hook {
    /// Its id.
    pub(crate) id: u64,
    /// Number of its block in the object's table.
    pub(crate) block: u32,
    /// Which of the block's literals it is.
    pub(crate) literal: u32,
}

/// Where a page may be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Location {
    /// Name of the data object.
    pub(crate) object: u128,
    /// Number of the block in its table.
    pub(crate) block: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    id: u64,
    /// Object (32 bits), block (24), literal (8).
    place: u64,
}

impl Entry {
    fn object(self) -> usize {
        (self.place >> 32) as usize
    }
}

/// The index of a domain.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Names of objects; an entry names its object by its place here. Gone ones are `None`.
    objects: Vec<Option<u128>>,
    numbers: HashMap<u128, u32>,
    /// Each sorted; the older, the longer.
    arrays: Vec<Vec<Entry>>,
    /// Entries of objects that are gone.
    dead: usize,
}

impl Index {
    /// Adds what an object holds. One that is known already is left as it is.
    pub(crate) fn add(&mut self, object: u128, hooks: &[Hook]) {
        let fits = |hook: &&Hook| hook.block < 1 << 24 && hook.literal < 1 << 8;
        let Ok(number) = u32::try_from(self.objects.len()) else { return };
        if hooks.is_empty() || self.numbers.contains_key(&object) {
            return;
        }
        let place = |hook: &Hook| {
            u64::from(number) << 32 | u64::from(hook.block) << 8 | u64::from(hook.literal)
        };
        let entry = |hook: &Hook| Entry { id: hook.id, place: place(hook) };
        let mut fresh: Vec<Entry> = hooks.iter().filter(fits).map(entry).collect();
        fresh.sort_unstable();
        self.numbers.insert(object, number);
        self.objects.push(Some(object));
        self.arrays.push(fresh);
        self.merge();
    }

    /// Merges the newest arrays while the one before is not much longer.
    fn merge(&mut self) {
        while let [.., older, newer] = self.arrays.as_slice()
            && older.len() <= 2 * newer.len()
            && older.len() + newer.len() <= ARRAY_MAX
        {
            let newer = self.arrays.pop().unwrap_or_default();
            if let Some(older) = self.arrays.last_mut() {
                older.reserve_exact(newer.len());
                older.extend(newer);
                // A stable sort merges sorted stretches in one pass.
                older.sort();
            }
        }
    }

    /// Where pages of that id are, in the newest objects first.
    pub(crate) fn find(&self, id: u64) -> Vec<Location> {
        let mut found = Vec::new();
        for array in self.arrays.iter().rev() {
            let start = array.partition_point(|entry| entry.id < id);
            for entry in array[start..].iter().take_while(|entry| entry.id == id) {
                if let Some(Some(object)) = self.objects.get(entry.object()) {
                    let block = (entry.place >> 8 & 0xff_ffff) as u32;
                    found.push(Location { object: *object, block });
                }
                if found.len() == PLACES_MAX {
                    return found;
                }
            }
        }
        found
    }

    /// Forgets an object.
    pub(crate) fn forget(&mut self, object: u128) {
        let Some(number) = self.numbers.remove(&object) else { return };
        let number = number as usize;
        if let Some(name) = self.objects.get_mut(number) {
            *name = None;
        }
        let of = |array: &Vec<Entry>| array.iter().filter(|e| e.object() == number).count();
        self.dead += self.arrays.iter().map(of).sum::<usize>();
        if self.dead * 4 > self.arrays.iter().map(Vec::len).sum() {
            let objects = &self.objects;
            let alive = |e: &Entry| objects.get(e.object()).is_some_and(Option::is_some);
            self.arrays.iter_mut().for_each(|array| array.retain(alive));
            self.arrays.retain(|array| !array.is_empty());
            self.arrays.iter_mut().for_each(Vec::shrink_to_fit);
            self.dead = 0;
        }
    }

    /// Whether the object is in it.
    pub(crate) fn knows(&self, object: u128) -> bool {
        self.numbers.contains_key(&object)
    }

    /// Number of objects and of entries, and the bytes that they take.
    pub(crate) fn size(&self) -> (usize, usize, usize) {
        let entries: usize = self.arrays.iter().map(Vec::len).sum();
        let reserved: usize = self.arrays.iter().map(Vec::capacity).sum();
        let objects = self.objects.capacity() * size_of::<Option<u128>>()
            + self.numbers.capacity() * (size_of::<(u128, u32)>() + 1);
        (self.numbers.len(), entries - self.dead, reserved * size_of::<Entry>() + objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(range: std::ops::Range<u64>) -> Vec<Hook> {
        let id = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        range.map(|i| Hook { id: id(i), block: i as u32 / 4, literal: i as u32 % 4 }).collect()
    }

    #[test]
    fn what_was_added_is_found_until_it_is_forgotten() {
        let mut index = Index::default();
        for object in 0..50u64 {
            index.add(u128::from(object), &hooks(object * 100..object * 100 + 100));
        }
        assert!(index.arrays.len() < 10);
        for hook in hooks(0..5000) {
            let block = hook.block;
            assert_eq!(index.find(hook.id).len(), 1);
            assert_eq!(index.find(hook.id)[0].block, block);
        }
        for object in 0..40 {
            index.forget(object);
        }
        assert_eq!(index.find(hooks(0..1)[0].id), []);
        assert_eq!(index.find(hooks(4500..4501)[0].id).len(), 1);
        assert_eq!((index.size().0, index.size().1), (10, 1000));
    }

    #[test]
    fn newest_first_and_not_too_many() {
        let mut index = Index::default();
        for object in 0..9 {
            index.add(object, &hooks(0..1));
        }
        let found = index.find(hooks(0..1)[0].id);
        assert_eq!(found.len(), PLACES_MAX);
    }

    #[test]
    fn four_terabytes_take_no_more_than_they_may() {
        // A hundredth of it: 10 MiB of pages an object, one page in 64 a hook.
        let mut index = Index::default();
        let (mut at, each) = (0, 40);
        while at < (1 << 24) / 100 {
            index.add(u128::from(at), &hooks(at..at + each));
            at += each;
        }
        let (_, entries, bytes) = index.size();
        assert_eq!(entries as u64, at);
        assert!(bytes <= entries * 20, "{} bytes an entry", bytes / entries);
        assert!(index.arrays.len() < 20);
    }
}
