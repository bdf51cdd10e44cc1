//! What was not understood, collected while the rest is read.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::error::Result;
use crate::limits::WARNINGS_MAX;

/// Warnings in the order in which they were found, each once.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    list: Vec<String>,
    seen: BTreeSet<String>,
    left_out: usize,
}

impl Warnings {
    /// Adds a warning that is not there yet.
    pub(crate) fn add(&mut self, warning: impl Display) {
        let warning = warning.to_string();
        if self.seen.contains(&warning) {
            return;
        }
        if self.list.len() >= WARNINGS_MAX {
            self.left_out += 1;
            return;
        }
        self.seen.insert(warning.clone());
        self.list.push(warning);
    }

    /// The value, or nothing and a warning.
    pub(crate) fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// All of them.
    pub(crate) fn finish(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.list.push(format!("{} more warnings are left out", self.left_out));
        }
        self.list
    }
}
