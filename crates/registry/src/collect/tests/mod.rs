//! Proofs of the contract: races under a seeded scheduler, crashes at every write, and a model.

mod actors;
mod race;
mod schedule;
mod world;
