//! Manifests over OCI: pull, push, delete, lists.

use std::collections::HashSet;

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_api::media_types::{DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST};
use pagevault_api::reference::Selector;
use pagevault_catalog::NewManifest;
use serde::Deserialize;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::publish::Blobs;
use crate::{Manifest, ManifestPut, Registry, Result, catalog_error, names};

/// What is read of any manifest: image, index or artifact, OCI's or Docker's.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AnyManifest {
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Named>,
    layers: Vec<Named>,
    manifests: Vec<Named>,
    subject: Option<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    #[serde(default)]
    urls: Vec<String>,
}

impl Named {
    /// Layers that are not distributed need not be here.
    fn is_foreign(&self) -> bool {
        !self.urls.is_empty()
            || self.media_type.contains("nondistributable")
            || self.media_type.contains("foreign")
    }
}

impl Registry {
    /// The manifest that a tag or digest names.
    pub async fn manifest(&self, repository: &str, selector: &Selector) -> Result<Manifest> {
        names::check(repository)?;
        let record = self.catalog.resolve(repository, selector).await.map_err(catalog_error)?;
        let record = record.ok_or_else(|| self.manifest_unknown(repository, selector))?;
        Ok(Manifest {
            digest: record.digest,
            media_type: record.media_type,
            bytes: Bytes::from(record.bytes),
            checkpoint: record.checkpoint.is_some(),
        })
    }

    /// The tags of a repository after `after`, sorted, at most `limit`.
    pub async fn tags(
        &self,
        repository: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>> {
        names::check(repository)?;
        if !self.catalog.has_repository(repository).await.map_err(catalog_error)? {
            let message = format!("no repository {repository}");
            return Err(RegistryError::new(Kind::RepositoryUnknown, message));
        }
        self.catalog.tags(repository, after, limit).await.map_err(catalog_error)
    }

    /// The repositories after `after`, sorted, at most `limit`.
    pub async fn repositories(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        self.catalog.repositories(after, limit).await.map_err(catalog_error)
    }

    /// The index of manifests whose subject is `subject`: an OCI image index, ready to send.
    pub async fn referrers(
        &self,
        repository: &str,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Bytes> {
        names::check(repository)?;
        let mut found = self.catalog.referrers(repository, subject).await.map_err(catalog_error)?;
        found.retain(|r| {
            artifact_type.is_none_or(|wanted| r.artifact_type.as_deref() == Some(wanted))
        });
        let manifests: Vec<_> = found
            .into_iter()
            .map(|r| {
                let mut descriptor = serde_json::json!({
                    "mediaType": r.media_type, "digest": r.digest, "size": r.bytes,
                });
                if let Some(kind) = r.artifact_type {
                    descriptor["artifactType"] = kind.into();
                }
                if !r.annotations.is_empty() {
                    descriptor["annotations"] = serde_json::json!(r.annotations);
                }
                descriptor
            })
            .collect();
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests,
        });
        Ok(Bytes::from(index.to_string()))
    }

    /// Stores a manifest under its digest and sets tags.
    pub async fn put_manifest(
        &self,
        repository: &str,
        selector: &Selector,
        tags: &[String],
        media_type: Option<&str>,
        bytes: Bytes,
    ) -> Result<ManifestPut> {
        names::check(repository)?;
        let mut tags = tags.to_vec();
        if let Selector::Tag(tag) = selector {
            tags.insert(0, tag.clone());
        }
        tags.iter().try_for_each(|tag| names::check_tag_name(tag))?;
        let digest = manifest_digest(selector, &bytes)?;
        self.room.check(bytes.len() as u64)?;
        let (manifest, blobs) = self.check_manifest(repository, media_type, digest, bytes).await?;
        let (digest, subject) = (manifest.digest.clone(), manifest.subject.clone());
        let published = self.publisher().manifest(repository, manifest, blobs).await;
        published.map_err(|error| match error.kind() {
            Kind::Collected => RegistryError::new(Kind::ReferenceUnknown, error.to_string()),
            _ => error,
        })?;
        for tag in &tags {
            self.catalog.put_tag(repository, tag, &digest).await.map_err(catalog_error)?;
        }
        Ok(ManifestPut { digest, subject, tags })
    }

