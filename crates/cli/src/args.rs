//! The command line.

mod history;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pagevault_api::reference::Reference;
use pagevault_client::{Client, ClientSettings};
use pagevault_server::ByteSize;

pub(crate) use history::{
    DiffArgs, InspectArgs, LabelArgs, LsArgs, ManArgs, PartArgs, PinArgs, RmArgs, UnpinArgs,
};

/// A registry for container checkpoints.
///
/// A checkpoint tar of podman, containerd or CRI-O goes in; an image comes out that they restore by
/// reference. Memory pages are stored once.
#[derive(Debug, Parser)]
#[command(name = "pagevault", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the registry
    Serve(ServeArgs),
    /// Push a checkpoint
    Push(PushArgs),
    /// Pull a checkpoint back as the file that was pushed
    Pull(PullArgs),
    /// List checkpoints, newest first
    Ls(LsArgs),
    /// Show what differs between two checkpoints
    Diff(DiffArgs),
    /// Keep a checkpoint from being deleted
    Pin(PinArgs),
    /// Let a checkpoint be deleted again
    Unpin(UnpinArgs),
    /// Set labels of a checkpoint, or take them away
    Label(LabelArgs),
    /// Delete checkpoints
    Rm(RmArgs),
    /// Show what is in a checkpoint: a reference on the server, or a file here
    Inspect(InspectArgs),
    /// Show what the registry holds and what that takes
    Stats(StatsArgs),
    /// Remove what nothing needs any more, or say why something is kept
    Gc(GcArgs),
    /// Which checkpoints stay, by rule, and what a namespace may take
    #[command(subcommand)]
    Retention(RetentionArgs),
    /// Read all that is stored, and say what is damaged
    Verify(VerifyArgs),
    /// Start a registry with real checkpoints in it, and look around
    Demo(DemoArgs),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
    /// Write manual pages
    Man(ManArgs),
}

impl Command {
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Push(PushArgs { json, .. })
            | Self::Ls(LsArgs { json, .. })
            | Self::Diff(DiffArgs { json, .. })
            | Self::Pin(PinArgs { json, .. })
            | Self::Unpin(UnpinArgs { json, .. })
            | Self::Label(LabelArgs { json, .. })
            | Self::Inspect(InspectArgs { json, .. })
            | Self::Stats(StatsArgs { json, .. })
            | Self::Gc(GcArgs { json, .. })
            | Self::Verify(VerifyArgs { json, .. })
            | Self::Retention(
                RetentionArgs::Show(RetentionShowArgs { json, .. })
                | RetentionArgs::Set(RetentionSetArgs { json, .. })
                | RetentionArgs::Plan(RetentionPlanArgs { json, .. })
                | RetentionArgs::Run(RetentionRunArgs { json, .. }),
            ) => *json,
            _ => false,
        }
    }
}

/// Where the server is.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Address of the server
    #[arg(
        long,
        value_name = "URL",
        env = "PAGEVAULT_SERVER",
        hide_env_values = true,
        default_value = "http://127.0.0.1:5000"
    )]
    server: String,
}

impl ServerArgs {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(&self.server, ClientSettings::default())?)
    }
}

/// Each setting by flag, environment, file or default, in this order.
#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDRESS:PORT", env = "PAGEVAULT_LISTEN", hide_env_values = true)]
    pub(crate) listen: Option<String>,
    /// Folder of everything that is stored [default: /var/lib/pagevault as root, else
    /// ~/.local/share/pagevault]
    #[arg(long, value_name = "DIR", env = "PAGEVAULT_DATA", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,
    /// Disk space that pushes leave free, such as 10GiB [default: 1GiB]
    #[arg(long, value_name = "SIZE", env = "PAGEVAULT_RESERVE", hide_env_values = true)]
    pub(crate) reserve: Option<ByteSize>,
    /// Memory that one push or pull may use [default: 64MiB]
    #[arg(long, value_name = "SIZE", env = "PAGEVAULT_WINDOW", hide_env_values = true)]
    pub(crate) window: Option<ByteSize>,
    /// Seconds from one collection of what nothing needs to the next, 0 for none [default: 3600]
    #[arg(long, value_name = "SECONDS", env = "PAGEVAULT_GC_INTERVAL", hide_env_values = true)]
    pub(crate) gc_interval: Option<u64>,
    /// File of retention policies and quotas, in YAML; they cannot be changed over HTTP then
    /// [default: those that were set over HTTP]
    #[arg(long, value_name = "FILE", env = "PAGEVAULT_RETENTION", hide_env_values = true)]
    pub(crate) retention: Option<PathBuf>,
    /// Listen beyond this machine: whoever reaches the port reads the memory of processes. Name the
    /// server in allowed-hosts of the settings, or web pages reach it through their readers' browsers
    #[arg(
        long,
        value_name = "BOOL",
        env = "PAGEVAULT_INSECURE",
        hide_env_values = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(crate) insecure: Option<bool>,
    /// File of settings, in TOML
    #[arg(long, value_name = "FILE", env = "PAGEVAULT_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// What to log, such as info or pagevault_server=debug [default: info]
    #[arg(long, value_name = "FILTER", env = "PAGEVAULT_LOG", hide_env_values = true)]
    pub(crate) log: Option<String>,
    /// Log in JSON, a line each
    #[arg(
        long,
        value_name = "BOOL",
        env = "PAGEVAULT_LOG_JSON",
        hide_env_values = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(crate) log_json: Option<bool>,
    /// Collector of OpenTelemetry that gets traces, over HTTP, such as http://127.0.0.1:4318
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true)]
    pub(crate) otlp: Option<String>,
}

