//! What the demo says.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use pagevault_api::stats::StoreStats;
use pagevault_client::{Pulled, PushOutcome};

use crate::commands::print;
use crate::text::{Paint, escape, share, size, things, why};

/// Says it on stdout.
#[derive(Debug)]
pub(super) struct Tell {
    address: SocketAddr,
    paint: Paint,
}

impl Tell {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, paint: Paint::stdout() }
    }

    pub(super) fn begin(&self, data: &Path) -> io::Result<()> {
        let title = self.paint.bold("pagevault demo");
        let data = self.paint.dim(&escape(&data.display().to_string()));
        print(&format!("\n{title}  a registry in {data}\n"))
    }

    pub(super) fn group(&self, about: &str) -> io::Result<()> {
        print(&format!("\n  {}\n", self.paint.dim(about)))
    }

    pub(super) fn pushed(&self, outcome: &PushOutcome, base: Option<&str>) -> io::Result<()> {
        let pushed = &outcome.pushed;
        let reference = self.paint.bold(&escape(&pushed.reference.to_string()));
        let (logical, stored) = (size(pushed.logical_bytes), size(pushed.stored_bytes));
        let why = self.paint.dim(&why(pushed, base));
        print(&format!("  {reference}\n    {logical:>9} → {stored:>9}   {why}\n"))
    }

    pub(super) fn totals(&self, stats: &StoreStats, pulled: &Pulled) -> io::Result<()> {
        let stored = self.paint.bold(&size(stats.stored_bytes));
        print(&format!(
            "\n  {} of {} in {stored} ({}), what says how they are put together included\n  \
             {} pulled back: {}, byte for byte the file that was pushed\n",
            things(stats.checkpoints, "checkpoint"),
            size(stats.logical_bytes),
            share(stats.stored_bytes, stats.logical_bytes),
            escape(&pulled.reference.to_string()),
            size(pulled.bytes),
        ))
    }

    pub(super) fn keeps_serving(&self, first: &str, kept: bool) -> io::Result<()> {
        let open = self.paint.bold(&format!("http://{}/", self.address));
        let server = match self.address.port() {
            5000 => String::new(),
            _ => format!(" --server http://{}", self.address),
        };
        let end = if kept { "Ctrl-C ends it" } else { "Ctrl-C ends it and removes everything" };
        print(&format!(
            "\n  open  {open}\n  try   pagevault ls{server}\n        \
             podman pull --tls-verify=false {}/{}\n\n  {}\n",
            self.address,
            escape(first),
            self.paint.dim(end),
        ))
    }
}
