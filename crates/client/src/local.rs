//! A checkpoint file on this machine, read without a server.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use pagevault_api::Digest;
use pagevault_archive::{ArchiveError, Checkpoint, Limits, Outer, Streamed, decode, read_plain};
use sha2::{Digest as _, Sha256};

use crate::{ClientError, Result};

/// What a checkpoint file holds.
#[derive(Debug)]
pub struct LocalCheckpoint {
    /// How the file is compressed.
    pub outer: Outer,
    /// The archive, judged and found acceptable.
    pub checkpoint: Checkpoint,
    /// sha256 of the inner tar: the digest of the layer that it would become.
    pub layer_digest: Digest,
    /// Processes, memory areas, open files.
    pub report: pagevault_criu::Report,
}

/// Reads a checkpoint file as a server would. Blocks.
pub fn inspect_file(path: &Path) -> Result<LocalCheckpoint> {
    let file = File::open(path).map_err(ClientError::io(format!("opening {}", path.display())))?;
    let (outer, reader) = decode::open(file)?;
    let mut reader = Hashing { reader, hash: Sha256::new() };
    let mut checkpoint = read_plain(Streamed(&mut reader), &Limits::default(), |_| {})?;
    // What the archive's reader has no use for still belongs to the layer.
    io::copy(&mut reader, &mut io::sink()).map_err(ArchiveError::from)?;
    let digest = format!("sha256:{}", hex::encode(reader.hash.finalize()));
    let layer_digest =
        digest.parse().map_err(|e| ClientError::Invalid(format!("digest {digest}: {e}")))?;
    let report = pagevault_criu::inspect(&checkpoint.take_images());
    Ok(LocalCheckpoint { outer, checkpoint, layer_digest, report })
}

struct Hashing<R> {
    reader: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.hash.update(buf.get(..read).unwrap_or_default());
        Ok(read)
    }
}
