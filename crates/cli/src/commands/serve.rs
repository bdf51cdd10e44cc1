//! `pagevault serve`.

use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use pagevault_registry::{Registry, RegistryConfig};
use pagevault_server::read_policies;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;

use super::print;
use crate::args::ServeArgs;
use crate::failure::Advised;
use crate::text::escape;
use crate::{config, signals, telemetry};

pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let config = config::load(args)?;
    allow_files();
    let traces = telemetry::start(&config.log, config.log_json, config.otlp.as_deref())?;
    let settings = config.server;
    let listener = listen(settings.listen).await?;
    let data = settings.data.display().to_string();
    let retention = settings.retention.as_deref().map(read_policies).transpose()?;
    let registry = Registry::open(RegistryConfig { retention, ..settings.registry() })
        .await
        .with_context(|| format!("opening the registry in {data}"))?;
    let address = listener.local_addr()?;
    print(&format!("pagevault listens on http://{address}, data in {}\n", escape(&data)))?;
    let patience = Duration::from_secs(settings.shutdown_seconds);
    let asked = OnceLock::new();
    let shutdown = async {
        signals::asked_to_end().await;
        // The time that is left is for all of the end.
        let _ = asked.set(Instant::now());
        tracing::info!("asked to end: finishing what is under way");
    };
    pagevault_server::serve(listener, registry.clone(), settings, shutdown).await?;
    let spent = asked.get().map_or(Duration::ZERO, Instant::elapsed);
    registry.close(patience.saturating_sub(spent)).await;
    traces.flush().await;
    Ok(())
}

/// Takes all the open files that the system grants: a connection is one, and the usual limit of 1024
/// is there for programs that could not count further.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, connections beyond the limit wait.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Binds a socket, or says who has it.
pub(crate) async fn listen(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    let hint = |kind| match kind {
        io::ErrorKind::AddrInUse => "is another pagevault running? --listen takes another port",
        io::ErrorKind::PermissionDenied => "ports below 1024 are for root: --listen takes another",
        _ => "--listen takes an address of this machine",
    };
    TcpListener::bind(address).await.map_err(|error| {
        Advised::new(format!("cannot listen on {address}: {error}"), hint(error.kind())).into()
    })
}
