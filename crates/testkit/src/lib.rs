//! Checkpoints made up for tests: archives of each engine, CRIU images by hand, and archives that must be refused.
//!
//! Nothing here uses the parsers under test: a mistake of theirs must not hide in its own test.

pub mod criu_images;
pub mod hostile;
mod hostile_memory;
mod hostile_metadata;
mod hostile_readers;
mod hostile_rootfs;
mod hostile_tar;
pub mod raw_tar;
pub mod tarball;

pub use hostile::{HostileCase, hostile_cases};
pub use hostile_memory::hostile_memory_cases;
pub use raw_tar::TarWriter;
pub use tarball::{Flavour, PAGE_BYTES, Process, Tarball};
