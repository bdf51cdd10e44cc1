//! What every store must do. Each backend and each decorator runs this in its tests.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a suite of assertions")]

use bytes::Bytes;
use futures_util::future::{join, join_all, join3};
use futures_util::{FutureExt as _, pin_mut};

use crate::{ErrorKind, Key, ObjectStore, Precondition};

/// Runs all clauses against an empty store.
pub async fn run(store: &dyn ObjectStore) {
    whole_objects(store).await;
    preconditions(store).await;
    racing_creators_have_one_winner(store).await;
    racing_swaps_lose_nothing(store).await;
    racing_removals_lose_nothing(store).await;
    abandoned_writes_keep_their_turn(store).await;
    readers_never_see_a_torn_object(store).await;
    names_of_folders(store).await;
    ranges(store).await;
    readers_see_what_is_there_now(store).await;
    large_objects(store).await;
    files(store).await;
    lists(store).await;
    stamps_and_ages(store).await;
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

async fn put(store: &dyn ObjectStore, name: &str, bytes: &'static [u8]) {
    store.put(&key(name), Bytes::from_static(bytes), Precondition::None).await.unwrap();
}

async fn whole_objects(store: &dyn ObjectStore) {
    let name = key("whole/a");
    assert_eq!(store.get(&name).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.head(&name).await.unwrap_err().kind(), ErrorKind::NotFound);
    store.delete(&name).await.unwrap();
    put(store, "whole/a", b"\0\xff\n").await;
    assert_eq!(&store.get(&name).await.unwrap().bytes[..], b"\0\xff\n");
    assert_eq!(store.head(&name).await.unwrap().bytes, 3);
    put(store, "whole/a", b"").await;
    assert!(store.get(&name).await.unwrap().bytes.is_empty());
    store.delete(&name).await.unwrap();
    assert_eq!(store.get(&name).await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn preconditions(store: &dyn ObjectStore) {
    let name = key("when");
    let put = |bytes: &'static [u8], when| store.put(&name, Bytes::from_static(bytes), when);
    let first = put(b"1", Precondition::Absent).await.unwrap();
    assert_eq!(store.get(&name).await.unwrap().version, first);
    assert_eq!(store.get(&name).await.unwrap().version, first);
    let refused = put(b"2", Precondition::Absent).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    let second = put(b"2", Precondition::Matches(first.clone())).await.unwrap();
    assert_ne!(first, second);
    let refused = put(b"3", Precondition::Matches(first.clone())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    let refused = store.delete_if(&name, &first).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    assert_eq!(&store.get(&name).await.unwrap().bytes[..], b"2");
    store.delete_if(&name, &second).await.unwrap();
    assert_eq!(store.get(&name).await.unwrap_err().kind(), ErrorKind::NotFound);
    let gone = store.delete_if(&name, &second).await.unwrap_err();
    assert!(matches!(gone.kind(), ErrorKind::Precondition | ErrorKind::NotFound));
    let refused = put(b"3", Precondition::Matches(second)).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Precondition | ErrorKind::NotFound));
}

async fn racing_creators_have_one_winner(store: &dyn ObjectStore) {
    for round in 0..4 {
        let name = key(&format!("race/{round}"));
        let tries = (0..32u8).map(|i| {
            let name = name.clone();
            async move { store.put(&name, Bytes::from(vec![i; 100]), Precondition::Absent).await }
        });
        let results = join_all(tries).await;
        let winners: Vec<_> = results.iter().enumerate().filter(|(_, r)| r.is_ok()).collect();
        assert_eq!(winners.len(), 1);
        let winner = u8::try_from(winners[0].0).unwrap();
        assert_eq!(store.get(&name).await.unwrap().bytes, vec![winner; 100]);
    }
}

async fn racing_swaps_lose_nothing(store: &dyn ObjectStore) {
    let name = key("swap");
    put(store, "swap", b"").await;
    let adders = (0..8u8).map(|i| {
        let name = name.clone();
        async move {
            loop {
                let old = store.get(&name).await.unwrap();
                let mut bytes = old.bytes.to_vec();
                bytes.push(i);
                let when = Precondition::Matches(old.version);
                match store.put(&name, bytes.into(), when).await {
                    Ok(_) => return,
                    Err(e) => assert_eq!(e.kind(), ErrorKind::Precondition),
                }
            }
        }
    });
    join_all(adders).await;
    let mut bytes = store.get(&name).await.unwrap().bytes.to_vec();
    bytes.sort_unstable();
    assert_eq!(bytes, (0..8).collect::<Vec<u8>>());
}

/// What was written after a reader looked is not removed by it.
async fn racing_removals_lose_nothing(store: &dyn ObjectStore) {
    let name = key("removed");
    let takers = (0..8u8).map(|i| {
        let name = name.clone();
        async move {
            let mut taken = 0;
            for round in 0..20u8 {
                let mark = Bytes::from(vec![i, round]);
                if store.put(&name, mark, Precondition::Absent).await.is_ok() {
                    taken += 1;
                }
                let Ok(seen) = store.get(&name).await else { continue };
                if store.delete_if(&name, &seen.version).await.is_ok() {
                    taken -= 1;
                }
            }
            taken
        }
    });
    let left: i32 = join_all(takers).await.into_iter().sum();
    assert_eq!(left, i32::from(store.get(&name).await.is_ok()));
}

/// Nothing may come between what a conditional write looks at and what it does, even if its caller
/// has gone away.
async fn abandoned_writes_keep_their_turn(store: &dyn ObjectStore) {
    for round in 0..100 {
        let name = key(&format!("abandoned/{round}"));
        {
            let first = store.put(&name, Bytes::from_static(b"1"), Precondition::Absent);
            pin_mut!(first);
            let _ = first.now_or_never();
        }
        let second = store.put(&name, Bytes::from_static(b"2"), Precondition::Absent).await;
        let expected = match second {
            Ok(_) => "2",
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Precondition);
                "1"
            }
        };
        assert_eq!(store.get(&name).await.unwrap().bytes, expected);
    }
    // A write that was overtaken would show by now.
    for round in 0..100 {
        let name = key(&format!("abandoned/{round}"));
        let found = store.put(&name, Bytes::from_static(b"3"), Precondition::Absent).await;
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Precondition);
        store.delete(&name).await.unwrap();
    }
    assert!(store.list("abandoned/", None, 1).await.unwrap().objects.is_empty());
}

