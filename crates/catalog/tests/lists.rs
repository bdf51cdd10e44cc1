//! Lists, workloads and sums of the view, compared with the same made from a plain list; and how
//! long they take over many checkpoints.

#![allow(clippy::unwrap_used, clippy::cast_possible_wrap, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pagevault_api::Digest;
use pagevault_api::checkpoint::{
    Checkpoint, CheckpointFilter, CheckpointOrder, Origin, Pin, SortKey,
};
use pagevault_api::reference::Reference;
use pagevault_api::workload::WorkloadFilter;
use pagevault_catalog::{Catalog, CatalogError, CheckpointRecord, NewManifest};
use pagevault_objects::MemoryStore;

fn digest(n: u64) -> Digest {
    format!("sha256:{n:064x}").parse().unwrap()
}

fn time(seconds: u64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::try_from(seconds).unwrap()).unwrap()
}

/// Numbers that look random and are the same every time.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    n ^ (n >> 29)
}

/// A checkpoint of a store of so many of them: a few namespaces, workloads of a hundred each.
fn checkpoint(n: u64) -> Checkpoint {
    let group = mix(n / 100);
    let name = |of: &str, many: u64| format!("{of}-{}", group % many);
    Checkpoint {
        reference: Reference::digest(repository(n), digest(n)),
        digest: digest(n),
        layer_digest: digest(n + (1 << 40)),
        namespace: name("ns", 7),
        pod: format!("{}-{}", name("pod", 5000), n % 3),
        container: name("c", 3),
        pod_uid: Some("3f122473-58b3-4378-85ba-cd88aa5a3e44".into()),
        workload: group.is_multiple_of(2).then(|| name("w", 5000)),
        node: (!n.is_multiple_of(5)).then(|| format!("node-{}", n % 4)),
        engine: "containerd".into(),
        runtime: "io.containerd.runc.v2".into(),
        image: name("registry.example/base/redis", 40),
        // All but every hundredth are of one image: no index helps.
        image_digest: Some(format!("sha256:{:064x}", u64::from(n.is_multiple_of(100)))),
        architecture: "amd64".into(),
        created_at: time(mix(n) % 1_000_000 / 10),
        pushed_at: time(0),
        logical_bytes: mix(n + 1) % 1000,
        stored_bytes: mix(n + 2) % 50,
        base: (!n.is_multiple_of(9)).then(|| digest(n / 2)),
        pages: None,
        origin: Origin::Push,
        pinned: n % 50 == 7,
        labels: BTreeMap::from([("n".to_owned(), (n % 11).to_string())]),
    }
}

fn repository(n: u64) -> String {
    format!("r/{}", n / 100 % 1000)
}

async fn put(catalog: &Catalog, n: u64) {
    let summary = checkpoint(n);
    let pin = summary.pinned.then(|| Pin { reason: "because".into(), pinned_at: time(0) });
    let record = CheckpointRecord {
        summary,
        pin,
        recipe: Some(format!("{n:032x}")),
        compressed: false,
        lineage: "l".into(),
    };
    let manifest = NewManifest {
        digest: digest(n),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        bytes: vec![0; 16],
        subject: None,
        artifact_type: None,
        annotations: BTreeMap::new(),
        references: vec![],
        blobs: BTreeMap::new(),
        checkpoint: Some(record),
        detail: None,
    };
    catalog.put_manifest(&repository(n), manifest).await.unwrap();
    catalog.put_tag(&repository(n), &format!("t{n}"), &digest(n)).await.unwrap();
}

async fn open(store: &MemoryStore, folder: &Path) -> Catalog {
    Catalog::open(Arc::new(store.clone()), folder).await.unwrap()
}

