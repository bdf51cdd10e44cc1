//! Archives that must not be let in.

use pagevault_registry::RegistryErrorKind as Kind;
use pagevault_testkit::{hostile_cases, hostile_memory_cases};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_refused_before_it_fills_the_disk() {
    let vault = Vault::new().await;
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1100 {
        std::io::Write::write_all(&mut bomb, &zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    let error = vault.push(&bomb).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge, "{error}");
    assert_eq!(vault.leftovers(), Vec::<std::path::PathBuf>::new());
}