    /// Removes a tag, or a manifest with the tags that point to it.
    pub async fn delete_manifest(&self, repository: &str, selector: &Selector) -> Result<()> {
        names::check(repository)?;
        let removed = match selector {
            Selector::Tag(tag) => self.catalog.delete_tag(repository, tag).await,
            Selector::Digest(digest) => self.catalog.delete_manifest(repository, digest).await,
        };
        match removed.map_err(catalog_error)? {
            true => Ok(()),
            false => Err(self.manifest_unknown(repository, selector)),
        }
    }

    fn manifest_unknown(&self, repository: &str, selector: &Selector) -> RegistryError {
        let what = match selector {
            Selector::Tag(tag) => format!("{repository}:{tag}"),
            Selector::Digest(digest) => format!("{repository}@{digest}"),
        };
        RegistryError::new(Kind::ManifestUnknown, format!("no manifest {what}"))
    }

    /// Reads a manifest and checks that what it names is in the repository.
    async fn check_manifest(
        &self,
        repository: &str,
        media_type: Option<&str>,
        digest: Digest,
        bytes: Bytes,
    ) -> Result<(NewManifest, Blobs)> {
        let invalid = |what: String| RegistryError::new(Kind::Invalid, what);
        let parsed: AnyManifest = serde_json::from_slice(&bytes)
            .map_err(|e| invalid(format!("the manifest cannot be read: {e}")))?;
        let annotations = serde_json::from_slice::<serde_json::Value>(&bytes)
            .ok()
            .and_then(|v| serde_json::from_value(v.get("annotations")?.clone()).ok())
            .unwrap_or_default();
        if let (Some(said), Some(inside)) = (media_type, parsed.media_type.as_deref())
            && said != inside
        {
            return Err(invalid(format!("the manifest says it is {inside}, the request {said}")));
        }
        let is_index = !parsed.manifests.is_empty() || parsed.config.is_none();
        let guessed = if is_index { OCI_INDEX } else { OCI_MANIFEST };
        let media_type = media_type.or(parsed.media_type.as_deref()).unwrap_or(guessed).to_owned();
        let config_type = parsed.config.as_ref().map(|c| c.media_type.clone());
        let mut references = Vec::new();
        let (mut blobs, mut seen) = (Blobs::new(), HashSet::new());
        for named in parsed.config.iter().chain(&parsed.layers).filter(|n| !n.is_foreign()) {
            let found = self.catalog.find_blob(repository, &named.digest).await;
            let blob =
                found.map_err(catalog_error)?.ok_or_else(|| unknown("blob", &named.digest))?;
            references.push(named.digest.clone());
            if seen.insert(named.digest.clone()) {
                blobs.push((named.digest.clone(), blob));
            }
        }
        // An index may name manifests that are not here (sparse): clients copy one platform of it.
        references.extend(parsed.manifests.iter().map(|n| n.digest.clone()));
        let artifact_type = parsed.artifact_type.or(match media_type.as_str() {
            OCI_INDEX | DOCKER_MANIFEST_LIST => None,
            _ => config_type,
        });
        let manifest = NewManifest {
            digest,
            media_type,
            bytes: bytes.to_vec(),
            subject: parsed.subject.map(|s| s.digest),
            artifact_type,
            annotations,
            references,
            // Named when it is published, from the records that are there then.
            blobs: std::collections::BTreeMap::new(),
            checkpoint: None,
        };
        Ok((manifest, blobs))
    }
}

fn unknown(what: &str, digest: &Digest) -> RegistryError {
    let message = format!("the manifest names {what} {digest}, which is not in this repository");
    RegistryError::new(Kind::ReferenceUnknown, message)
}

/// The digest of a manifest; one that was said must be the right one.
fn manifest_digest(selector: &Selector, bytes: &[u8]) -> Result<Digest> {
    let Selector::Digest(said) = selector else { return Ok(pagevault_builder::digest(bytes)) };
    let found = match said.algorithm().as_ref() {
        "sha512" => {
            use sha2::Digest as _;
            crate::parse_digest(&format!("sha512:{}", hex::encode(sha2::Sha512::digest(bytes))))?
        }
        _ => pagevault_builder::digest(bytes),
    };
    if found == *said {
        return Ok(found);
    }
    let message = format!("the manifest has digest {found}, not {said}");
    Err(RegistryError::new(Kind::DigestMismatch, message))
}