fn filters() -> Vec<CheckpointFilter> {
    let all = CheckpointFilter::default;
    let of = |n: u64| checkpoint(n);
    vec![
        all(),
        CheckpointFilter { namespace: Some(of(5).namespace), ..all() },
        CheckpointFilter { pod: Some(of(5).pod), ..all() },
        CheckpointFilter { container: Some(of(5).container), ..all() },
        CheckpointFilter { workload: Some(of(5).workload.unwrap_or_else(|| of(5).pod)), ..all() },
        CheckpointFilter { node: Some("node-2".into()), ..all() },
        CheckpointFilter { image: Some(of(5).image), ..all() },
        CheckpointFilter { image: of(5).image_digest, ..all() },
        CheckpointFilter { repository: Some(repository(5)), ..all() },
        CheckpointFilter { pinned: Some(true), ..all() },
        CheckpointFilter { pinned: Some(false), node: Some("node-1".into()), ..all() },
        CheckpointFilter {
            since: Some(time(20_000)),
            until: Some(time(60_000)),
            namespace: Some(of(5).namespace),
            ..all()
        },
        CheckpointFilter { labels: BTreeMap::from([("n".into(), "3".into())]), ..all() },
        CheckpointFilter {
            labels: BTreeMap::from([("n".into(), "3".into())]),
            pinned: Some(true),
            container: Some(of(5).container),
            ..all()
        },
        CheckpointFilter { namespace: Some("nowhere".into()), ..all() },
        CheckpointFilter { pinned: Some(false), ..all() },
        CheckpointFilter { image: Some(format!("sha256:{:064x}", 0)), ..all() },
        CheckpointFilter {
            image: Some(format!("sha256:{:064x}", 0)),
            node: Some("node-1".into()),
            until: Some(time(0)),
            ..all()
        },
        CheckpointFilter {
            container: Some("c-0".into()),
            image: Some("registry.example/base/redis-1".into()),
            ..all()
        },
        CheckpointFilter { node: Some("node-1".into()), until: Some(time(90_000)), ..all() },
    ]
}

fn orders() -> Vec<CheckpointOrder> {
    let keys = [SortKey::Time, SortKey::Size, SortKey::Stored].into_iter();
    keys.flat_map(|by| [false, true].map(|ascending| CheckpointOrder { by, ascending })).collect()
}

fn fits(filter: &CheckpointFilter, it: &Checkpoint) -> bool {
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
    is(&filter.namespace, &it.namespace)
        && is(&filter.pod, &it.pod)
        && is(&filter.container, &it.container)
        && is(&filter.workload, it.workload.as_deref().unwrap_or(&it.pod))
        && filter.node.as_ref().is_none_or(|node| it.node.as_ref() == Some(node))
        && (is(&filter.image, &it.image) || filter.image == it.image_digest)
        && is(&filter.repository, &it.reference.repository)
        && filter.labels.iter().all(|(key, value)| it.labels.get(key) == Some(value))
        && filter.pinned.is_none_or(|pinned| pinned == it.pinned)
        && filter.since.is_none_or(|since| it.created_at >= since)
        && filter.until.is_none_or(|until| it.created_at < until)
}

fn key(order: CheckpointOrder, it: &Checkpoint) -> i128 {
    let key = match order.by {
        SortKey::Time => i128::from(it.created_at.as_microsecond()),
        SortKey::Size => i128::from(it.logical_bytes),
        SortKey::Stored => i128::from(it.stored_bytes),
    };
    if order.ascending { key } else { -key }
}

async fn listed(
    catalog: &Catalog,
    filter: &CheckpointFilter,
    order: CheckpointOrder,
) -> Vec<Checkpoint> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let page = catalog.list_checkpoints(filter, order, cursor.as_deref(), 41).await.unwrap();
        assert!(page.items.len() == 41 || page.next.is_none());
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return items;
        }
    }
}

