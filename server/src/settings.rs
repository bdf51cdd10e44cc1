//! What can be tuned: data, read from a file, the environment or the command line by whoever
//! starts the server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use pagevault_api::size::ByteSize;
use pagevault_registry::RegistryConfig;
use serde::{Deserialize, Serialize};

/// Settings of the server. Every field has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Address to listen on. Default `127.0.0.1:5000`.
    pub listen: SocketAddr,
    /// Folder of everything that is stored. Default `pagevault-data`, in the
    /// working folder; the command line has a default of its own.
    pub data: PathBuf,
    /// Disk space that pushes leave free, so that there is room to clean up. Default `1GiB`.
    pub reserve: ByteSize,
    /// Memory that one ingest or pull may use. Default `64MiB`.
    pub window: ByteSize,
    /// Seconds from one collection of what nothing needs any more to the next, and before each a run
    /// of retention. Default 3600; with 0 there are none but those that are asked for.
    pub gc_interval_seconds: u64,
    /// File of retention policies and quotas, in YAML; they hold until the server ends, and cannot be
    /// changed over HTTP. Default none: those that were put over HTTP hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<PathBuf>,
    /// Seconds from one scrub of all that is stored to the next. Default 604800, a week; with 0 there
    /// are none but those that are asked for.
    pub verify_interval_seconds: u64,
    /// Largest manifest that is accepted. Default `8MiB`; clients read 4 or 8.
    pub manifest_max: ByteSize,
    /// Names, without a port, that the server answers to beside `localhost` and addresses: a web page
    /// that has its own name resolve to this machine gets nothing. Default none, by which a listener on
    /// loopback answers to no name, and any other to all.
    pub allowed_hosts: Vec<String>,
    /// Connections that are open at once; more wait until one is closed. Default 4096.
    pub max_connections: usize,
    /// Requests whose bodies are read at once; more wait for their turn. Default 64.
    pub max_uploads: usize,
    /// Seconds that a client may take to send the headers of a request, also on a connection that
    /// is kept open. Default 120: more than clients keep idle connections, so that none is
    /// closed under a new request.
    pub header_timeout_seconds: u64,
    /// Seconds in which at least 64 KiB of a request's body must come, or its end. Default 60.
    pub body_timeout_seconds: u64,
    /// Seconds in which a client must take at least 64 KiB of a response. Default 60.
    pub write_timeout_seconds: u64,
    /// Seconds that requests under way get to finish when the server ends. Default 30.
    pub shutdown_seconds: u64,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            data: PathBuf::from("pagevault-data"),
            reserve: ByteSize(1 << 30),
            window: ByteSize(64 << 20),
            gc_interval_seconds: 3600,
            retention: None,
            verify_interval_seconds: 7 * 24 * 3600,
            manifest_max: ByteSize(8 << 20),
            allowed_hosts: Vec::new(),
            max_connections: 4096,
            max_uploads: 64,
            header_timeout_seconds: 120,
            body_timeout_seconds: 60,
            write_timeout_seconds: 60,
            shutdown_seconds: 30,
        }
    }
}

impl ServerSettings {
    /// What the registry needs of these; but for the policies, which [`read_policies`] reads.
    ///
    /// [`read_policies`]: crate::read_policies
    pub fn registry(&self) -> RegistryConfig {
        RegistryConfig {
            data: self.data.clone(),
            reserve_bytes: self.reserve.0,
            window_bytes: usize::try_from(self.window.0).unwrap_or(usize::MAX),
            retention: None,
        }
    }

    pub(crate) fn gc_interval(&self) -> Duration {
        Duration::from_secs(self.gc_interval_seconds)
    }

    pub(crate) fn verify_interval(&self) -> Duration {
        Duration::from_secs(self.verify_interval_seconds)
    }

    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_seconds)
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_timeout_seconds)
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_timeout_seconds)
    }

    pub(crate) fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_only_what_differs() {
        let text = "listen = '[::1]:8080'\nreserve = '10GiB'\nwindow = 1048576\n";
        let settings: ServerSettings = toml::from_str(text).unwrap();
        assert_eq!(settings.listen.port(), 8080);
        assert_eq!(settings.registry().reserve_bytes, 10 << 30);
        assert_eq!(settings.registry().window_bytes, 1 << 20);
        assert_eq!(settings.manifest_max, ServerSettings::default().manifest_max);
        assert!(toml::from_str::<ServerSettings>("reserv = '1GiB'").is_err());
    }
}
