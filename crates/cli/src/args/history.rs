//! Arguments of the commands that find, look into, compare, keep and let go of checkpoints.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use pagevault_api::checkpoint::{CheckpointFilter, CheckpointOrder, SortKey};
use pagevault_api::reference::Reference;

use super::{ServerArgs, label};

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only of this repository
    #[arg(value_name = "REPO")]
    repository: Option<String>,
    /// Only of this namespace
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only of this pod
    #[arg(long, value_name = "NAME")]
    pod: Option<String>,
    /// Only of this container
    #[arg(long, value_name = "NAME")]
    container: Option<String>,
    /// Only of this workload; a pod without one counts as one
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Only of this node
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Only of this image of the container, or of this digest
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Only with this label, may be given many times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Only those that are pinned
    #[arg(long)]
    pinned: bool,
    /// Only those taken since: a time such as 2026-11-23T09:20:33Z, or how long ago, such as 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only those taken before
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// What to sort by
    #[arg(long, value_enum, default_value_t = Sort::Time)]
    sort: Sort,
    /// Oldest or smallest first
    #[arg(short, long)]
    reverse: bool,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object, {"items": […]}
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `ls` sorts by.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sort {
    /// When they were taken
    Time,
    /// Bytes of their tars
    Size,
    /// Bytes that their pushes added
    Stored,
}

impl LsArgs {
    pub(crate) fn filter(&self) -> CheckpointFilter {
        CheckpointFilter {
            namespace: self.namespace.clone(),
            pod: self.pod.clone(),
            container: self.container.clone(),
            workload: self.workload.clone(),
            node: self.node.clone(),
            image: self.image.clone(),
            repository: self.repository.clone(),
            labels: self.labels.iter().cloned().collect(),
            pinned: self.pinned.then_some(true),
            since: self.since,
            until: self.until,
        }
    }

    pub(crate) fn order(&self) -> CheckpointOrder {
        let by = match self.sort {
            Sort::Time => SortKey::Time,
            Sort::Size => SortKey::Size,
            Sort::Stored => SortKey::Stored,
        };
        CheckpointOrder { by, ascending: self.reverse }
    }
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Reference on the server, or path of a tar here
    #[arg(value_name = "REF|FILE")]
    pub(crate) what: PathBuf,
    #[command(flatten)]
    pub(crate) part: PartArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object, with all that is known
    #[arg(long)]
    pub(crate) json: bool,
}

/// A part of a checkpoint on the server, instead of an overview.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct PartArgs {
    /// Show memory areas, and what changed in them since the checkpoint before
    #[arg(long)]
    pub(crate) memory: bool,
    /// Show open files and sockets
    #[arg(long)]
    pub(crate) files: bool,
    /// Show what the container was started with; what looks like a secret is kept back
    #[arg(long)]
    pub(crate) env: bool,
    /// Show what the container changed in its root file system
    #[arg(long)]
    pub(crate) rootfs: bool,
    /// Print a Pod, or commands for podman, that restore it; HOST:PORT is what nodes call this registry
    #[arg(long, value_name = "HOST:PORT", num_args = 0..=1, default_missing_value = "", require_equals = true)]
    pub(crate) restore: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The checkpoint to compare with
    #[arg(value_name = "FROM")]
    pub(crate) from: Reference,
    /// The checkpoint to look at
    #[arg(value_name = "TO")]
    pub(crate) to: Reference,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// It can neither be deleted nor goes by a retention policy.
#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    /// The checkpoint
    #[arg(value_name = "REF")]
    pub(crate) reference: Reference,
    /// Why, for whoever would like to delete it
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UnpinArgs {
    /// The checkpoint
    #[arg(value_name = "REF")]
    pub(crate) reference: Reference,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// The checkpoint
    #[arg(value_name = "REF")]
    pub(crate) reference: Reference,
    /// Labels to set, and with a dash after the key labels to take away
    #[arg(value_name = "KEY=VALUE|KEY-", value_parser = change, required = true)]
    pub(crate) changes: Vec<(String, Option<String>)>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Their tags go too. The space comes back when it is collected.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The checkpoints
    #[arg(value_name = "REF", required = true)]
    pub(crate) references: Vec<Reference>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder to write them into
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

fn change(text: &str) -> Result<(String, Option<String>), String> {
    if let Ok((key, value)) = label(text) {
        return Ok((key, Some(value)));
    }
    match text.strip_suffix('-') {
        Some(key) if !key.is_empty() => Ok((key.to_owned(), None)),
        _ => Err("not of the form KEY=VALUE or KEY-".to_owned()),
    }
}

/// A time, or so long ago.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let wrong =
        || "no time such as 2026-11-23T09:20:33Z, nor so long ago as 30m, 12h, 7d".to_owned();
    let hours = |hours: i64| SignedDuration::from_secs(hours.saturating_mul(3600));
    let unit = match text.chars().last() {
        Some('m') => SignedDuration::from_secs(60),
        Some('h') => hours(1),
        Some('d') => hours(24),
        Some('w') => hours(7 * 24),
        _ => return Err(wrong()),
    };
    let number: i32 =
        text.get(..text.len() - 1).unwrap_or_default().parse().map_err(|_| wrong())?;
    let ago = unit.checked_mul(number).filter(|ago| !ago.is_negative()).ok_or_else(wrong)?;
    Timestamp::now().checked_sub(ago).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time("2026-11-23T09:20:33Z").unwrap().to_string(), "2026-11-23T09:20:33Z");
        let ago = Timestamp::now().duration_since(time("2h").unwrap());
        assert!((7190..7210).contains(&ago.as_secs()), "{ago}");
        for wrong in ["", "x", "h", "-1h", "1y", "99999999999d", "2026-11-23", "é"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn changes_of_labels() {
        assert_eq!(change("a=b-").unwrap(), ("a".into(), Some("b-".into())));
        assert_eq!(change("a-").unwrap(), ("a".into(), None));
        for wrong in ["a", "-", "=b", ""] {
            assert!(change(wrong).is_err(), "{wrong}");
        }
    }
}
