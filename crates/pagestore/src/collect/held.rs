//! Recipes that writers of this process are at work on.
//!
//! A writer holds its recipe from before it is written until a record names it. A collector of this
//! process lets be what is held; one of another process knows nothing of it, and safety does not
//! rest on it: a writer whose recipe is condemned all the same notices, and begins again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::id::Id;
use crate::store::RecipeId;

/// The recipes that are held, and how often.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holds {
    held: Arc<Mutex<HashMap<String, usize>>>,
}

/// Holds a recipe until it is dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Holds,
    name: String,
}

impl Holds {
    pub(crate) fn hold(&self, id: &RecipeId) -> Hold {
        *self.lock().entry(id.0.clone()).or_default() += 1;
        Hold { holds: self.clone(), name: id.0.clone() }
    }

    /// All that is held now.
    pub(super) fn all(&self) -> Vec<Id> {
        self.lock().keys().filter_map(|name| Id::parse(name)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Hold {
    fn clone(&self) -> Self {
        self.holds.hold(&RecipeId(self.name.clone()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.holds.lock();
        if let Some(number) = held.get_mut(&self.name) {
            *number -= 1;
            if *number == 0 {
                held.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_until_the_last_is_dropped() {
        let holds = Holds::default();
        let id = RecipeId("0a".repeat(16));
        let first = holds.hold(&id);
        let second = first.clone();
        drop(first);
        assert_eq!(holds.all().len(), 1);
        drop(second);
        assert!(holds.all().is_empty());
    }
}
