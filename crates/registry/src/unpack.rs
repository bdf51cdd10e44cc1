//! Taking off the compression of what has arrived.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use pagevault_archive::{Limits, decode};

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::folder::spool_error;
use crate::hashing::StreamHash;
use crate::room::{Gauge, Room};
use crate::{Result, archive_error};

/// From this size on, what unpacks to far more than arrived is taken for a bomb. Zeros do not count:
/// memory that a program touched and never filled is in a checkpoint, gigabytes of it shrink to
/// nothing, and they take no room here. The rest of a real process shrinks to a hundredth at the best.
const BOMB_FROM: u64 = 1 << 30;
const BOMB_RATIO: u64 = 1000;

/// What was inside: a file without a name, which is gone when it is closed.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) file: File,
    pub(crate) bytes: u64,
    /// Of all of it, in hex.
    pub(crate) sha256: String,
}

/// Unpacks an upload. The path is used for a moment only. Blocks.
pub(crate) fn unpack(file: &File, path: &Path, room: &Room) -> Result<Unpacked> {
    let fail = |e| spool_error("unpacking an upload", e);
    let arrived = file.metadata().map_err(fail)?.len();
    let mut reader = file.try_clone().map_err(fail)?;
    io::Seek::rewind(&mut reader).map_err(fail)?;
    let (_, mut reader) = decode::open(reader).map_err(archive_error)?;
    let mut sink = Sink { file: nameless(path).map_err(fail)?, bytes: 0, filled: 0 };
    let mut gauge = room.gauge();
    let (mut hash, mut buf) = (StreamHash::default(), vec![0; 1 << 20]);
    loop {
        let part = match reader.read(&mut buf) {
            Ok(0) => break,
            Ok(len) => &buf[..len],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(archive_error(e.into())),
        };
        hash.update(part);
        sink.take(part, arrived, &mut gauge)?;
    }
    let Sink { file, bytes, .. } = sink;
    // Zeros at the end are still to be there.
    file.set_len(bytes).map_err(fail)?;
    Ok(Unpacked { file, bytes, sha256: hash.sha256() })
}

/// What was unpacked so far.
struct Sink {
    file: File,
    bytes: u64,
    /// Those of the bytes that are written: zeros are left out as holes.
    filled: u64,
}

impl Sink {
    fn take(&mut self, part: &[u8], arrived: u64, gauge: &mut Gauge) -> Result<()> {
        let (at, len) = (self.bytes, part.len() as u64);
        self.bytes += len;
        let max = Limits::default().max_bytes;
        if self.bytes > max {
            let message = format!("the archive unpacks to more than {max} bytes: refused");
            return Err(RegistryError::new(Kind::TooLarge, message));
        }
        if part.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        self.filled += len;
        if self.filled > BOMB_FROM && self.filled / BOMB_RATIO > arrived {
            let message =
                format!("the archive unpacks to more than {BOMB_RATIO} times its size: refused");
            return Err(RegistryError::new(Kind::TooLarge, message));
        }
        gauge.take(len)?;
        self.file.write_all_at(part, at).map_err(|e| spool_error("unpacking an upload", e))
    }
}

/// A file that goes with the process, whatever ends that.
/// A file that is gone when it is closed. The path is used for a moment only. Blocks.
pub(crate) fn nameless(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::tests::shrinking;

    #[test]
    fn what_unpacks_beyond_the_reserve_is_refused_while_it_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let packed = zstd::encode_all(io::repeat(7).take(300 << 20), 1).unwrap();
        std::fs::write(folder.path().join("data"), packed).unwrap();
        let file = File::open(folder.path().join("data")).unwrap();
        let path = folder.path().join("inner");
        let room = shrinking(256 << 20, 128 << 20, 32 << 20);
        let error = unpack(&file, &path, &room).unwrap_err();
        assert_eq!(error.kind(), Kind::Full, "{error}");
        assert!(!path.exists());
        let unpacked = unpack(&file, &path, &shrinking(1 << 30, 0, 0)).unwrap();
        assert_eq!(unpacked.bytes, 300 << 20);
    }

    #[test]
    fn zeros_take_no_room_and_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let zeros = || io::repeat(0).take(300 << 20);
        let all = io::repeat(7).take(5).chain(zeros()).chain(&b"x"[..]).chain(zeros());
        std::fs::write(folder.path().join("data"), zstd::encode_all(all, 1).unwrap()).unwrap();
        let file = File::open(folder.path().join("data")).unwrap();
        let room = shrinking(64 << 20, 0, 0);
        let unpacked = unpack(&file, &folder.path().join("inner"), &room).unwrap();
        assert_eq!(unpacked.bytes, (600 << 20) + 6);
        assert_eq!(unpacked.file.metadata().unwrap().len(), unpacked.bytes);
        let mut part = [1; 3];
        unpacked.file.read_exact_at(&mut part, (300 << 20) + 4).unwrap();
        assert_eq!(part, [0, b'x', 0]);
    }
}
