//! A registry in a temporary folder, and the calls that tests make of it.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use pagevault_api::checkpoint::Pushed;
use pagevault_api::reference::{Reference, Selector};
use pagevault_api::upload::{CommitUpload, NewUpload, PushOptions};
use pagevault_registry::{Body, Registry, RegistryConfig, RegistryError};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// A registry that is gone with its folder at the end of the test.
pub(crate) struct Vault {
    pub(crate) registry: Arc<Registry>,
    pub(crate) folder: TempDir,
}

impl Vault {
    pub(crate) async fn new() -> Self {
        Self::of(tempfile::tempdir().unwrap()).await
    }

    /// On a folder that may hold something already.
    pub(crate) async fn of(folder: TempDir) -> Self {
        Self { registry: open(&folder).await, folder }
    }

    /// Ends the registry and opens it again, as a restart of the server does.
    pub(crate) async fn restart(self) -> Self {
        let Self { registry, folder } = self;
        registry.close(std::time::Duration::from_secs(60)).await;
        Self { registry: open(&folder).await, folder }
    }

    pub(crate) async fn push(&self, tar: &[u8]) -> Result<Pushed, RegistryError> {
        self.push_as(tar, PushOptions::default()).await
    }

    pub(crate) async fn push_as(
        &self,
        tar: &[u8],
        options: PushOptions,
    ) -> Result<Pushed, RegistryError> {
        let new = NewUpload { options, ..NewUpload::default() };
        let upload = self.registry.open_upload(new).await?;
        self.registry.append_upload(&upload.id, 0, body(tar)).await?;
        let commit = CommitUpload { bytes: tar.len() as u64, ..CommitUpload::default() };
        self.registry.commit_upload(&upload.id, commit).await
    }

    /// Pulls as a client does: the manifest by reference, then its only layer.
    pub(crate) async fn pull(&self, reference: &Reference) -> Vec<u8> {
        let manifest = self.registry.manifest(&reference.repository, &reference.selector);
        let manifest = manifest.await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
        let digest = json["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
        let blob = self.registry.blob(&reference.repository, &digest).await.unwrap();
        let parts = blob.stream(0..blob.bytes);
        let parts: Vec<Bytes> = parts.try_collect().await.unwrap();
        parts.concat()
    }

    pub(crate) async fn pull_tag(&self, repository: &str, tag: &str) -> Vec<u8> {
        let selector = Selector::Tag(tag.into());
        self.pull(&Reference { repository: repository.into(), selector }).await
    }

    /// Files in the folder that hold anything of a checkpoint.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                if entry.file_type().unwrap().is_dir() {
                    // Keys of domains hold nothing of what was in them.
                    if name != "domains" {
                        folders.push(entry.path());
                    }
                } else if !name.starts_with("view.sqlite") && name != "LOCK" {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}

fn config(folder: &TempDir) -> RegistryConfig {
    let data = folder.path().to_owned();
    RegistryConfig { data, reserve_bytes: 0, window_bytes: 32 << 20, retention: None }
}

pub(crate) async fn open(folder: &TempDir) -> Arc<Registry> {
    Registry::open(config(folder)).await.unwrap()
}

/// A body that arrives in pieces, as from a network.
pub(crate) fn body(bytes: &[u8]) -> Body {
    let pieces: Vec<_> = bytes.chunks(60_000).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    stream::iter(pieces).boxed()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
