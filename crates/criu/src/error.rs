//! What can be wrong with an image.

/// Result of reading an image.
pub type Result<T, E = CriuError> = std::result::Result<T, E>;

/// An image that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{image}: {problem}")]
pub struct CriuError {
    /// Name of the image, such as `pagemap-1.img`.
    pub image: String,
    /// What is wrong.
    pub problem: Problem,
}

impl CriuError {
    /// Names the image in which a problem was found.
    pub fn new(image: &str, problem: Problem) -> Self {
        Self { image: image.to_owned(), problem }
    }
}

/// What is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The checkpoint has no such image.
    #[error("is missing")]
    Missing,
    /// Larger than is read.
    #[error("is {bytes} bytes, at most {max} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Too short for its magic numbers.
    #[error("is too short for an image")]
    NoMagic,
    /// Magic of another image, or of none that is known.
    #[error("has magic {found:#010x}, not that of {expected} images")]
    WrongMagic {
        /// The number in the image.
        found: u32,
        /// The image that was wanted.
        expected: &'static str,
    },
    /// An entry or its payload goes on past the end of the image.
    #[error("entry {index} is {declared} bytes, {left} are left")]
    Truncated {
        /// Number of the entry, from 0.
        index: usize,
        /// Bytes that it should have.
        declared: u64,
        /// Bytes that there are.
        left: usize,
    },
    /// No entry where one must be.
    #[error("has no entry")]
    Empty,
    /// More entries than are read.
    #[error("has more than {max} entries")]
    TooManyEntries {
        /// The limit.
        max: usize,
    },
    /// Not a protobuf message, or not of the expected kind.
    #[error("entry {index} cannot be decoded: {reason}")]
    Undecodable {
        /// Number of the entry, from 0.
        index: usize,
        /// What the decoder says.
        reason: String,
    },
    /// A message lacks a field that it must have.
    #[error("entry {index} lacks field {field}")]
    FieldMissing {
        /// Number of the entry, from 0.
        index: usize,
        /// Number of the field.
        field: u32,
    },
    /// The two page counts of an entry differ.
    #[error("run at {vaddr:#x} has {old} pages by field 2 and {new} by field 5")]
    PageCounts {
        /// Address of the run.
        vaddr: u64,
        /// Field 2.
        old: u64,
        /// Field 5.
        new: u64,
    },
    /// A run without pages.
    #[error("run at {vaddr:#x} has no pages")]
    NoPages {
        /// Address of the run.
        vaddr: u64,
    },
    /// A run does not begin at a page.
    #[error("run at {vaddr:#x} does not begin at a page")]
    Unaligned {
        /// Address of the run.
        vaddr: u64,
    },
    /// A run goes past the end of the address space, or the pages are too many to count.
    #[error("run at {vaddr:#x} of {pages} pages ends past all addresses")]
    Overflow {
        /// Address of the run.
        vaddr: u64,
        /// Its pages.
        pages: u64,
    },
    /// A run begins before the end of the one before it.
    #[error("run at {vaddr:#x} begins before {previous_end:#x}, the end of the run before it")]
    OutOfOrder {
        /// Address of the run.
        vaddr: u64,
        /// End of the run before it.
        previous_end: u64,
    },
    /// Flags that cannot all be true, or none of them.
    #[error("run at {vaddr:#x} has flags {flags:#x}, which say nothing sensible")]
    BadFlags {
        /// Address of the run.
        vaddr: u64,
        /// Its flags.
        flags: u32,
    },
    /// Bytes are in the images of an earlier dump.
    #[error("pages of an earlier dump are needed and not here")]
    NeedsParent,
    /// Bytes were left for a page server to bring.
    #[error("pages were left to a page server and are not here")]
    LazyMissing,
    /// The pages file is not as long as the pagemap says.
    #[error("has {bytes} bytes, the pagemap says {expected}")]
    PagesSize {
        /// Bytes of the pages file.
        bytes: u64,
        /// Bytes by the pagemap.
        expected: u64,
    },
}
