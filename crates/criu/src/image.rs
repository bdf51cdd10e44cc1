//! The container of all images: magic numbers, then messages, each after its length.
//!
//! ```text
//! common magic │ kind's magic │ len │ message │ (raw payload) │ len │ message │ …
//!   u32 (≥1.1) │     u32      │ u32 │         │  some kinds   │ u32 │         │
//! ```

use crate::error::{CriuError, Problem, Result};
use crate::limits::IMAGE_BYTES_MAX;
use crate::magic::{self, ImageKind};

/// The entries of an image. After an error there are no more.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    image: &'a str,
    rest: &'a [u8],
    index: usize,
}

/// Checks the magic of an image and gives its entries.
///
/// # Errors
///
/// If the image is too large to be read or is of another kind.
pub fn entries<'a>(image: &'a str, bytes: &'a [u8], kind: ImageKind) -> Result<Entries<'a>> {
    let problem = |problem| CriuError::new(image, problem);
    if bytes.len() > IMAGE_BYTES_MAX {
        let bytes = bytes.len();
        return Err(problem(Problem::TooLarge { bytes, max: IMAGE_BYTES_MAX }));
    }
    match magic::split(bytes) {
        Some((found, rest)) if found == kind.magic() => Ok(Entries { image, rest, index: 0 }),
        Some((found, _)) => Err(problem(Problem::WrongMagic { found, expected: kind.name() })),
        None => Err(problem(Problem::NoMagic)),
    }
}

impl<'a> Entries<'a> {
    /// Name of the image.
    pub fn image(&self) -> &'a str {
        self.image
    }

    /// Steps over raw bytes that follow the entry last read, as in `pipes-data.img`.
    ///
    /// # Errors
    ///
    /// If the image has fewer.
    pub fn skip_payload(&mut self, bytes: u64) -> Result<()> {
        let index = self.index.saturating_sub(1);
        self.cut(index, bytes).map(|_| ())
    }

    fn cut(&mut self, index: usize, declared: u64) -> Result<&'a [u8]> {
        let left = self.rest.len();
        let parts = usize::try_from(declared).ok().and_then(|at| self.rest.split_at_checked(at));
        let Some((cut, rest)) = parts else {
            self.rest = &[];
            return Err(CriuError::new(self.image, Problem::Truncated { index, declared, left }));
        };
        self.rest = rest;
        Ok(cut)
    }

    fn read(&mut self) -> Result<(usize, &'a [u8])> {
        let index = self.index;
        self.index += 1;
        let length = self.cut(index, 4)?;
        let length = length.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Ok((index, self.cut(index, length)?))
    }
}

impl<'a> Iterator for Entries<'a> {
    /// Number of the entry and its message.
    type Item = Result<(usize, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.rest.is_empty()).then(|| self.read())
    }
}
