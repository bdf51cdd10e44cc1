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
