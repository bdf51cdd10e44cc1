//! One binary for all integration tests: real checkpoints through the use cases, hostile ones too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "tests"
)]

mod any;
mod fixtures;
mod flipped;
mod gc;
mod history;
mod hostile;
mod http;
mod ingest;
mod landed;
mod lost;
mod resume;
mod share;
mod stored;
mod support;
mod uploads;
mod verify;
