//! What is particular to a folder.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn open(root: &Path) -> DiskStore {
    DiskStore::open(root, DiskOptions { reserve_bytes: 0 }).unwrap()
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

#[tokio::test]
async fn passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    crate::suite::run(&open(folder.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn passes_the_suite_on_several_threads() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    crate::suite::run(&store).await;
    until_nothing_is_left(folder.path()).await;
}

/// What a dropped writer leaves is removed on a thread of the pool.
async fn until_nothing_is_left(root: &Path) {
    let nothing = || fs::read_dir(root.join("tmp")).unwrap().count() == 0;
    for _ in 0..1000 {
        if nothing() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("something is left");
}

#[tokio::test]
async fn a_dropped_writer_frees_its_file_on_another_thread() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut writer = store.writer(&key("a")).await.unwrap();
    writer.write(Bytes::from_static(b"half")).await.unwrap();
    drop(writer);
    until_nothing_is_left(folder.path()).await;
    // Without a runtime it does so itself.
    let writer = store.writer(&key("b")).await.unwrap();
    std::thread::spawn(move || drop(writer)).join().unwrap();
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn objects_stay_and_leftovers_go_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put(&key("a/b"), Bytes::from_static(b"x"), Precondition::None).await.unwrap();
    let mut writer = store.writer(&key("a/c")).await.unwrap();
    writer.write(Bytes::from_static(b"half")).await.unwrap();
    std::mem::forget(writer);
    drop(store);
    // A lock belongs to the open file, which the forgotten writer keeps: another process would
    // have closed it by dying.
    fs::remove_file(folder.path().join("LOCK")).unwrap();
    let store = open(folder.path());
    assert_eq!(&store.get(&key("a/b")).await.unwrap().bytes[..], b"x");
    assert_eq!(store.head(&key("a/c")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    let second = DiskStore::open(folder.path(), DiskOptions { reserve_bytes: 0 }).unwrap_err();
    assert!(second.to_string().contains("in use by another process"), "{second}");
}

#[tokio::test]
async fn the_reserve_is_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let free = open(folder.path()).space().unwrap().free;
    let options = DiskOptions { reserve_bytes: free.saturating_mul(2) };
    let store = DiskStore::open(folder.path(), options).unwrap();
    let large = store.writer(&key("large")).await.err().unwrap();
    assert_eq!(large.kind(), ErrorKind::Full);
    let small = store.put(&key("small"), Bytes::from_static(b"x"), Precondition::None).await;
    small.unwrap();
    store.delete(&key("small")).await.unwrap();
}

#[tokio::test]
async fn only_the_owner_may_look() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put(&key("a/b"), Bytes::new(), Precondition::None).await.unwrap();
    let mode =
        |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("objects/a/b"), 0o600);
    assert_eq!(mode("objects/a"), 0o700);
}

#[tokio::test]
async fn a_file_that_was_open_to_others_is_closed_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let file = folder.path().join("file");
    fs::write(&file, b"x").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    store.put_file(&key("a"), &file).await.unwrap();
    let mode = fs::metadata(folder.path().join("objects/a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
    let refused = store.put_file(&key("b"), &link).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_name_that_is_a_folder_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put(&key("a/b"), Bytes::new(), Precondition::None).await.unwrap();
    for name in ["a", "a/b/c"] {
        let name = key(name);
        let put = store.put(&name, Bytes::new(), Precondition::None);
        let refused = put.await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_writer_whose_write_was_given_up_does_not_finish() {
    use futures_util::FutureExt as _;

    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut writer = store.writer(&key("a")).await.unwrap();
    // On a busy machine the other thread may be done before we look.
    while writer.write(Bytes::from(vec![1; 1 << 20])).now_or_never().is_some() {}
    writer.write(Bytes::from_static(b"x")).await.unwrap_err();
    writer.finish().await.unwrap_err();
    assert_eq!(store.head(&key("a")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn folders_are_synced_up_to_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put(&key("a/b/c"), Bytes::new(), Precondition::None).await.unwrap();
    let settled = store.inner.settled.lock().unwrap().clone();
    // The folder itself, `objects`, `a` and `a/b`.
    assert_eq!(settled.len(), 4);
}

#[tokio::test]
async fn many_objects_are_listed_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let objects = folder.path().join("objects/many");
    fs::create_dir(&objects).unwrap();
    for n in 0..3000 {
        fs::write(objects.join(format!("{n:04}")), b"").unwrap();
    }
    let (mut seen, mut after) = (0, None);
    loop {
        let page = store.list("many/", after.as_ref(), 100).await.unwrap();
        seen += page.objects.len();
        after = page.objects.last().map(|meta| meta.key.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, 3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_given_back_is_anothers_and_nothing_is_written_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = Arc::new(open(folder.path()));
    first.put(&key("a"), Bytes::from_static(b"x"), Precondition::None).await.unwrap();
    let mut writer = first.writer(&key("b")).await.unwrap();
    writer.write(Bytes::from_static(b"half")).await.unwrap();
    let store = Arc::clone(&first);
    let giving = tokio::spawn(async move { store.give_back().await });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!giving.is_finished(), "an object is being written");
    writer.finish().await.unwrap();
    giving.await.unwrap().unwrap();

    let second = open(folder.path());
    assert_eq!(&second.get(&key("b")).await.unwrap().bytes[..], b"half");
    let refused = [
        first.put(&key("c"), Bytes::new(), Precondition::None).await.map(drop),
        first.delete(&key("a")).await,
        first.writer(&key("d")).await.map(drop),
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(&first.get(&key("a")).await.unwrap().bytes[..], b"x");
}
