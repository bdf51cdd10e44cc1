//! A stored layer as the source of another.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::collect::Watch;
use crate::read::LayerReader;
use crate::source::Source;

/// Holds what was waited for until it is read: as much as is being encoded.
pub(super) struct LayerSource {
    reader: LayerReader,
    watch: Arc<Watch>,
    /// By where they begin.
    ranges: Mutex<HashMap<u64, Vec<u8>>>,
}

impl LayerSource {
    pub(super) fn new(reader: LayerReader, watch: Arc<Watch>) -> Self {
        Self { reader, watch, ranges: Mutex::default() }
    }
}

#[async_trait]
impl Source for LayerSource {
    async fn ready(&self, range: Range<u64>) -> io::Result<()> {
        self.watch.check().map_err(io::Error::other)?;
        let start = range.start;
        let bytes = self.reader.read(range).await.map_err(io::Error::other)?;
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner).insert(start, bytes);
        Ok(())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let found = self.ranges.lock().unwrap_or_else(PoisonError::into_inner).remove(&offset);
        let bytes = found.filter(|bytes| bytes.len() == buf.len());
        buf.copy_from_slice(&bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
