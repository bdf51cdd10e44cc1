//! `pagevault demo`: a registry with real checkpoints in it, in a moment, and nothing left behind.
//!
//! All goes over HTTP, through the same client as `push` and `pull`.

mod fixtures;
mod tell;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use pagevault_api::Digest;
use pagevault_client::{
    Client, ClientSettings, NoProgress, PullTarget, PushOutcome, PushRequest, PushSource,
};
use pagevault_registry::Registry;
use pagevault_server::ServerSettings;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::args::DemoArgs;
use crate::commands::serve::listen;
use crate::failure::Advised;
use crate::{config, signals};
use fixtures::{BUNDLED, Bundled};
use tell::Tell;

pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let temporary = tempfile::Builder::new().prefix("pagevault-demo-").tempdir()?;
    let files = temporary.path().join("files");
    std::fs::create_dir(&files).context("making a temporary folder")?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().join("data"));
    let settings = ServerSettings { data, reserve: Default::default(), ..Default::default() };
    let listener = choose_listener(args.listen.as_deref()).await?;
    let address = listener.local_addr()?;
    let registry = Registry::open(settings.registry()).await?;

    let (end, ended) = oneshot::channel::<()>();
    let shutdown = async { drop(ended.await) };
    let shown = settings.data.clone();
    let server = pagevault_server::serve(listener, registry.clone(), settings, shutdown);
    let server = tokio::spawn(server);
    let tell = Tell::new(address);
    let signal = signals::asked_to_end();
    tokio::pin!(signal);
    let outcome = tokio::select! {
        outcome = tour(&tell, address, &files, &shown) => outcome,
        () = &mut signal => return Ok(()),
    };
    if let (Ok(first), false) = (&outcome, args.exit) {
        tell.keeps_serving(first, args.data.is_some())?;
        signal.await;
    }
    // An error of the receiver is that the server has ended already, which is what is wanted.
    let _ = end.send(());
    server.await??;
    registry.close(Duration::from_secs(5)).await;
    outcome.map(drop)
}

/// The usual port, or any if that is taken.
async fn choose_listener(wish: Option<&str>) -> anyhow::Result<TcpListener> {
    if let Some(wish) = wish {
        let address = config::address(wish)?;
        if !address.ip().is_loopback() {
            let hint = "`pagevault serve --insecure` listens anywhere";
            return Err(Advised::usage("the demo listens on this machine only", hint).into());
        }
        return listen(address).await;
    }
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
    match TcpListener::bind(usual).await {
        Ok(listener) => Ok(listener),
        Err(_) => listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await,
    }
}

/// Pushes everything, and pulls the last one back. Returns the first repository.
async fn tour(
    tell: &Tell,
    address: SocketAddr,
    files: &Path,
    data: &Path,
) -> anyhow::Result<String> {
    let client = Client::new(&format!("http://{address}"), ClientSettings::default())?;
    tell.begin(data)?;
    let mut pushed = Vec::new();
    for bundled in &BUNDLED {
        push_bundled(tell, &client, bundled, files, &mut pushed).await?;
    }
    let (path, last) = pushed.last().context("nothing was pushed")?;
    let back = files.join("back.tar");
    let target = PullTarget::File { path: back.clone(), force: true };
    let pulled = client.pull(&last.pushed.reference, target, &NoProgress).await?;
    let (path, again) = (path.clone(), back.clone());
    let same = tokio::task::spawn_blocking(move || is_same(&path, &again)).await??;
    anyhow::ensure!(same, "{} came back with other bytes", last.pushed.reference);
    tell.totals(&client.stats().await?, &pulled)?;
    let first = pushed.first().map(|(_, first)| first.pushed.reference.repository.clone());
    first.context("nothing was pushed")
}

async fn push_bundled(
    tell: &Tell,
    client: &Client,
    bundled: &'static Bundled,
    files: &Path,
    pushed: &mut Vec<(std::path::PathBuf, PushOutcome)>,
) -> anyhow::Result<()> {
    tell.group(bundled.about)?;
    let folder = files.to_owned();
    let paths = tokio::task::spawn_blocking(move || bundled.unpack(&folder)).await??;
    for path in paths {
        let source = PushSource::File(path.clone());
        let outcome = client.push(source, &PushRequest::default(), &NoProgress).await?;
        let base = outcome.pushed.base.as_ref().map(|base| base_name(pushed, base));
        tell.pushed(&outcome, base.as_deref())?;
        pushed.push((path, outcome));
    }
    Ok(())
}

/// The tag of a base that was pushed before.
fn base_name(pushed: &[(std::path::PathBuf, PushOutcome)], base: &Digest) -> String {
    let found = pushed.iter().map(|(_, outcome)| &outcome.pushed).find(|p| p.digest == *base);
    match found.map(|found| found.reference.to_string()) {
        Some(name) => format!(":{}", name.rsplit(':').next().unwrap_or(&name)),
        None => crate::text::short(base.as_ref()).to_owned(),
    }
}

fn is_same(one: &Path, other: &Path) -> std::io::Result<bool> {
    // They are some 15 MB.
    Ok(std::fs::read(one)? == std::fs::read(other)?)
}
