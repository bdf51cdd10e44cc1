//! Archives that must not be let in.

use std::io::Write as _;

use pagevault_registry::RegistryErrorKind as Kind;
use pagevault_testkit::{Flavour, Tarball, hostile_cases, hostile_memory_cases};

use crate::fixtures::plain;
use crate::support::Vault;

#[tokio::test(flavor = "multi_thread")]
async fn each_is_refused_with_its_reason_and_leaves_nothing_behind() {
    let vault = Vault::new().await;
    let cases = [hostile_cases(), hostile_memory_cases()].concat();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    for case in cases {
        let error = match vault.push(&case.bytes).await {
            Err(error) => error,
            Ok(pushed) => panic!("{} was let in as {}", case.name, pushed.reference),
        };
        assert!(
            matches!(error.kind(), Kind::Archive | Kind::TooLarge),
            "{}: {:?} {error}",
            case.name,
            error.kind()
        );
        let message = error.to_string();
        assert!(
            message.contains(case.expect),
            "{}: {message:?} says nothing of {:?}",
            case.name,
            case.expect
        );
        assert!(!message.chars().any(char::is_control), "{}: {message:?}", case.name);
        assert_eq!(vault.leftovers(), Vec::<std::path::PathBuf>::new(), "{}", case.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_archives_cut_anywhere_are_refused() {
    let vault = Vault::new().await;
    let tar = plain("cri-containerd-counter");
    for part in 1..20 {
        let cut = tar.len() * part / 20;
        let error = vault.push(&tar[..cut]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Archive, "cut at {cut}: {error}");
        assert_eq!(vault.leftovers(), Vec::<std::path::PathBuf>::new());
    }
}

/// More than unpacks without a question.
const LARGE_MIB: usize = 1100;

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_refused_before_it_fills_the_disk() {
    let vault = Vault::new().await;
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let pattern = b"bomb".repeat(1 << 18);
    for _ in 0..LARGE_MIB {
        bomb.write_all(&pattern).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    let error = vault.push(&bomb).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge, "{error}");
    assert!(error.to_string().contains("times its size"), "{error}");
    assert_eq!(vault.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn zeros_shrink_to_nothing_and_are_no_bomb() {
    let vault = Vault::new().await;
    let size = u64::try_from(LARGE_MIB << 20).unwrap();
    let tar = Tarball::new(Flavour::Containerd).writer();
    let head = tar.with(b'0', b"zeros", b"", |header| header.set_size(size)).unfinished();
    let mut tar = zstd::Encoder::new(Vec::new(), 1).unwrap();
    tar.write_all(&head).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..LARGE_MIB {
        tar.write_all(&zeros).unwrap();
    }
    tar.write_all(&[0; 1024]).unwrap();
    let tar = tar.finish().unwrap();
    assert!(size / 1000 > tar.len() as u64);
    let pushed = vault.push(&tar).await.unwrap();
    assert_eq!(pushed.logical_bytes, head.len() as u64 + size + 1024);
    assert!(pushed.stored_bytes < 1 << 20, "{}", pushed.stored_bytes);
}
