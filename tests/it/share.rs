//! Pods of one image in one namespace store their common pages once.

use pagevault_testkit::{Flavour, PAGE_BYTES, Process, Tarball};

use crate::support::Vault;

/// Pages of noise, each as its number says.
fn noise(numbers: impl Iterator<Item = u64>) -> Vec<u8> {
    let page = |number: u64| {
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..PAGE_BYTES / 8).flat_map(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
    };
    numbers.flat_map(page).collect()
}

/// A pod whose memory begins at an address of its own: its own pages, then what all have.
fn pod(namespace: &str, name: &str, own: u64) -> Vec<u8> {
    let pages = noise((own..own + 40).chain(0..3000));
    let processes = vec![Process { pid: 1, runs: vec![(0x7000_0000_0000 + own * 4096, pages)] }];
    Tarball::new(Flavour::Containerd).named(namespace, name, "app").processes(processes).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_stores_what_is_its_own_and_another_namespace_everything() {
    let vault = Vault::new().await;
    let tars = [pod("shop", "cart-0", 10_000), pod("shop", "cart-1", 20_000)];
    let first = vault.push(&tars[0]).await.unwrap();
    let second = vault.push(&tars[1]).await.unwrap();
    assert_eq!(first.stats.pages.shared, 0);
    assert!(second.base.is_none());
    assert!(second.stats.pages.shared > 2700, "{:?}", second.stats.pages);
    assert!(second.stored_bytes < first.stored_bytes / 10);
    let bank = pod("bank", "cart-0", 10_000);
    let other = vault.push(&bank).await.unwrap();
    assert_eq!(other.stats.pages.shared, 0);
    // Nor is it any smaller; recipes differ by a few bytes, as names are random.
    assert_eq!(other.stats.stored_page_bytes, first.stats.stored_page_bytes);
    for (pushed, tar) in [(&first, &tars[0]), (&second, &tars[1]), (&other, &bank)] {
        assert!(vault.pull(&pushed.reference).await == *tar);
    }
    // The next checkpoint of the replica is put on its own.
    let later = Tarball::new(Flavour::Containerd).named("shop", "cart-1", "app");
    let memory = noise((20_000..20_040).chain(0..2999).chain([77_777]));
    let runs = vec![(0x7000_0000_0000 + 20_000 * 4096, memory)];
    let later = later.at(1_790_000_000).processes(vec![Process { pid: 1, runs }]).build();
    let pushed = vault.push(&later).await.unwrap();
    assert_eq!(pushed.base, Some(second.digest));
    assert!(pushed.stats.pages.same > 3000, "{:?}", pushed.stats.pages);
    // After a restart the index is there again.
    let vault = vault.restart().await;
    assert!(vault.pull(&pushed.reference).await == later);
    wait_for_index(&vault).await;
    let third = vault.push(&pod("shop", "cart-2", 30_000)).await.unwrap();
    assert!(third.stats.pages.shared > 2700, "{:?}", third.stats.pages);
}

async fn wait_for_index(vault: &Vault) {
    for _ in 0..1000 {
        if vault.registry.index_stats().entries > 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the index is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_that_are_all_gone_are_made_anew_at_the_start() {
    let vault = Vault::new().await;
    vault.push(&pod("shop", "cart-0", 10_000)).await.unwrap();
    let before = vault.registry.stats().await.unwrap();
    assert!(before.index.entries > 0 && before.index.memory_bytes > 0);
    let hooks = || {
        let all = vault.leftovers().into_iter();
        all.filter(|path| path.to_string_lossy().contains("/hooks/")).collect::<Vec<_>>()
    };
    assert!(!hooks().is_empty());
    hooks().iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let vault = vault.restart().await;
    wait_for_index(&vault).await;
    let second = vault.push(&pod("shop", "cart-1", 20_000)).await.unwrap();
    assert!(second.stats.pages.shared > 2700, "{:?}", second.stats.pages);
}