async fn compare(catalog: &Catalog, there: &BTreeMap<u64, Checkpoint>) {
    for filter in filters() {
        for order in orders() {
            let found = listed(catalog, &filter, order).await;
            let keys: Vec<_> = found.iter().map(|it| key(order, it)).collect();
            assert!(keys.is_sorted(), "{filter:?} {order:?}");
            let number = |it: &Checkpoint| u64::from_str_radix(it.digest.digest(), 16).unwrap();
            let mut found: Vec<_> = found.iter().map(number).collect();
            found.sort_unstable();
            let wanted = there.iter().filter(|(_, it)| fits(&filter, it)).map(|(n, _)| *n);
            assert_eq!(found, wanted.collect::<Vec<_>>(), "{filter:?} {order:?}");
        }
    }
    let mut sums = BTreeMap::<[String; 3], (u64, u64, u64, Timestamp)>::new();
    let mut pods = BTreeMap::<[String; 3], BTreeSet<String>>::new();
    for it in there.values() {
        let name = it.workload.clone().unwrap_or_else(|| it.pod.clone());
        let names = [it.namespace.clone(), name, it.container.clone()];
        pods.entry(names.clone()).or_default().insert(it.pod.clone());
        let sum = sums.entry(names);
        let sum = sum.or_insert((0, 0, 0, Timestamp::MIN));
        *sum = (
            sum.0 + 1,
            sum.1 + it.logical_bytes,
            sum.2 + it.stored_bytes,
            sum.3.max(it.created_at),
        );
    }
    for filter in workload_filters() {
        let page = catalog.list_workloads(&filter, None, 1000).await.unwrap();
        let found: BTreeSet<_> =
            page.items.into_iter().map(|it| [it.namespace, it.name, it.container]).collect();
        let fits = |names: &&[String; 3]| workload_fits(&filter, names, &pods[*names]);
        assert_eq!(found, sums.keys().filter(fits).cloned().collect(), "{filter:?}");
    }
    let (mut found, mut cursor) = (BTreeMap::new(), None);
    loop {
        let every = WorkloadFilter::default();
        let page = catalog.list_workloads(&every, cursor.as_deref(), 3).await.unwrap();
        for it in page.items {
            let sum = (it.checkpoints, it.logical_bytes, it.stored_bytes, it.latest.created_at);
            found.insert([it.namespace, it.name, it.container], sum);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, sums);
    let spaces = catalog.namespaces().await.unwrap();
    for space in &spaces {
        let of = || sums.iter().filter(|(names, _)| names[0] == space.namespace);
        assert_eq!(space.workloads, of().count() as u64);
        assert_eq!(space.checkpoints, of().map(|(_, sum)| sum.0).sum::<u64>());
        assert_eq!(space.stored_bytes, of().map(|(_, sum)| sum.2).sum::<u64>());
    }
    assert_eq!(spaces.iter().map(|space| space.checkpoints).sum::<u64>(), there.len() as u64);
    assert_eq!(catalog.stats().await.unwrap().checkpoints, there.len() as u64);
    compare_growth(catalog, there).await;
}

fn workload_filters() -> [WorkloadFilter; 6] {
    let some = |text: &str| Some(text.to_owned());
    let all = WorkloadFilter::default;
    [
        WorkloadFilter { container: some("c-1"), ..all() },
        WorkloadFilter { namespace: some("ns-2"), search: some("C-1"), ..all() },
        WorkloadFilter { search: some("pod"), ..all() },
        // A pod of a workload of another name.
        WorkloadFilter { search: Some(checkpoint(of_workload()).pod.to_uppercase()), ..all() },
        WorkloadFilter { search: some("s-2"), ..all() },
        WorkloadFilter { search: some("%"), ..all() },
    ]
}

/// A checkpoint with a workload that is not called like its pod.
fn of_workload() -> u64 {
    (0..200).find(|n| checkpoint(*n).workload.is_some()).unwrap()
}

fn workload_fits(filter: &WorkloadFilter, names: &[String; 3], pods: &BTreeSet<String>) -> bool {
    let wanted = [&filter.namespace, &filter.name, &filter.container];
    let exact = wanted.iter().zip(names).all(|(w, name)| w.as_ref().is_none_or(|w| w == name));
    let part = filter.search.as_ref().map(|part| part.to_lowercase());
    exact && part.is_none_or(|part| names.iter().chain(pods).any(|name| name.contains(&part)))
}

/// Each point has the sums of all that were taken by then.
async fn compare_growth(catalog: &Catalog, there: &BTreeMap<u64, Checkpoint>) {
    let points = catalog.growth().await.unwrap();
    assert!((2..=120).contains(&points.len()), "{}", points.len());
    assert!(points.is_sorted_by(|a, b| a.at < b.at));
    for point in &points {
        let until = || there.values().filter(|it| it.created_at <= point.at);
        assert_eq!(point.checkpoints, until().count() as u64);
        assert_eq!(point.logical_bytes, until().map(|it| it.logical_bytes).sum::<u64>());
        assert_eq!(point.stored_bytes, until().map(|it| it.stored_bytes).sum::<u64>());
    }
    assert_eq!(points.last().map(|point| point.checkpoints), Some(there.len() as u64));
}

#[tokio::test]
async fn lists_and_sums_are_those_of_what_is_there() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let catalog = open(&store, folder.path()).await;
    let mut there = BTreeMap::new();
    for n in 0..200 {
        put(&catalog, n).await;
        there.insert(n, checkpoint(n));
    }
    compare(&catalog, &there).await;
    for n in (0..200).filter(|n: &u64| n.is_multiple_of(3)) {
        let gone = catalog.delete_manifest(&repository(n), &digest(n)).await;
        match there[&n].pinned {
            true => assert!(matches!(gone, Err(CatalogError::Pinned(why)) if why == "because")),
            false => {
                assert!(gone.unwrap());
                there.remove(&n);
            }
        }
    }
    compare(&catalog, &there).await;
    drop(catalog);
    // A view that is made anew is the same.
    std::fs::remove_file(folder.path().join("view.sqlite")).unwrap();
    compare(&open(&store, folder.path()).await, &there).await;
}

