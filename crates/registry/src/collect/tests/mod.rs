//! Proofs of the contract: races under a seeded scheduler, crashes at every write, and a model.

#![allow(clippy::large_futures, clippy::cast_possible_truncation, reason = "tests")]

mod actors;
mod crash;
mod model;
mod names;
mod race;
mod rest;
mod schedule;
mod world;
