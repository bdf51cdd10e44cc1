//! Several requests on one upload, and what is left of uploads that nobody came back for.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use pagevault_api::Digest;
use pagevault_api::upload::{CommitUpload, Hint, NewUpload};
use pagevault_registry::{Body, Registry, RegistryError, RegistryErrorKind as Kind};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::fixtures::{compressed, plain, series};
use crate::resume::{commit, hint_of};
use crate::support::{Vault, body, sha256};

/// A body that ends when its sender goes away.
fn held_open() -> (Sender<Bytes>, Body) {
    let (sender, receiver) = channel(1);
    let next = |mut receiver: Receiver<Bytes>| async move {
        receiver.recv().await.map(|bytes| (Ok(bytes), receiver))
    };
    (sender, stream::unfold(receiver, next).boxed())
}

type Task<T> = JoinHandle<Result<T, RegistryError>>;

/// Starts a request, and waits until it stands in line.
async fn start<T, F>(request: F) -> Task<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, RegistryError>> + Send + 'static,
{
    let task = tokio::spawn(request);
    tokio::time::sleep(Duration::from_millis(50)).await;
    task
}

fn blob(seed: u8) -> (Vec<u8>, Digest) {
    let bytes: Vec<u8> = (0..300_000u32).map(|i| (i / 7).to_le_bytes()[0] ^ seed).collect();
    let digest = sha256(&bytes).parse().unwrap();
    (bytes, digest)
}

