//! Talks to a Pagevault server: pushes checkpoint files and pulls them back, lists and looks up.
//!
//! Both directions go on after a broken connection or a restarted server, and check by sha256 that
//! what arrived is what was sent. No server code, no terminal, no environment: whoever calls says
//! where things are and shows the [`Progress`].

mod api;
mod error;
mod http;
mod local;
mod progress;
mod pull;
mod push;
mod retention;
mod retry;

use std::time::Duration;

use reqwest::Url;

pub use error::ClientError;
pub use local::{LocalCheckpoint, inspect_file};
pub use progress::{NoProgress, Progress};
pub use pull::{PullTarget, Pulled};
pub use push::{PushOutcome, PushRequest, PushSource};
pub use retention::ServerPolicies;

type Result<T, E = ClientError> = std::result::Result<T, E>;

/// How patient a client is.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// How long a transfer is tried again without any byte of progress.
    pub retry_for: Duration,
    /// How long a transfer may stand still before its connection counts as broken.
    pub stall: Duration,
    /// The first pause before another try; later ones are longer.
    pub first_delay: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            retry_for: Duration::from_secs(120),
            stall: Duration::from_secs(60),
            first_delay: Duration::from_millis(100),
        }
    }
}

/// A server, as seen from here. Cheap to share.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    settings: ClientSettings,
}

impl Client {
    /// A client of the server at an address: `http://host:port`, or `host:port`.
    pub fn new(server: &str, settings: ClientSettings) -> Result<Self> {
        let base = http::base_url(server)?;
        Ok(Self { http: http::connections(&base)?, base, settings })
    }

    /// The server's address.
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }
}
