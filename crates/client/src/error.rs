//! What can go wrong, by what the caller can do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pagevault_api::problem::{Problem, ProblemKind};

/// Why a request or a transfer failed. The message says what happened, [`ClientError::hint`] what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection could be made.
    #[error("cannot reach {server}: {reason}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// What the system says.
        reason: String,
    },
    /// A connection was made, and broke.
    #[error("the connection to {server} broke: {reason}")]
    Broken {
        /// The server's address.
        server: String,
        /// What the system says.
        reason: String,
    },
    /// A transfer was tried again and again and got no further.
    #[error("gave up after {} s without progress: {last}", after.as_secs())]
    GaveUp {
        /// How long it was tried.
        after: Duration,
        /// What the last try failed with.
        last: Box<ClientError>,
    },
    /// The server refused.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// The server said something that is not in the contract.
    #[error("{server} answered what was not expected: {what}")]
    Protocol {
        /// The server's address.
        server: String,
        /// HTTP status, if there was an answer at all.
        status: Option<u16>,
        /// What was odd.
        what: String,
    },
    /// What arrived is not what its digest says.
    #[error("what arrived is not what was asked for: {what}")]
    Mismatch {
        /// Which digest or size, and what came instead.
        what: String,
    },
    /// A parameter makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The file to write is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file was written to while it was sent.
    #[error("{} changed while it was sent", path.display())]
    FileChanged {
        /// The file.
        path: PathBuf,
    },
    /// A file is not an acceptable checkpoint archive.
    #[error(transparent)]
    Archive(#[from] pagevault_archive::ArchiveError),
    /// This machine: a file, a disk.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried, with the path.
        doing: String,
        /// What the system says.
        source: io::Error,
    },
}

impl ClientError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// What to do about it, where that is not obvious.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { .. } => {
                "is `pagevault serve` running there? --server or PAGEVAULT_SERVER say where".into()
            }
            Self::Broken { .. } | Self::GaveUp { .. } => {
                "run it again: a push of a file goes on where it stopped".into()
            }
            Self::Problem(problem) => match problem.kind {
                ProblemKind::Damaged => "the server's log names the damaged object".into(),
                ProblemKind::Unavailable => "try again later".into(),
                ProblemKind::DigestMismatch => {
                    "the file changes while it is sent, or the network or a disk is at fault".into()
                }
                ProblemKind::QuotaExceeded => {
                    "delete what is not needed, or raise the quota: `pagevault retention`".into()
                }
                ProblemKind::NotFound => "`pagevault ls` shows what is there".into(),
                ProblemKind::Internal => match &problem.request_id {
                    Some(id) => format!("the server's log has more, under request {id}"),
                    None => "the server's log has more".into(),
                },
                _ => return None,
            },
            Self::Protocol { .. } => "is it a Pagevault server, of a version like this one?".into(),
            Self::Exists { .. } => "--force replaces it".into(),
            Self::FileChanged { .. } => "push it when whoever writes it is done".into(),
            Self::Mismatch { .. } => {
                "try again; if it stays, the network or a disk is at fault".into()
            }
            Self::Archive(_) | Self::Invalid(_) | Self::Io { .. } => return None,
        })
    }

    /// The problem that the server named, if it did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::GaveUp { last, .. } => last.problem(),
            _ => None,
        }
    }

    /// True if nothing by that name is there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.kind == ProblemKind::NotFound,
            Self::Protocol { status, .. } => *status == Some(404),
            _ => false,
        }
    }

    /// True if the same request may well succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Problem(problem) => {
                matches!(
                    problem.kind,
                    ProblemKind::Unavailable
                        | ProblemKind::OffsetMismatch
                        | ProblemKind::Interrupted
                ) || passes(problem.status)
                    || self.is_fault()
            }
            Self::Protocol { status, .. } => status.is_some_and(passes) || self.is_fault(),
            _ => false,
        }
    }

    /// True if what arrived was not what was sent.
    pub(crate) fn is_digest_mismatch(&self) -> bool {
        self.problem().is_some_and(|problem| problem.kind == ProblemKind::DigestMismatch)
    }

    /// True for a fault of the server, which may pass with a restart but should not be tried for long.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.kind == ProblemKind::Internal,
            Self::Protocol { status, .. } => *status == Some(500),
            _ => false,
        }
    }
}

/// Statuses of servers and proxies that may well be another one a little later.
fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 502 | 503 | 504)
}
