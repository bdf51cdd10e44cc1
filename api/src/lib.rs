//! The HTTP contract of Pagevault: bodies, headers, error codes, media types and annotation keys.
//!
//! Servers and clients share these types, so that a field is named once. JSON is camelCase, times
//! are RFC 3339 in UTC, sizes are bytes as integers. Nothing here does I/O.

pub mod annotations;
pub mod ascii;
pub mod checkpoint;
pub mod contents;
pub mod diff;
pub mod event;
pub mod gc;
pub mod headers;
pub mod media_types;
pub mod oci_error;
pub mod page;
pub mod problem;
pub mod reference;
pub mod restore;
pub mod retention;
pub mod run;
pub mod size;
pub mod stats;
pub mod upload;
pub mod verify;
pub mod workload;

pub use oci_spec::image::Digest;
