//! A layer of any size goes in and out in the memory of a window.
//!
//! A program of its own: all that it allocates is counted. (What zstd keeps for itself is not: some
//! hundred KiB for each segment under way.)

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use pagevault_objects::{DiskOptions, DiskStore};
use pagevault_pagestore::{
    AddressRun, PAGE, PageStore, PageStoreOptions, Part, PartKind, RecipeId, Source, Space,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Bytes of the layer: several windows.
const BYTES: u64 = 320 << 20;

/// Memory whose pages differ from each other, and do not compress; some are other ones `later`.
struct Made {
    later: bool,
}

impl Made {
    fn page(&self, number: u64, page: &mut [u8]) {
        let changed = self.later && number.is_multiple_of(50);
        let mut state = (number * 2 + u64::from(changed) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for word in page.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes()[..word.len()]);
        }
    }
}

#[async_trait]
impl Source for Made {
    async fn ready(&self, _range: Range<u64>) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        assert!(offset.is_multiple_of(PAGE as u64));
        for (page, number) in buf.chunks_mut(PAGE).zip(offset / PAGE as u64..) {
            self.page(number, page);
        }
        Ok(())
    }
}

async fn write(store: &PageStore, later: bool, base: Option<&RecipeId>) -> RecipeId {
    let runs = vec![AddressRun { address: 0x10_0000, pages: BYTES / PAGE as u64 }];
    let space = Space { pid: 1, command: "a".into(), shmem: None, runs };
    let source: Arc<dyn Source> = Arc::new(Made { later });
    let mut writer = store.writer("d", base, vec![space]).await.unwrap();
    let part = Part { offset: 0, bytes: BYTES, kind: PartKind::Pages(0) };
    writer.write(part, &source).await.unwrap();
    writer.commit(&format!("sha256:{:064}", u8::from(later)), BYTES).await.unwrap().id
}

async fn read(store: &PageStore, id: &RecipeId) {
    let reader = store.open(id).await.unwrap();
    let (mut parts, mut bytes) = (reader.stream(0..BYTES), 0);
    while let Some(part) = parts.next().await {
        bytes += part.unwrap().len() as u64;
    }
    assert_eq!(bytes, BYTES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_takes_no_more_than_its_window_and_what_tells_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskStore::open(folder.path(), DiskOptions { reserve_bytes: 0 }).unwrap();
    let options = PageStoreOptions::default();
    // What is known of each segment and page grows with the layer: a few bytes in a thousand.
    let most = options.window_bytes + (BYTES / 50) as usize;
    let store = PageStore::new(Arc::new(disk), options);
    let taken = async |what: &str, work: &mut (dyn Future<Output = ()> + Unpin)| {
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        work.await;
        let peak = ALLOCATED.peak_usage().saturating_sub(before);
        assert!(peak <= most, "{what} took {peak} bytes, {most} are the most");
        assert!(peak >= 2 << 20, "{what} took {peak} bytes: that is not counted");
    };
    let mut ids = Vec::new();
    taken("a keyframe in", &mut Box::pin(async { ids.push(write(&store, false, None).await) }))
        .await;
    let first = ids[0].clone();
    taken("a delta in", &mut Box::pin(async { ids.push(write(&store, true, Some(&first)).await) }))
        .await;
    let later = ids[1].clone();
    taken("a keyframe out", &mut Box::pin(read(&store, &first))).await;
    taken("a delta out", &mut Box::pin(read(&store, &later))).await;
}