async fn readers_never_see_a_torn_object(store: &dyn ObjectStore) {
    let name = key("torn");
    let content = |i: u8| Bytes::from(vec![i; 10_000 + usize::from(i) * 100]);
    store.put(&name, content(0), Precondition::None).await.unwrap();
    let writer = async {
        for i in 1..100 {
            store.put(&name, content(i), Precondition::None).await.unwrap();
        }
    };
    let reader = || async {
        for _ in 0..200 {
            let whole = store.get(&name).await.unwrap();
            assert_eq!(whole.bytes, content(whole.bytes[0]));
            let part = store.get_range(&name, 100..10_000).await.unwrap();
            assert!(part.iter().all(|byte| *byte == part[0]));
            tokio::task::yield_now().await;
        }
    };
    join3(writer, reader(), reader()).await;
    assert_eq!(store.get(&name).await.unwrap().bytes, content(99));
}

async fn names_of_folders(store: &dyn ObjectStore) {
    put(store, "folder/object", b"x").await;
    for name in ["folder", "folder/object/below"] {
        let name = key(name);
        assert_eq!(store.get(&name).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.get_range(&name, 0..0).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.head(&name).await.unwrap_err().kind(), ErrorKind::NotFound);
        store.delete(&name).await.unwrap();
    }
    assert_eq!(store.head(&key("folder/object")).await.unwrap().bytes, 1);
}

async fn readers_see_what_is_there_now(store: &dyn ObjectStore) {
    let name = key("now");
    for i in 0..50u8 {
        let put = store.put(&name, Bytes::from(vec![i; 4]), Precondition::None);
        let (put, _) = join(put, store.get_range(&name, 0..4)).await;
        put.unwrap();
        assert_eq!(store.get_range(&name, 0..4).await.unwrap(), vec![i; 4]);
    }
    for _ in 0..50 {
        let (deleted, _) = join(store.delete(&name), store.get_range(&name, 0..4)).await;
        deleted.unwrap();
        let gone = store.get_range(&name, 0..4).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        store.put(&name, Bytes::from_static(b"back"), Precondition::Absent).await.unwrap();
    }
}

