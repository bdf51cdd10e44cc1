//! Where the bytes go: one thread hashes and writes behind the connection.

use std::io::{self, Write};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::{ClientError, Result};

/// Pieces that may wait to be written.
const BEHIND: usize = 32;

pub(crate) struct Sink {
    pieces: Sender<Bytes>,
    writer: JoinHandle<io::Result<String>>,
    taken: u64,
}

impl Sink {
    pub(crate) fn start(writer: Box<dyn Write + Send>) -> Self {
        let (pieces, receiver) = channel(BEHIND);
        let writer = tokio::task::spawn_blocking(move || write(writer, receiver));
        Self { pieces, writer, taken: 0 }
    }

    /// Bytes that were taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes the next piece; false if it can no longer be written.
    pub(crate) async fn take(&mut self, piece: Bytes) -> bool {
        let bytes = piece.len() as u64;
        let taken = self.pieces.send(piece).await.is_ok();
        self.taken = self.taken.saturating_add(if taken { bytes } else { 0 });
        taken
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.pieces.is_closed()
    }

    /// Waits until all is written; returns its sha256.
    pub(crate) async fn finish(self) -> Result<String> {
        drop(self.pieces);
        let written = self.writer.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(ClientError::io("writing what arrives"))
    }
}

fn write(mut writer: Box<dyn Write + Send>, mut pieces: Receiver<Bytes>) -> io::Result<String> {
    let mut hash = Sha256::new();
    while let Some(piece) = pieces.blocking_recv() {
        writer.write_all(&piece)?;
        hash.update(&piece);
    }
    writer.flush()?;
    Ok(hex::encode(hash.finalize()))
}
