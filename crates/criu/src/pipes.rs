//! `pipes-data.img` and `fifo-data.img`: bytes on their way through a pipe
//! (criu `images/pipe-data.proto`).

use std::collections::BTreeMap;

use crate::error::Result;
use crate::image::entries;
use crate::limits::ENTRIES_MAX;
use crate::magic::ImageKind;
use crate::message::{Entry, next};
use crate::warnings::Warnings;

/// An entry; its bytes follow it in the image.
#[derive(Clone, PartialEq, prost::Message)]
struct PipeData {
    #[prost(uint32, tag = "1")]
    pipe_id: u32,
    #[prost(uint32, tag = "2")]
    bytes: u32,
}

impl Entry for PipeData {
    const REQUIRED: &'static [u32] = &[1, 2];
    const KNOWN: &'static [u32] = &[1, 2, 3];
}

/// Bytes that wait in each pipe, by the inode of the pipe.
pub(crate) fn waiting(
    images: &BTreeMap<String, Vec<u8>>,
    warnings: &mut Warnings,
) -> BTreeMap<u32, u64> {
    let mut waiting = BTreeMap::new();
    for (name, kind) in
        [("pipes-data.img", ImageKind::PipesData), ("fifo-data.img", ImageKind::FifoData)]
    {
        if let Some(bytes) = images.get(name) {
            let read = read(name, bytes, kind, &mut waiting, warnings);
            warnings.take(read);
        }
    }
    waiting
}

fn read(
    name: &str,
    bytes: &[u8],
    kind: ImageKind,
    waiting: &mut BTreeMap<u32, u64>,
    warnings: &mut Warnings,
) -> Result<()> {
    let mut entries = entries(name, bytes, kind)?;
    while let Some(data) = next::<PipeData>(&mut entries, warnings)? {
        entries.skip_payload(u64::from(data.bytes))?;
        if waiting.len() < ENTRIES_MAX {
            waiting.insert(data.pipe_id, u64::from(data.bytes));
        }
    }
    Ok(())
}
