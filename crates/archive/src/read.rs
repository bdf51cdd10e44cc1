//! A whole archive in one call.

use std::io::{self, Read};

use crate::checkpoint::Checkpoint;
use crate::collect::Collector;
use crate::decode;
use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::rootfs::{InnerSummary, check_inner, is_inner_tar};
use crate::scan::{Member, MemberKind, Scanner};
use crate::source::{Source, Streamed};

/// Reads an archive to its end, compressed or not, and checks all of it, the tars inside too.
pub fn read_checkpoint<R: Read + Send>(
    reader: R,
    limits: &Limits,
) -> Result<Checkpoint, ArchiveError> {
    let (_, plain) = decode::open(reader)?;
    read_plain(Streamed(plain), limits, |_| {})
}

/// The same for a tar that is not compressed. `seen` is told of each member; bytes that nothing here looks at may not have been read by then.
pub fn read_plain<S: Source + Send>(
    source: S,
    limits: &Limits,
    mut seen: impl FnMut(&Member),
) -> Result<Checkpoint, ArchiveError> {
    let mut scanner = Scanner::new(source, limits.clone());
    let mut collector = Collector::new(limits.clone());
    while let Some(member) = scanner.next_member()? {
        if collector.observe(&member)? {
            let bytes = scanner.read_member(member.size)?;
            collector.keep(&member.path, bytes);
        } else if member.kind == MemberKind::File && is_inner_tar(&member.path) {
            let inner = check_member(&mut scanner, &member.path, limits)?;
            collector.observe_inner(&member.path, inner);
        }
        seen(&member);
    }
    collector.finish(scanner.finish()?.total_bytes)
}

fn check_member<S: Source + Send>(
    scanner: &mut Scanner<S>,
    path: &str,
    limits: &Limits,
) -> Result<InnerSummary, ArchiveError> {
    let mut failed = None;
    let data = MemberData { scanner, failed: &mut failed };
    let checked = check_inner(path, data, limits);
    // What went wrong outside is not the inner tar's fault.
    failed.map_or(checked, Err)
}

/// The data of a scanner's current member.
struct MemberData<'s, S> {
    scanner: &'s mut Scanner<S>,
    failed: &'s mut Option<ArchiveError>,
}

impl<S: Source> Read for MemberData<'_, S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.scanner.read_data(buf).map_err(|error| {
            let message = error.to_string();
            *self.failed = Some(error);
            io::Error::other(message)
        })
    }
}
