//! The server over a registry in a folder: by its router, and by a socket where that matters.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clients;
mod contract;
mod gc;
mod history;
mod limits;
mod native;
mod oci_pull;
mod oci_push;
mod pages;
mod quotas;
mod retention;
mod support;
mod wire;
