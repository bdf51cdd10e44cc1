//! Whatever an engine may write goes in and comes out as it was: made-up checkpoints of one container, one
//! after the other, by both ways in.
//!
//! `PAGEVAULT_CASES` says how many series are tried.

use std::io::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::TryStreamExt as _;
use pagevault_api::reference::Reference;
use pagevault_testkit::{Flavour, Process, TarWriter, Tarball};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::landed::copy;
use crate::support::Vault;
use crate::verify::verify;

const PAGE: usize = 4096;

/// Series that are tried if nobody says otherwise.
const CASES: u32 = 24;

/// What is in a page. Few values, so that pages meet their like.
#[derive(Debug, Clone, Copy)]
enum Content {
    Zero,
    Fill(u8),
    Noise(u8),
    /// Noise, of which one byte differs.
    Near(u8, u8),
}

/// How a checkpoint arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Gzip,
    Zstd,
    /// As an image that another registry made, over OCI.
    Landed,
}

/// One checkpoint: runs of pages of its processes, by address; another large member.
#[derive(Debug, Clone)]
struct Shape {
    processes: Vec<Vec<(u16, Vec<Content>)>>,
    member: (usize, u8),
    way: Way,
}

fn noise(seed: u8, bytes: usize) -> Vec<u8> {
    let mut state = (u64::from(seed) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let words = (0..bytes.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(bytes).collect()
}

impl Content {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Zero => vec![0; PAGE],
            Self::Fill(byte) => vec![byte; PAGE],
            Self::Noise(seed) => noise(seed, PAGE),
            Self::Near(seed, at) => {
                let mut page = noise(seed, PAGE);
                page[usize::from(at) * 16] ^= 1;
                page
            }
        }
    }
}

impl Shape {
    fn tar(&self, flavour: Flavour, second: u64) -> Vec<u8> {
        let process = |(number, runs): (usize, &Vec<(u16, Vec<Content>)>)| {
            // Each run begins somewhere in a stretch of its own.
            let runs = (0u64..).zip(runs).map(|(stretch, (page, contents))| {
                let address = 0x7000_0000_0000 + (stretch << 30) + (u64::from(*page) << 12);
                (address, contents.iter().flat_map(|content| content.bytes()).collect())
            });
            Process { pid: number as u32 + 1, runs: runs.collect() }
        };
        let processes = self.processes.iter().enumerate().map(process).collect();
        let (bytes, seed) = self.member;
        let at = 1_790_000_000 + 60 * second;
        let tar = Tarball::new(flavour).at(at).processes(processes);
        let rootfs = TarWriter::new().file("srv/data", &noise(seed, bytes)).finish();
        tar.member("rootfs-diff.tar", rootfs).build()
    }
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        2 => Just(Content::Zero),
        1 => (1u8..4).prop_map(Content::Fill),
        4 => (0u8..40).prop_map(Content::Noise),
        2 => (0u8..40, any::<u8>()).prop_map(|(seed, at)| Content::Near(seed, at)),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    let run = (0u16..600, vec(content(), 1..300));
    let processes = vec(vec(run, 1..4), 1..4);
    let way = prop_oneof![
        3 => Just(Way::Plain),
        1 => Just(Way::Gzip),
        1 => Just(Way::Zstd),
        2 => Just(Way::Landed),
    ];
    let member = (prop_oneof![0usize..2000, 250_000usize..1_500_000], 0u8..3);
    (processes, member, way).prop_map(|(processes, member, way)| Shape { processes, member, way })
}

fn flavour() -> impl Strategy<Value = Flavour> {
    prop_oneof![Just(Flavour::Podman), Just(Flavour::Containerd), Just(Flavour::CriO)]
}

/// A range of a layer, by two numbers.
fn range(bytes: usize, (a, b): (u32, u32)) -> Range<u64> {
    let at = |number: u32| u64::from(number) * bytes as u64 / u64::from(u32::MAX);
    at(a.min(b))..at(a.max(b))
}

async fn push(vault: &Vault, tar: &[u8], way: Way) -> Reference {
    let packed = match way {
        Way::Plain => tar.to_vec(),
        Way::Zstd => zstd::encode_all(tar, 1).unwrap(),
        Way::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(tar).unwrap();
            encoder.finish().unwrap()
        }
        Way::Landed => return land(vault, tar).await,
    };
    vault.push(&packed).await.unwrap().reference
}

/// Lets a checkpoint land over OCI, and waits until its layer is stored by its pages.
async fn land(vault: &Vault, tar: &[u8]) -> Reference {
    let from = Vault::new().await;
    let pushed = from.push(tar).await.unwrap();
    copy(&from, &pushed.reference, vault, &pushed.reference.repository).await;
    let reference = Reference::digest(pushed.reference.repository, pushed.digest);
    let begun = Instant::now();
    while vault.registry.checkpoint(&reference).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is being read for ever");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    reference
}

async fn check(vault: &Vault, reference: &Reference, tar: &[u8], ranges: &[(u32, u32)]) {
    assert!(vault.pull(reference).await == tar, "{reference} has changed");
    let detail = vault.registry.checkpoint(reference).await.unwrap();
    let digest = detail.summary.layer_digest;
    let blob = vault.registry.blob(&reference.repository, &digest).await.unwrap();
    for range in ranges.iter().map(|numbers| range(tar.len(), *numbers)) {
        let parts: Vec<Bytes> = blob.stream(range.clone()).try_collect().await.unwrap();
        let wanted = &tar[range.start as usize..range.end as usize];
        assert!(parts.concat() == wanted, "{range:?} of {reference}");
    }
}

async fn run(flavour: Flavour, series: Vec<Shape>, ranges: Vec<(u32, u32)>) {
    let vault = Vault::new().await;
    let mut all = Vec::new();
    for (shape, second) in series.iter().zip(0..) {
        let tar = shape.tar(flavour, second);
        let reference = push(&vault, &tar, shape.way).await;
        all.push((reference, tar));
    }
    for (reference, tar) in &all {
        check(&vault, reference, tar, &ranges).await;
    }
    let vault = vault.restart().await;
    for (reference, tar) in &all {
        check(&vault, reference, tar, &ranges).await;
    }
    assert_eq!(verify(&vault).await.damage, []);
}

#[test]
fn any_series_comes_back_as_it_was() {
    let cases = std::env::var("PAGEVAULT_CASES").ok().and_then(|n| n.parse().ok());
    let cases = cases.unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ranges = vec(any::<(u32, u32)>(), 6);
    let all = TestRunner::new(config).run(&(flavour(), vec(shape(), 1..5), ranges), |case| {
        let (flavour, series, ranges) = case;
        let ran = runtime.block_on(async { tokio::spawn(run(flavour, series, ranges)).await });
        ran.map_err(|panic| TestCaseError::fail(panic.to_string()))
    });
    all.unwrap();
}
