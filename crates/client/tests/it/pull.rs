use std::os::unix::fs::PermissionsExt as _;

use pagevault_client::{Client, ClientError, NoProgress, PullTarget, Pulled};
use tempfile::TempDir;

use crate::fake::{Fake, sha256};
use crate::proxy::{self, down};
use crate::{client, noise};

const BYTES: usize = 2_000_000;

async fn fake() -> (Fake, std::net::SocketAddr, TempDir) {
    let (fake, address) = Fake::start().await;
    fake.lock().blob = noise(BYTES);
    (fake, address, tempfile::tempdir().unwrap())
}

async fn pull(client: &Client, folder: &TempDir, force: bool) -> Result<Pulled, ClientError> {
    let target = PullTarget::File { path: folder.path().join("out.tar"), force };
    client.pull(&"a/b:c".parse().unwrap(), target, &NoProgress).await
}

fn files(folder: &TempDir) -> usize {
    std::fs::read_dir(folder.path()).unwrap().count()
}

#[tokio::test]
async fn through_broken_connections() {
    for ignores_range in [false, true] {
        let (fake, address, folder) = fake().await;
        fake.lock().ignores_range = ignores_range;
        let cuts = [down(600_000), down(10), down(900_000)];
        let address = proxy::start(address, &cuts).await;
        let pulled = pull(&client(address, 2000), &folder, false).await.unwrap();
        let path = folder.path().join("out.tar");
        assert!(std::fs::read(&path).unwrap() == fake.lock().blob);
        assert_eq!(pulled.layer_digest.digest(), sha256(&fake.lock().blob));
        assert!(fake.lock().ranges.len() >= 2);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(files(&folder), 1);
    }
}

#[tokio::test]
async fn what_is_there_stays_unless_forced() {
    let (_, address, folder) = fake().await;
    std::fs::write(folder.path().join("out.tar"), "mine").unwrap();
    let client = client(address, 1000);
    let error = pull(&client, &folder, false).await.unwrap_err();
    assert!(matches!(error, ClientError::Exists { .. }), "{error}");
    pull(&client, &folder, true).await.unwrap();
    assert_eq!(std::fs::metadata(folder.path().join("out.tar")).unwrap().len(), BYTES as u64);
}

#[tokio::test]
async fn wrong_bytes_leave_nothing() {
    let (fake, address, folder) = fake().await;
    fake.lock().blob_digest = Some("0".repeat(64));
    let error = pull(&client(address, 1000), &folder, false).await.unwrap_err();
    assert!(matches!(error, ClientError::Mismatch { .. }), "{error}");
    assert_eq!(files(&folder), 0);
}

#[tokio::test]
async fn a_manifest_that_is_another() {
    let (_, address, folder) = fake().await;
    let reference = format!("a/b@sha256:{}", "1".repeat(64)).parse().unwrap();
    let target = PullTarget::File { path: folder.path().join("out.tar"), force: false };
    let error = client(address, 1000).pull(&reference, target, &NoProgress).await.unwrap_err();
    assert!(matches!(error, ClientError::Mismatch { .. }), "{error}");
}

#[tokio::test]
async fn gives_up_and_leaves_nothing() {
    let (_, address, folder) = fake().await;
    let address = proxy::start(address, &[down(1_000_000)]).await;
    let error = pull(&client(address, 0), &folder, false).await.unwrap_err();
    assert!(matches!(error, ClientError::GaveUp { .. }), "{error}");
    assert_eq!(files(&folder), 0);
}