#[tokio::test]
async fn a_cursor_goes_on_in_its_own_order_only() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let catalog = open(&store, folder.path()).await;
    for n in 0..3 {
        put(&catalog, n).await;
    }
    let (all, order) = (CheckpointFilter::default(), CheckpointOrder::default());
    let cursor = catalog.list_checkpoints(&all, order, None, 2).await.unwrap().next.unwrap();
    let other = CheckpointOrder { by: SortKey::Size, ..order };
    let refused = catalog.list_checkpoints(&all, other, Some(&cursor), 2).await;
    assert!(matches!(refused, Err(CatalogError::Cursor)));
}

/// `cargo test --release -p pagevault-catalog --test lists -- --ignored --nocapture`
#[tokio::test]
#[ignore = "takes minutes; measures"]
async fn a_hundred_thousand_checkpoints() {
    const MANY: u64 = 100_000;
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    // Written by somebody else, so that the view is made from them.
    let other = Catalog::open_in_memory(Arc::new(store.clone())).await.unwrap();
    for n in 0..MANY {
        put(&other, n).await;
    }
    drop(other);
    let begun = Instant::now();
    drop(open(&store, folder.path()).await);
    println!("view of {MANY} made in {:?}", begun.elapsed());
    let begun = Instant::now();
    let catalog = open(&store, folder.path()).await;
    let started = begun.elapsed();
    println!("start-up {started:?}");
    assert!(started < Duration::from_secs(1));
    let mut slowest = Duration::ZERO;
    for filter in filters() {
        for order in orders() {
            for from_the_middle in [false, true] {
                let mut cursor = None;
                if from_the_middle {
                    cursor =
                        catalog.list_checkpoints(&filter, order, None, 1000).await.unwrap().next;
                }
                let begun = Instant::now();
                catalog.list_checkpoints(&filter, order, cursor.as_deref(), 50).await.unwrap();
                let took = begun.elapsed();
                if took > Duration::from_millis(10) {
                    println!("{took:?} {order:?} {filter:?}");
                }
                slowest = slowest.max(took);
            }
        }
    }
    println!("slowest list {slowest:?}");
    let begun = Instant::now();
    catalog.list_workloads(&WorkloadFilter::default(), None, 50).await.unwrap();
    println!("workloads {:?}", begun.elapsed());
    for part in ["no such name", "pod-17", "-1"] {
        let begun = Instant::now();
        let search = WorkloadFilter { search: Some(part.into()), ..WorkloadFilter::default() };
        catalog.list_workloads(&search, None, 50).await.unwrap();
        println!("workloads by a part of a name, {part:?} {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_millis(50));
    }
    let begun = Instant::now();
    assert_eq!(catalog.growth().await.unwrap().last().map(|it| it.checkpoints), Some(MANY));
    println!("growth {:?}", begun.elapsed());
    let begun = Instant::now();
    catalog.namespaces().await.unwrap();
    catalog.stats().await.unwrap();
    println!("sums {:?}", begun.elapsed());
    assert!(slowest < Duration::from_millis(50));
}
