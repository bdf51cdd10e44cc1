//! Taking off the compression of what has arrived.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use pagevault_archive::decode;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::folder::spool_error;
use crate::hashing::StreamHash;
use crate::room::Room;
use crate::{Result, archive_error};

/// From this size on, what unpacks to far more than arrived is taken for a bomb. Memory of real
/// processes shrinks to a hundredth at the best.
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
    let mut file = nameless(path).map_err(fail)?;
    let mut gauge = room.gauge();
    let (mut hash, mut bytes, mut buf) = (StreamHash::default(), 0u64, vec![0; 1 << 20]);
    loop {
        let len = match reader.read(&mut buf) {
            Ok(0) => return Ok(Unpacked { file, bytes, sha256: hash.sha256() }),
            Ok(len) => len,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(archive_error(e.into())),
        };
        bytes += len as u64;
        if bytes > BOMB_FROM && bytes / BOMB_RATIO > arrived {
            return Err(RegistryError::new(
                Kind::TooLarge,
                format!("the archive unpacks to more than {BOMB_RATIO} times its size: refused"),
            ));
        }
        gauge.take(len as u64)?;
        file.write_all(&buf[..len]).map_err(fail)?;
        hash.update(&buf[..len]);
    }
}

/// A file that goes with the process, whatever ends that.
fn nameless(path: &Path) -> io::Result<File> {
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
        let packed = zstd::encode_all(io::repeat(0).take(300 << 20), 1).unwrap();
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
}
