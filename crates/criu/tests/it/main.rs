//! Tests of the CRIU images: real ones, and ones made by hand.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod corpus;
mod encode;
mod fixtures;
mod hostile;
mod old_images;
mod pagemaps;
mod real_pages;
mod real_reports;
mod sockets;
mod spaces;
