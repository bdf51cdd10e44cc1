//! The page store: layers in, the same bytes out, and what did not change between two checkpoints
//! stored once.
//!
//! A layer is written as one data object and one [recipe](Recipe). A pages file is cut into
//! segments of 1 MiB; each of its pages is compared with the page at the same address of the same
//! process in the *base*, the checkpoint before it. A recipe without a base is a *keyframe*, one
//! with a base a *delta*. The bytes are described in FORMAT.md.
//!
//! Nothing here knows what a layer means: the caller says which parts are memory pages, whose, and
//! what to compare with. Wrong answers cost space, never bytes: every segment is decoded again and
//! compared before a recipe is committed.

#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers within a segment fit 32 bits, and usize is 64 bits wide (asserted below)"
)]

mod ahead;
mod block;
mod buffer;
mod cache;
mod codec;
mod collect;
mod compare;
mod error;
mod listing;
mod mapping;
#[cfg(any(test, feature = "suite"))]
pub mod names;
mod places;
mod policy;
mod read;
mod rebase;
mod recipe;
mod replace;
mod share;
mod source;
mod store;
mod varint;
mod verify;
mod whole;
mod work;
mod write;

pub use codec::{Checksum, CodecError};
pub use collect::{
    Buried, CollectOptions, CollectProgress, CollectStats, Counted, DataFacts, Hold, Names, Phase,
    RecipeFacts, Roots, RootsError, Sizes, Standing, Stored, Survey, Tally, Watch,
};
pub use compare::{ComparedRun, Owner, PageState};
pub use error::PageStoreError;
pub use read::{Framed, LayerReader};
pub use rebase::{Rebase, Rebased};
pub use recipe::{AddressRun, Space};
pub use share::{IndexStats, Loaded, ObjectUse, Repacked};
pub use source::Source;
pub use store::{PageStore, PageStoreOptions, RecipeId};
pub use verify::{Damage, Progress, Verified};
pub use work::Workers;
pub use write::{Committed, LayerWriter, MemberBytes, PageCounts, Part, PartKind, WriteStats};

/// Bytes of a memory page; images of hosts with other page sizes are stored like any other file.
pub const PAGE: usize = 4096;

/// Most bytes that a segment decodes to.
pub(crate) const SEGMENT_MAX: u32 = 1 << 20;

const _: () = assert!(usize::BITS >= 64);

type Result<T, E = PageStoreError> = std::result::Result<T, E>;
