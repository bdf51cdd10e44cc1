//! Uploads that break, and go on.

use base64::Engine as _;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use pagevault_api::upload::{CommitUpload, Hint, NewUpload};
use pagevault_archive::{Limits, read_checkpoint};
use pagevault_registry::RegistryErrorKind as Kind;

use crate::fixtures::series;
use crate::support::{Vault, body, sha256};

pub(crate) fn commit(bytes: usize) -> CommitUpload {
    CommitUpload { bytes: bytes as u64, ..CommitUpload::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_after_a_broken_connection_and_a_restart() {
    let mut vault = Vault::new().await;
    let tar = &series()[0].tar;
    let upload = vault.registry.open_upload(NewUpload::default()).await.unwrap();
    let mut offset = 0;
    while offset < tar.len() {
        let end = (offset + 5_000_000).min(tar.len());
        let pieces = [
            Ok(Bytes::copy_from_slice(&tar[offset..end])),
            Err(std::io::ErrorKind::ConnectionReset.into()),
        ];
        let broken = stream::iter(pieces).boxed();
        let error =
            vault.registry.append_upload(&upload.id, offset as u64, broken).await.unwrap_err();
        assert_eq!(error.kind(), Kind::BodyBroken);
        vault = vault.restart().await;
        offset = vault.registry.upload(&upload.id).await.unwrap().offset as usize;
        assert_eq!(offset, end);
    }
    let pushed = vault.registry.commit_upload(&upload.id, commit(tar.len())).await.unwrap();
    assert_eq!(pushed.layer_digest.to_string(), sha256(tar));
    assert_eq!(vault.pull(&pushed.reference).await, *tar);
    // The answer was lost: asked again, also after a restart, it is the same.
    let again = vault.registry.commit_upload(&upload.id, commit(tar.len())).await.unwrap();
    assert_eq!(again, pushed);
    vault = vault.restart().await;
    let again = vault.registry.commit_upload(&upload.id, commit(tar.len())).await.unwrap();
    assert_eq!(again, pushed);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_offsets_sizes_and_sums_are_refused() {
    let vault = Vault::new().await;
    let tar = &series()[0].tar;
    let upload = vault.registry.open_upload(NewUpload::default()).await.unwrap();
    let id = &upload.id;
    let error = vault.registry.append_upload(id, 5, body(tar)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Offset(0));
    vault.registry.append_upload(id, 0, body(&tar[..1_000_000])).await.unwrap();
    let error = vault.registry.commit_upload(id, commit(tar.len())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Offset(1_000_000));
    vault.registry.append_upload(id, 1_000_000, body(&tar[1_000_000..])).await.unwrap();
    let sha256 = Some("00".repeat(32));
    let wrong = CommitUpload { bytes: tar.len() as u64, sha256, xxh3: None };
    let error = vault.registry.commit_upload(id, wrong).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DigestMismatch);
    // It has ended, and says why.
    assert_eq!(vault.registry.upload(id).await.unwrap_err().kind(), Kind::DigestMismatch);
    assert_eq!(vault.leftovers(), Vec::<std::path::PathBuf>::new());
    for id in ["", "x", "../../etc/passwd", &"0".repeat(32)] {
        assert_eq!(vault.registry.upload(id).await.unwrap_err().kind(), Kind::UploadUnknown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_saves_time_and_a_wrong_one_costs_nothing_else() {
    let vault = Vault::new().await;
    let fixtures = series();
    let mut keyframe = 0;
    for (number, fixture) in fixtures.iter().enumerate() {
        // The last one comes with the hint of another checkpoint.
        let hinted = if number == 3 { &fixtures[0].tar } else { &fixture.tar };
        let new = NewUpload { hint: Some(hint_of(hinted)), ..NewUpload::default() };
        let upload = vault.registry.open_upload(new).await.unwrap();
        vault.registry.append_upload(&upload.id, 0, body(&fixture.tar)).await.unwrap();
        let pushed =
            vault.registry.commit_upload(&upload.id, commit(fixture.tar.len())).await.unwrap();
        assert_eq!(vault.pull(&pushed.reference).await, fixture.tar);
        match number {
            0 => keyframe = pushed.stored_bytes,
            _ => assert!(pushed.stored_bytes < keyframe / 10, "{:?}", pushed.stats),
        }
    }
}

/// What a client reads in a file before it sends it.
pub(crate) fn hint_of(tar: &[u8]) -> Hint {
    let kept = read_checkpoint(tar, &Limits::default()).unwrap().kept;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    Hint { members: kept.iter().map(|(path, bytes)| (path.clone(), encode(bytes))).collect() }
}
