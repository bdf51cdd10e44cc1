//! Tests of the CRIU images: real ones, and ones made by hand.

mod encode;
mod fixtures;
mod hostile;
mod old_images;
mod pagemaps;
mod real_pages;
mod real_reports;
mod sockets;
mod spaces;
