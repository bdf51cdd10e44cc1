//! The outer compression of an archive: none (containerd, CRI-O), zstd (podman's default) or gzip.

use std::fmt;
use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::ArchiveError;
use crate::source::read_full;

/// Windows above 128 MiB are refused: a frame header could otherwise ask for gigabytes.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// How many first bytes tell the compression.
pub const MAGIC_BYTES: usize = 4;
const INPUT_BUFFER_BYTES: usize = 128 << 10;

/// How a whole archive is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outer {
    /// Not compressed, or not in a way that is known: the tar scanner decides.
    Plain,
    /// gzip, one member or several.
    Gzip,
    /// zstd, one frame or several.
    Zstd,
}

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// Tells the compression by the first [`MAGIC_BYTES`] (RFC 1952 §2.3.1, RFC 8878 §3.1.1 and §3.1.2).
#[must_use]
pub fn detect(first_bytes: &[u8]) -> Outer {
    match first_bytes {
        [0x1f, 0x8b, ..] => Outer::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Outer::Zstd,
        _ => Outer::Plain,
    }
}

/// Takes off the outer compression. Errors of the returned reader become the right [`ArchiveError`] by `From<io::Error>`.
pub fn open<'r, R: Read + Send + 'r>(
    reader: R,
) -> Result<(Outer, Box<dyn Read + Send + 'r>), ArchiveError> {
    let mut reader = Marked { reader };
    let mut first = [0; MAGIC_BYTES];
    let filled = read_full(&mut reader, &mut first)?;
    let outer = detect(first.get(..filled).unwrap_or(&[]));
    let head = first.into_iter().take(filled).collect::<Vec<_>>();
    let whole = BufReader::with_capacity(INPUT_BUFFER_BYTES, Cursor::new(head).chain(reader));
    let plain: Box<dyn Read + Send + 'r> = match outer {
        Outer::Plain => Box::new(whole),
        Outer::Gzip => Box::new(Unwrapped { outer, reader: MultiGzDecoder::new(whole) }),
        Outer::Zstd => {
            let mut reader = zstd::Decoder::with_buffer(whole)?;
            reader.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(Unwrapped { outer, reader })
        }
    };
    Ok((outer, plain))
}

/// The input below a decoder: its errors are marked, to be told from those of the decoder.
struct Marked<R> {
    reader: R,
}

impl<R: Read> Read for Marked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, ArchiveError::from(error)),
        })
    }
}

/// A decoder: what it complains about is damage, unless the input below failed.
struct Unwrapped<R> {
    outer: Outer,
    reader: R,
}

impl<R: Read> Read for Unwrapped<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf).map_err(|error| {
            let format = self.outer;
            let marked = matches!(error.get_ref(), Some(inner) if inner.is::<ArchiveError>());
            match error.kind() {
                _ if marked => error,
                io::ErrorKind::Interrupted => error,
                io::ErrorKind::UnexpectedEof => {
                    io::Error::other(ArchiveError::TruncatedOuter { format })
                }
                _ => io::Error::other(ArchiveError::CorruptOuter {
                    format,
                    reason: crate::error::shown(error.to_string().as_bytes()),
                }),
            }
        })
    }
}
