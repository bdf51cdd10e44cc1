//! Files that are kept open for readers, who ask one object for many ranges.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::key::Key;

/// Files kept open at most.
const OPEN_MAX: usize = 64;

/// Open files, the least recently used given up first.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<Key, (Arc<File>, u64)>,
    /// Counts uses.
    uses: u64,
    /// Counts objects replaced or removed.
    changes: u64,
}

impl OpenFiles {
    /// The open file of an object; `open` opens it if it is not open yet.
    pub(super) fn get(
        &self,
        key: &Key,
        open: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<Arc<File>> {
        let changes = {
            let mut state = self.state();
            state.uses += 1;
            let uses = state.uses;
            if let Some((file, used)) = state.files.get_mut(key) {
                *used = uses;
                return Ok(Arc::clone(file));
            }
            state.changes
        };
        let file = Arc::new(open()?);
        let mut state = self.state();
        // If something changed meanwhile, this may be a file that has no name any more.
        if state.changes == changes {
            let uses = state.uses;
            let given_up =
                [state.files.insert(key.clone(), (Arc::clone(&file), uses)), state.give_up_one()];
            // Closing a file that has no name frees its blocks: not under the lock.
            drop(state);
            drop(given_up);
        }
        Ok(file)
    }

    /// Forgets the file of an object that has been replaced or removed.
    pub(super) fn forget(&self, key: &Key) {
        let mut state = self.state();
        state.changes += 1;
        let file = state.files.remove(key);
        drop(state);
        drop(file);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn give_up_one(&mut self) -> Option<(Arc<File>, u64)> {
        if self.files.len() <= OPEN_MAX {
            return None;
        }
        let oldest = self.files.iter().min_by_key(|(_, (_, used))| *used)?.0.clone();
        self.files.remove(&oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_used_last_stay_open() {
        let files = OpenFiles::default();
        let key = |n: usize| Key::new(n.to_string()).unwrap();
        for n in 0..OPEN_MAX {
            files.get(&key(n), tempfile::tempfile).unwrap();
        }
        let never = || unreachable!("it is open");
        files.get(&key(0), never).unwrap();
        files.get(&key(OPEN_MAX), tempfile::tempfile).unwrap();
        files.get(&key(0), never).unwrap();
        assert_eq!(files.state().files.len(), OPEN_MAX);
        assert!(!files.state().files.contains_key(&key(1)));
    }

    #[test]
    fn a_file_that_was_replaced_while_it_was_opened_is_not_kept() {
        let files = OpenFiles::default();
        let key = Key::new("a").unwrap();
        let replaced = || {
            files.forget(&key);
            tempfile::tempfile()
        };
        files.get(&key, replaced).unwrap();
        assert!(files.state().files.is_empty());
    }
}
