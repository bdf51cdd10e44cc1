//! Proofs of the contract: races under a seeded scheduler, crashes at every write, and a model.

mod actors;
mod crash;
mod model;
mod race;
mod rest;
mod schedule;
mod world;
