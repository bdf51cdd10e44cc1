//! The client against a server that breaks connections, forgets uploads and lies.

#![allow(clippy::unwrap_used, reason = "tests")]

mod fake;
mod proxy;
mod pull;
mod push;

use std::net::SocketAddr;
use std::time::Duration;

use pagevault_client::{Client, ClientSettings};

/// Patience that ends soon.
fn settings(retry_ms: u64) -> ClientSettings {
    ClientSettings {
        retry_for: Duration::from_millis(retry_ms),
        stall: Duration::from_secs(5),
        first_delay: Duration::from_millis(2),
    }
}

fn client(address: SocketAddr, retry_ms: u64) -> Client {
    Client::new(&address.to_string(), settings(retry_ms)).unwrap()
}

/// Bytes that repeat nowhere.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}
