//! Collection: what nothing needs any more is removed, while pushes and pulls go on.

mod engine;
mod records;
mod roots;

pub(crate) use engine::{CollectSettings, Collector, Outcome, RecordStats};
pub(crate) use roots::{recipe, recipes};

#[cfg(test)]
mod tests;