async fn ranges(store: &dyn ObjectStore) {
    let name = key("range");
    put(store, "range", b"0123456789").await;
    assert_eq!(&store.get_range(&name, 2..5).await.unwrap()[..], b"234");
    assert_eq!(&store.get_range(&name, 0..10).await.unwrap()[..], b"0123456789");
    assert!(store.get_range(&name, 10..10).await.unwrap().is_empty());
    for past in [5..11, 10..11, 11..11, 0..u64::MAX, u64::MAX..u64::MAX] {
        let error = store.get_range(&name, past.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{past:?}");
    }
    #[allow(clippy::reversed_empty_ranges, reason = "what is tested")]
    let backwards = store.get_range(&name, 5..2).await.unwrap_err();
    assert_eq!(backwards.kind(), ErrorKind::Invalid);
    let none = store.get_range(&key("none"), 0..1).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
    // A reader that has read before sees the new content of a name that was written again.
    put(store, "range", b"abc").await;
    assert_eq!(&store.get_range(&name, 0..3).await.unwrap()[..], b"abc");
}

async fn large_objects(store: &dyn ObjectStore) {
    let content: Vec<u8> = (0..20_000_000u32).map(|i| (i >> 4).to_le_bytes()[0]).collect();
    let name = key("large/one");
    let mut writer = store.writer(&name).await.unwrap();
    let mut at = 0;
    for chunk in content.chunks(777_777) {
        assert_eq!(writer.write(Bytes::copy_from_slice(chunk)).await.unwrap(), at);
        at += chunk.len() as u64;
    }
    assert_eq!(store.head(&name).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(writer.finish().await.unwrap(), content.len() as u64);
    assert_eq!(store.get(&name).await.unwrap().bytes, content);
    let mut dropped = store.writer(&key("large/two")).await.unwrap();
    dropped.write(Bytes::from_static(b"x")).await.unwrap();
    drop(dropped);
    assert_eq!(store.head(&key("large/two")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn files(store: &dyn ObjectStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, b"from a file").unwrap();
    assert_eq!(store.put_file(&key("file"), &path).await.unwrap(), 11);
    assert_eq!(&store.get(&key("file")).await.unwrap().bytes[..], b"from a file");
    assert!(!path.exists());
    std::fs::write(&path, b"another").unwrap();
    store.put_file(&key("file"), &path).await.unwrap();
    assert_eq!(&store.get(&key("file")).await.unwrap().bytes[..], b"another");
    store.put_file(&key("file"), &path).await.unwrap_err();
    assert_eq!(&store.get(&key("file")).await.unwrap().bytes[..], b"another");
}

async fn lists(store: &dyn ObjectStore) {
    let mut names =
        ["l/a", "l/a-b", "l/a.b", "l/a/b", "l/a/c", "l/a0", "l/b/x/y", "l/b/x/z", "la", "l/_t"];
    for name in names.iter().filter(|name| **name != "l/a") {
        put(store, name, b"x").await;
    }
    names.sort_unstable();
    let all: Vec<&str> =
        names.iter().copied().filter(|n| *n != "l/a" && n.starts_with("l/")).collect();
    let listed = |prefix: &'static str, after: Option<Key>, limit| async move {
        let page = store.list(prefix, after.as_ref(), limit).await.unwrap();
        let names = page.objects.iter().map(|m| m.key.as_str().to_owned()).collect::<Vec<_>>();
        (names, page.more)
    };
    assert_eq!(
        listed("l/", None, 100).await,
        (all.iter().map(|s| (*s).to_owned()).collect(), false)
    );
    assert_eq!(listed("l/a/", None, 100).await.0, ["l/a/b", "l/a/c"]);
    assert_eq!(listed("l/b/x", None, 100).await.0, ["l/b/x/y", "l/b/x/z"]);
    assert_eq!(listed("l/b/x/", None, 100).await.0, ["l/b/x/y", "l/b/x/z"]);
    assert_eq!(listed("l/a0", None, 100).await.0, ["l/a0"]);
    assert_eq!(listed("l/a", None, 2).await, (vec!["l/a-b".to_owned(), "l/a.b".to_owned()], true));
    assert_eq!(listed("l/", None, 0).await, (vec![], true));
    assert!(!listed("l/", None, all.len()).await.1);
    for nowhere in ["nothing/", "l/a-b/", "/", "../", "l/../", "//"] {
        assert!(listed(nowhere, None, 100).await.0.is_empty(), "{nowhere}");
    }
    // Where to go on need not be there, nor be below the prefix.
    assert_eq!(listed("l/a/", Some(key("l/a/bb")), 9).await.0, ["l/a/c"]);
    assert_eq!(listed("l/a/", Some(key("k")), 9).await.0, ["l/a/b", "l/a/c"]);
    assert!(listed("l/a/", Some(key("m")), 9).await.0.is_empty());
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let (names, more) = listed("l/", after, 2).await;
        assert!(names.len() <= 2);
        after = names.last().map(|name| key(name));
        paged.extend(names);
        if !more {
            break;
        }
    }
    assert_eq!(paged, all);
    assert_eq!(listed("l/", Some(key("l/a/b")), 1).await, (vec!["l/a/c".to_owned()], true));
}

/// A stamp is the same while nothing is written, by `head` and by `list`, and another after each
/// write, also of equal content.
async fn stamps_and_ages(store: &dyn ObjectStore) {
    let name = key("stamp/a");
    let stamp = || async {
        let head = store.head(&name).await.unwrap();
        let listed = store.list("stamp/", None, 9).await.unwrap().objects;
        assert_eq!(listed, std::slice::from_ref(&head));
        head.stamp
    };
    let before = store.now().await.unwrap();
    let mut seen = Vec::new();
    for content in [&b"one"[..], b"one", b"two", b"one"] {
        store.put(&name, Bytes::from_static(content), Precondition::None).await.unwrap();
        assert_eq!(stamp().await, stamp().await);
        assert!(!seen.contains(&stamp().await));
        seen.push(stamp().await);
    }
    let modified = store.head(&name).await.unwrap().modified;
    assert!((before..=store.now().await.unwrap()).contains(&modified));
    store.delete(&name).await.unwrap();
    let mut writer = store.writer(&name).await.unwrap();
    writer.write(Bytes::from_static(b"one")).await.unwrap();
    writer.finish().await.unwrap();
    assert!(!seen.contains(&stamp().await));
}