async fn pull_blob(registry: &Registry, repository: &str, digest: &Digest) -> Vec<u8> {
    let blob = registry.blob(repository, digest).await.unwrap();
    let parts: Vec<_> = blob.stream(0..blob.bytes).collect().await;
    parts.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_stored_is_written_to_no_more() {
    let vault = Vault::new().await;
    let (bytes, digest) = blob(0);
    let id = vault.registry.start_blob_upload("a/b", Default::default()).await.unwrap();
    let (sender, first) = held_open();
    let registry = || Arc::clone(&vault.registry);
    let append = |registry: Arc<Registry>, offset, body| {
        let id = id.clone();
        async move { registry.append_blob("a/b", &id, offset, None, body).await }
    };
    let finish = |registry: Arc<Registry>| {
        let (id, digest) = (id.clone(), digest.clone());
        async move { registry.finish_blob_upload("a/b", &id, &digest).await.map(drop) }
    };
    let appending = start(append(registry(), Some(0), first)).await;
    sender.send(Bytes::from(bytes.clone())).await.unwrap();
    // These stand in line for the upload; what comes after the first of them is late.
    let finished = start(finish(registry())).await;
    let again = start(finish(registry())).await;
    let late = start(append(registry(), None, body(b"more"))).await;
    drop(sender);
    assert_eq!(appending.await.unwrap().unwrap(), bytes.len() as u64);
    finished.await.unwrap().unwrap();
    again.await.unwrap().unwrap();
    assert_eq!(late.await.unwrap().unwrap_err().kind(), Kind::UploadUnknown);
    assert!(pull_blob(&vault.registry, "a/b", &digest).await == bytes);
    // The answer was lost, and the client asks once more; but only for what it has uploaded.
    vault.registry.finish_blob_upload("a/b", &id, &digest).await.unwrap();
    let other = vault.registry.finish_blob_upload("a/b", &id, &blob(1).1).await.unwrap_err();
    assert_eq!(other.kind(), Kind::UploadUnknown);
    let status = vault.registry.blob_upload("a/b", &id).await.unwrap_err();
    assert_eq!(status.kind(), Kind::UploadUnknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_upload_has_one_writer_to_its_end() {
    let vault = Vault::new().await;
    let tar = plain("cri-o-counter");
    let id = vault.registry.open_upload(NewUpload::default()).await.unwrap().id;
    let (sender, first) = held_open();
    let append = |offset, body| {
        let (registry, id) = (Arc::clone(&vault.registry), id.clone());
        async move { registry.append_upload(&id, offset, body).await }
    };
    let appending = start(append(0, first)).await;
    sender.send(Bytes::copy_from_slice(&tar[..100_000])).await.unwrap();
    let (registry, of) = (Arc::clone(&vault.registry), id.clone());
    let cancelled = start(async move { registry.cancel_upload(&of).await }).await;
    // No second one gets at the folder meanwhile.
    assert_eq!(append(0, body(&tar)).await.unwrap_err().kind(), Kind::Conflict);
    drop(sender);
    appending.await.unwrap().unwrap();
    cancelled.await.unwrap().unwrap();
    assert_eq!(append(0, body(&tar)).await.unwrap_err().kind(), Kind::UploadUnknown);
    assert_eq!(vault.registry.upload(&id).await.unwrap_err().kind(), Kind::UploadUnknown);
    assert_eq!(vault.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_in_flight_get_one_answer() {
    let vault = Vault::new().await;
    let good = plain("podman-counter");
    let mut cut = good.clone();
    cut.truncate(good.len() / 2);
    for (tar, refused) in [(good, None), (cut, Some(Kind::Archive))] {
        let id = vault.registry.open_upload(NewUpload::default()).await.unwrap().id;
        vault.registry.append_upload(&id, 0, body(&tar)).await.unwrap();
        let commits = [(); 4].map(|()| {
            let (registry, id, bytes) = (Arc::clone(&vault.registry), id.clone(), tar.len());
            tokio::spawn(async move { registry.commit_upload(&id, commit(bytes)).await })
        });
        let mut answers = Vec::new();
        for commit in commits {
            answers.push(commit.await.unwrap().map_err(|e| (e.kind(), e.to_string())));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(answers.pop().unwrap().err().map(|(kind, _)| kind), refused);
    }
}

/// Whatever happens at once on one upload, it ends pushed, refused or gone, and a push of the same
/// content works afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn appends_commits_and_cancels_at_once() {
    let vault = Vault::new().await;
    let tar = Arc::new(plain("cri-containerd-counter"));
    for round in 0..12u64 {
        let new = NewUpload { hint: Some(hint_of(&tar)), ..NewUpload::default() };
        let id = vault.registry.open_upload(new).await.unwrap().id;
        let tasks = (0..9).map(|n| {
            let (registry, id, tar) = (Arc::clone(&vault.registry), id.clone(), Arc::clone(&tar));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis((n * 7 + round * 3) % 20)).await;
                match n % 3 {
                    0 => registry.append_upload(&id, 0, body(&tar)).await.map(drop),
                    1 => registry.commit_upload(&id, commit(tar.len())).await.map(drop),
                    _ if n == 8 => registry.cancel_upload(&id).await,
                    _ => registry.upload(&id).await.map(drop),
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            let Err(error) = task.await.unwrap() else { continue };
            let expected = matches!(
                error.kind(),
                Kind::Offset(_) | Kind::Conflict | Kind::UploadUnknown | Kind::BodyBroken
            );
            assert!(expected, "{:?}: {error}", error.kind());
        }
        let state = vault.registry.upload(&id).await;
        assert!(state.is_err() || state.unwrap().result.is_some());
    }
    let pushed = vault.push(&tar).await.unwrap();
    assert_eq!(vault.pull(&pushed.reference).await, *tar);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_again() {
    let vault = Vault::new().await;
    let id = vault.registry.open_upload(NewUpload::default()).await.unwrap().id;
    vault.registry.append_upload(&id, 0, body(&[7; 5000])).await.unwrap();
    let said = vault.registry.commit_upload(&id, commit(5000)).await.unwrap_err();
    assert_eq!(said.kind(), Kind::Archive);
    assert_eq!(vault.leftovers(), Vec::<std::path::PathBuf>::new());
    // The answer was lost: the client asks where the upload stands, and must not send it again.
    let state = vault.registry.upload(&id).await.unwrap_err();
    assert_eq!((state.kind(), state.to_string()), (said.kind(), said.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_being_sent_can_be_looked_at() {
    let vault = Vault::new().await;
    let tar = &series()[0].tar;
    let id = vault.registry.open_upload(NewUpload::default()).await.unwrap().id;
    let (sender, first) = held_open();
    let (registry, of) = (Arc::clone(&vault.registry), id.clone());
    let appending = start(async move { registry.append_upload(&of, 0, first).await }).await;
    for chunk in tar[..3 << 20].chunks(1 << 20) {
        sender.send(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    let look = tokio::time::timeout(Duration::from_secs(10), vault.registry.upload(&id)).await;
    let offset = look.expect("it waits for the sender").unwrap().offset;
    assert!(offset <= 3 << 20 && offset > 0, "{offset}");
    drop(sender);
    appending.await.unwrap().unwrap();
    assert_eq!(vault.registry.upload(&id).await.unwrap().offset, 3 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_beside_a_compressed_body_is_no_reason_to_refuse_it() {
    let vault = Vault::new().await;
    let tar = &series()[0].tar;
    let zstd = zstd::encode_all(tar.as_slice(), 1).unwrap();
    for (bytes, split) in [(&zstd, 3), (tar, 3), (&zstd, 2_000_000)] {
        let new = NewUpload { hint: Some(hint_of(tar)), ..NewUpload::default() };
        let id = vault.registry.open_upload(new).await.unwrap().id;
        // Too few bytes to tell, at first.
        let split = split.min(bytes.len());
        vault.registry.append_upload(&id, 0, body(&bytes[..split])).await.unwrap();
        vault.registry.append_upload(&id, split as u64, body(&bytes[split..])).await.unwrap();
        let pushed = vault.registry.commit_upload(&id, commit(bytes.len())).await.unwrap();
        assert_eq!(pushed.layer_digest.to_string(), sha256(tar));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_push_says_has_bounds() {
    let vault = Vault::new().await;
    let refused = |new: NewUpload| {
        let registry = Arc::clone(&vault.registry);
        async move { registry.open_upload(new).await.unwrap_err().kind() }
    };
    let mut many = NewUpload::default();
    many.options.labels = (0..65).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(refused(many).await, Kind::Invalid);
    for text in ["a\nb", "\u{7f}", &"x".repeat(254)] {
        let mut new = NewUpload::default();
        new.options.workload = Some(text.to_owned());
        assert_eq!(refused(new.clone()).await, Kind::Invalid, "{text:?}");
        new.options.node = new.options.workload.take();
        assert_eq!(refused(new.clone()).await, Kind::Invalid, "{text:?}");
        new.options.node = None;
        new.options.labels.insert(text.to_owned(), "v".to_owned());
        assert_eq!(refused(new.clone()).await, Kind::Invalid, "{text:?}");
        new.options.labels = [("k".to_owned(), text.to_owned())].into();
        assert_eq!(refused(new).await, Kind::Invalid, "{text:?}");
    }
    let members = [("checkpoint/mm-1.img".to_owned(), "A".repeat((16 << 20) + 1))].into();
    let hint = Some(Hint { members });
    assert_eq!(refused(NewUpload { hint, ..NewUpload::default() }).await, Kind::TooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_came_back_for_is_removed_one_by_one() {
    let vault = Vault::new().await;
    let spool = vault.folder.path().join("spool");
    let old = SystemTime::now() - Duration::from_secs(25 * 3600);
    let age = |path: &std::path::Path| {
        std::fs::File::open(path).unwrap().set_modified(old).unwrap();
    };
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = vault.registry.open_upload(NewUpload::default()).await.unwrap().id;
        vault.registry.append_upload(&id, 0, body(b"abc")).await.unwrap();
        ids.push(id);
    }
    age(&spool.join(&ids[0]).join("data"));
    age(&spool.join(&ids[1]).join("data"));
    let half_removed = spool.join(format!("{}.gone", "0".repeat(32)));
    std::fs::create_dir(&half_removed).unwrap();
    // Not ours, and no reason to fail.
    std::fs::write(spool.join("notes"), "x").unwrap();
    age(&spool.join("notes"));
    let vault = vault.restart().await;
    for id in &ids[..2] {
        let error = vault.registry.upload(id).await.unwrap_err();
        assert_eq!(error.kind(), Kind::UploadUnknown);
        assert!(!spool.join(id).exists());
    }
    assert!(!half_removed.exists());
    assert_eq!(vault.registry.upload(&ids[2]).await.unwrap().offset, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_does_not_wait_for_ever() {
    let vault = Vault::new().await;
    let tar = plain("cri-o-counter");
    let id = vault.registry.open_upload(NewUpload::default()).await.unwrap().id;
    let (sender, first) = held_open();
    let (registry, of) = (Arc::clone(&vault.registry), id.clone());
    let appending = start(async move { registry.append_upload(&of, 0, first).await }).await;
    sender.send(Bytes::copy_from_slice(&tar[..1000])).await.unwrap();
    let closing = vault.registry.close(Duration::from_millis(100));
    tokio::time::timeout(Duration::from_secs(10), closing).await.unwrap();
    drop(sender);
    appending.await.unwrap().unwrap();
    let bytes = CommitUpload { bytes: 1000, ..CommitUpload::default() };
    assert_eq!(vault.registry.commit_upload(&id, bytes).await.unwrap_err().kind(), Kind::Archive);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_compressed_leaves_nothing_beside_it() {
    let vault = Vault::new().await;
    vault.push(&compressed("podman-counter.tar.zst")).await.unwrap();
    let spool = vault.folder.path().join("spool");
    let left = std::fs::read_dir(spool).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    for folder in left {
        assert_eq!(std::fs::metadata(folder.join("data")).unwrap().len(), 0);
        assert!(!folder.join("inner").exists());
    }
}
