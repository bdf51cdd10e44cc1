//! Retention: which checkpoints stay, by rule, and what a namespace may take.
//!
//! `decide` is the rules, and sees neither store nor clock; the rest feeds it and acts on what it says.

mod decide;
mod keep;
mod limits;
mod plan;
mod policies;
mod quota;
mod run;
mod tell;

pub(crate) use policies::PolicySource;
pub(crate) use quota::{Admitted, Quotas, Taken};
pub(crate) use run::Retention;

#[cfg(test)]
mod tests;