/// A push that is cut off goes on where it stopped: run it again.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The checkpoint: a tar, plain or compressed with gzip or zstd; - reads it from stdin
    #[arg(value_name = "TAR")]
    pub(crate) tar: PathBuf,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Where to put it [default: <namespace>/<pod>/<container>:<time>]
    #[arg(long = "ref", value_name = "REPO:TAG")]
    pub(crate) reference: Option<Reference>,
    /// What the pod belongs to, such as a Deployment: checkpoints of one workload share a history
    #[arg(long, value_name = "NAME")]
    pub(crate) workload: Option<String>,
    /// Node that it was taken on
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// Label, may be given many times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Print one JSON object, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Repository, with :TAG or @DIGEST; without either, :latest
    #[arg(value_name = "REF")]
    pub(crate) reference: Reference,
    /// File to write; - writes to stdout
    #[arg(short, long, value_name = "TAR")]
    pub(crate) output: PathBuf,
    /// Replace the file if it is there
    #[arg(short, long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Pushes and pulls go on meanwhile. The server does this by itself every hour. Manifests are never
/// removed: delete them first, or let retention do so.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Only say what would go
    #[arg(long, conflicts_with = "explain")]
    pub(crate) dry_run: bool,
    /// Remove nothing; say why this digest, recipe or object is kept
    #[arg(long, value_name = "DIGEST")]
    pub(crate) explain: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The server does this by itself before each collection.
#[derive(Debug, Subcommand)]
pub(crate) enum RetentionArgs {
    /// Show policies and quotas
    Show(RetentionShowArgs),
    /// Replace policies and quotas by those of a file
    Set(RetentionSetArgs),
    /// Show what would go, and why; nothing is deleted
    Plan(RetentionPlanArgs),
    /// Delete what the policies let go
    Run(RetentionRunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RetentionShowArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetentionSetArgs {
    /// Policies and quotas, in YAML or JSON; - reads stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetentionPlanArgs {
    /// Also show what stays
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object, {"run": …, "items": […]}
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetentionRunArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Says which images each damage touches, and puts right what another copy of the same layer proves.
/// The server does this by itself every week. Exit code 1 if damage is left.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End when all is shown, instead of serving until Ctrl-C
    #[arg(long)]
    pub(crate) exit: bool,
    /// Address to listen on [default: 127.0.0.1:5000, or another port if that is taken]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// Folder of the registry, which stays [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not of the form KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn help_of_each_command() {
        let mut cli = Cli::command().term_width(100);
        cli.build();
        let mut pages = vec![cli.render_long_help().to_string()];
        pages.extend(cli.get_subcommands_mut().map(|c| c.render_long_help().to_string()));
        insta::assert_snapshot!(pages.join("\n----\n\n"));
    }

    #[test]
    fn what_is_refused() {
        for line in [
            "pagevault",
            "pagevault push",
            "pagevault push x --label =v",
            "pagevault push x --label k",
            "pagevault push x --ref A:b",
            "pagevault pull a/b",
            "pagevault pull a//b -o x",
            "pagevault retention",
            "pagevault retention set",
            "pagevault serve --reserve many",
            "pagevault serve --insecure=perhaps",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
