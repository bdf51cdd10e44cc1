//! A file that is still arriving, read as if it were there: readers wait for what they need.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pagevault_pagestore::Source;
use tokio::sync::Notify;

/// A growing file. Readers block; the writer says how far it has got.
#[derive(Debug)]
pub(crate) struct Growing {
    file: Arc<File>,
    state: Mutex<State>,
    /// For readers on threads of their own, and for tasks.
    changed: Condvar,
    changed_async: Notify,
}

#[derive(Debug)]
struct State {
    available: u64,
    ended: bool,
    aborted: bool,
}

impl Growing {
    pub(crate) fn new(file: Arc<File>, available: u64) -> Self {
        let state = State { available, ended: false, aborted: false };
        Self {
            file,
            state: Mutex::new(state),
            changed: Condvar::new(),
            changed_async: Notify::new(),
        }
    }

    /// A file that is whole.
    pub(crate) fn whole(file: Arc<File>, bytes: u64) -> Self {
        let growing = Self::new(file, bytes);
        growing.end();
        growing
    }

    /// Bytes up to there can be read.
    pub(crate) fn advance(&self, available: u64) {
        self.change(|state| state.available = available);
    }

    /// Nothing more will come.
    pub(crate) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    /// Lets readers that wait fail.
    pub(crate) fn abort(&self) {
        self.change(|state| state.aborted = true);
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        f(&mut self.lock());
        self.changed.notify_all();
        self.changed_async.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until bytes up to `end` are there, or no more will come; says how many there are.
    /// Blocks: for threads that do nothing else.
    fn wait(&self, end: u64) -> io::Result<u64> {
        let waiting = |state: &mut State| state.reached(end).is_none();
        let state =
            self.changed.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
        state.reached(end).unwrap_or_else(|| Err(interrupted()))
    }

    /// The same, for tasks.
    pub(crate) async fn reached(&self, end: u64) -> io::Result<u64> {
        loop {
            // Registered before the state is looked at, so that no change is missed.
            let mut changed = std::pin::pin!(self.changed_async.notified());
            changed.as_mut().enable();
            let reached = self.lock().reached(end);
            match reached {
                Some(reached) => return reached,
                None => changed.await,
            }
        }
    }
}

impl State {
    /// How much there is, once that is enough or all.
    fn reached(&self, end: u64) -> Option<io::Result<u64>> {
        if self.aborted {
            return Some(Err(interrupted()));
        }
        (self.available >= end || self.ended).then_some(Ok(self.available))
    }
}

fn interrupted() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the upload was interrupted")
}

#[async_trait]
impl Source for Growing {
    async fn ready(&self, range: Range<u64>) -> io::Result<()> {
        match self.reached(range.end).await? {
            available if available < range.end => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}

/// Reads a growing file in order, and skips without reading.
#[derive(Debug)]
pub(crate) struct Follow {
    growing: Arc<Growing>,
    offset: u64,
}

impl Follow {
    pub(crate) fn new(growing: Arc<Growing>) -> Self {
        Self { growing, offset: 0 }
    }
}

impl io::Read for Follow {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let available = self.growing.wait(self.offset + 1)?;
        let len = available.saturating_sub(self.offset).min(buf.len() as u64);
        let len = usize::try_from(len).unwrap_or(buf.len());
        self.growing.file.read_exact_at(&mut buf[..len], self.offset)?;
        self.offset += len as u64;
        Ok(len)
    }
}

impl pagevault_archive::Source for Follow {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let end = self.offset.saturating_add(bytes);
        if self.growing.wait(end)? < end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset = end;
        Ok(())
    }
}
