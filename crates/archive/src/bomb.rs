//! A small input that unpacks to far more than it is.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// From this size on, what unpacks to far more than it was is taken for a bomb, in bytes.
const FROM: u64 = 1 << 30;
/// Times its size that an inner tar may unpack to. Files of real containers shrink to a hundredth at the best, and
/// a tmpfs is packed without its holes.
pub(crate) const RATIO: u64 = 1000;

/// What went into a decoder and came out of it.
#[derive(Debug, Default)]
pub(crate) struct Ratio {
    taken: AtomicU64,
    given: AtomicU64,
    exceeded: AtomicBool,
}

impl Ratio {
    /// Counts what a decoder takes.
    pub(crate) fn taken<R: Read>(&self, reader: R) -> Taken<'_, R> {
        Taken { ratio: self, reader }
    }

    /// Counts what a decoder gives, and ends it when that is too much.
    pub(crate) fn given<R: Read>(&self, reader: R) -> Given<'_, R> {
        Given { ratio: self, reader }
    }

    /// Whether it was ended for that.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }
}

pub(crate) struct Taken<'a, R> {
    ratio: &'a Ratio,
    reader: R,
}

impl<R: Read> Read for Taken<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.ratio.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

pub(crate) struct Given<'a, R> {
    ratio: &'a Ratio,
    reader: R,
}

impl<R: Read> Read for Given<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        let given = self.ratio.given.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        let taken = self.ratio.taken.load(Ordering::Relaxed);
        if given > FROM && given / RATIO > taken {
            self.ratio.exceeded.store(true, Ordering::Relaxed);
            return Err(io::Error::other("unpacks to too much"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `given` bytes out of what took `taken`.
    fn run(taken: u64, given: u64) -> bool {
        let ratio = Ratio::default();
        io::copy(&mut ratio.taken(io::repeat(1).take(taken)), &mut io::sink()).unwrap();
        let mut reader = ratio.given(io::repeat(0).take(given));
        let mut buf = vec![0; 1 << 20];
        while matches!(reader.read(&mut buf), Ok(1..)) {}
        ratio.exceeded()
    }

    #[test]
    fn what_unpacks_to_a_thousand_times_its_size_is_ended() {
        assert!(run(1 << 20, FROM + (1 << 20)));
        assert!(!run(2 << 20, FROM + (1 << 20)));
        assert!(!run(1, FROM));
    }
}
