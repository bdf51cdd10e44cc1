//! The rest of a file as a request body: one thread reads and hashes ahead of the connection.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::file::SourceFile;
use super::hash::{FileHash, READ_BYTES};
use crate::{ClientError, Result};

/// Pieces that are read ahead.
const AHEAD: usize = 4;

/// Bytes that the connection has taken.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    bytes: AtomicU64,
    waits: AtomicBool,
}

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes whether the connection waits for us, not we for it.
    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }

    pub(crate) fn waits_for_input(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }
}

type Pieces = Arc<Mutex<Option<Receiver<Bytes>>>>;

/// A file that is being read for a request.
#[derive(Debug)]
pub(crate) struct Feed {
    pieces: Pieces,
    pub(crate) sent: Arc<Counter>,
    reader: JoinHandle<(FileHash, Result<()>)>,
}

impl Feed {
    /// Begins to read at `from`.
    pub(crate) fn start(file: SourceFile, from: u64, hash: FileHash) -> Self {
        let (sender, receiver) = channel(AHEAD);
        let reader = tokio::task::spawn_blocking(move || {
            let mut hash = hash;
            let outcome = read(&file, from, &mut hash, &sender);
            (hash, outcome)
        });
        Self { pieces: Arc::new(Mutex::new(Some(receiver))), sent: Arc::default(), reader }
    }

    /// The request's body.
    pub(crate) fn body(&self) -> reqwest::Body {
        let (pieces, sent) = (Arc::clone(&self.pieces), Arc::clone(&self.sent));
        reqwest::Body::wrap_stream(Body { pieces, sent })
    }

    /// Ends the reading, also while a connection still holds the body, and gives the hash back.
    pub(crate) async fn end(self) -> (FileHash, Result<()>) {
        drop(self.pieces.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.reader.await.unwrap_or_else(|error| {
            let source = io::Error::other(error);
            let error = ClientError::Io { doing: "reading the file".to_owned(), source };
            (FileHash::default(), Err(error))
        })
    }
}

/// Reads to the end of the file as it was; ends early when nobody listens any more.
fn read(file: &SourceFile, from: u64, hash: &mut FileHash, to: &Sender<Bytes>) -> Result<()> {
    let mut offset = from;
    while offset < file.bytes() {
        let want = (file.bytes() - offset).min(READ_BYTES);
        let mut piece = vec![0; usize::try_from(want).unwrap_or(1 << 16)];
        file.read(&mut piece, offset)?;
        hash.update(offset, &piece);
        offset = offset.saturating_add(piece.len() as u64);
        if to.blocking_send(piece.into()).is_err() {
            return Ok(());
        }
    }
    file.check()
}

struct Body {
    pieces: Pieces,
    sent: Arc<Counter>,
}

impl Stream for Body {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(receiver) = pieces.as_mut() else {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        };
        let next = receiver.poll_recv(cx);
        self.sent.set_waits(next.is_pending());
        next.map(|piece| {
            let piece = piece?;
            self.sent.add(piece.len());
            Some(Ok(piece))
        })
    }
}
