//! Manifests over OCI: pull, push, delete, lists.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_api::annotations;
use pagevault_api::event::EventKind;
use pagevault_api::media_types::{DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST};
use pagevault_api::reference::{Reference, Selector};
use pagevault_catalog::NewManifest;
use serde::{Deserialize, Deserializer};

use crate::blobs::algorithm_of;
use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::landed;
use crate::publish::Blobs;
use crate::retention::{Admitted, Taken};
use crate::{Manifest, ManifestPut, Registry, Result, build_error, catalog_error, names};

/// What is read of any manifest: image, index or artifact, OCI's or Docker's.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AnyManifest {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Named>,
    layers: Vec<Named>,
    manifests: Vec<Named>,
    subject: Option<Named>,
    /// What is no map of texts is not looked at.
    #[serde(deserialize_with = "texts")]
    annotations: BTreeMap<String, String>,
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

fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(BTreeMap::deserialize(value).unwrap_or_default())
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
        let (manifest, blobs, missing) =
            self.check_manifest(repository, media_type, digest, bytes).await?;
        let admitted = self.admit_image(repository, &manifest, &blobs).await?;
        let (digest, subject) = (manifest.digest.clone(), manifest.subject.clone());
        let NewManifest { digest: of, annotations, bytes, .. } = &manifest;
        let landed = landed::layer_of(repository, of, annotations, bytes);
        let published = Box::pin(self.publisher().manifest(repository, manifest, blobs)).await;
        published.map_err(|error| match error.kind() {
            Kind::Collected => RegistryError::new(Kind::ReferenceUnknown, error.to_string()),
            _ => error,
        })?;
        if let Some(admitted) = admitted {
            admitted.used();
        }
        if let Some(landed) = landed {
            self.landed.take_in(landed);
        }
        for tag in &tags {
            self.catalog.put_tag(repository, tag, &digest).await.map_err(catalog_error)?;
        }
        Ok(ManifestPut { digest, subject, tags, missing })
    }

    /// Removes a tag, or a manifest with the tags that point to it.
    pub async fn delete_manifest(&self, repository: &str, selector: &Selector) -> Result<()> {
        names::check(repository)?;
        let removed = match selector {
            Selector::Tag(tag) => {
                self.check_tag_unpinned(repository, tag).await?;
                self.catalog.delete_tag(repository, tag).await
            }
            Selector::Digest(digest) => {
                let removed = self.catalog.delete_manifest(repository, digest).await;
                if let Ok(true) = removed {
                    let reference = Reference::digest(repository, digest.clone());
                    let digest = digest.clone();
                    self.events.tell(EventKind::CheckpointDeleted { reference, digest });
                }
                removed
            }
        };
        self.quotas.books.changed();
        match removed.map_err(catalog_error)? {
            true => Ok(()),
            false => Err(self.manifest_unknown(repository, selector)),
        }
    }

    /// Room for the image of a checkpoint, in the namespace that its annotations tell, or else the
    /// first part of its repository's name. Until it is stored by its pages it takes what was sent.
    async fn admit_image(
        &self,
        repository: &str,
        manifest: &NewManifest,
        blobs: &Blobs,
    ) -> Result<Option<Admitted>> {
        let there = self.catalog.manifest_place(repository, &manifest.digest).await;
        if !landed::is_checkpoint(&manifest.annotations)
            || there.map_err(catalog_error)?.is_visible()
        {
            return Ok(None);
        }
        let told = manifest.annotations.get(annotations::criu::POD_NAMESPACE).map(String::as_str);
        let namespace = told.or(repository.split('/').next()).unwrap_or_default();
        let logical_bytes = blobs.iter().map(|(_, blob)| blob.bytes).sum();
        let taken = Taken { count: 1, logical_bytes, stored_bytes: logical_bytes };
        self.quotas.admit(namespace, taken).await.map(Some)
    }

    fn manifest_unknown(&self, repository: &str, selector: &Selector) -> RegistryError {
        let what = match selector {
            Selector::Tag(tag) => format!("{repository}:{tag}"),
            Selector::Digest(digest) => format!("{repository}@{digest}"),
        };
        RegistryError::new(Kind::ManifestUnknown, format!("no manifest {what}"))
    }

    /// Reads a manifest and looks up the blobs that it names; also says how many are not there.
    async fn check_manifest(
        &self,
        repository: &str,
        media_type: Option<&str>,
        digest: Digest,
        bytes: Bytes,
    ) -> Result<(NewManifest, Blobs, usize)> {
        let parsed = AnyManifest::read(&bytes)?;
        let media_type = parsed.media_type(media_type)?;
        let blobs = self.locate(repository, &parsed).await?;
        let here: HashSet<&Digest> = blobs.iter().map(|(digest, _)| digest).collect();
        // What others distribute may be here as well; if it is not, nobody misses it.
        let missing = parsed.blobs().filter(|n| !n.is_foreign() && !here.contains(&n.digest));
        let missing = missing.map(|n| &n.digest).collect::<HashSet<_>>().len();
        let mut references: Vec<Digest> = parsed.blobs().map(|n| n.digest.clone()).collect();
        // An index may name manifests that are not here (sparse): clients copy one platform of it.
        references.extend(parsed.manifests.iter().map(|n| n.digest.clone()));
        let artifact_type = parsed.artifact_type.or(match media_type.as_str() {
            OCI_INDEX | DOCKER_MANIFEST_LIST => None,
            _ => parsed.config.map(|config| config.media_type),
        });
        let manifest = NewManifest {
            digest,
            media_type,
            bytes: bytes.to_vec(),
            subject: parsed.subject.map(|s| s.digest),
            artifact_type,
            annotations: parsed.annotations,
            references,
            blobs: blobs.iter().map(|(d, b)| (d.to_string(), b.location.clone())).collect(),
            checkpoint: None,
            detail: None,
        };
        Ok((manifest, blobs, missing))
    }

    /// Where blobs are. One that the repository never held may be missing, as an image may be
    /// copied in part; one that it held and holds no more is what the client counts on, and it must
    /// be told to send it again, unless others distribute it.
    async fn locate(&self, repository: &str, manifest: &AnyManifest) -> Result<Blobs> {
        let (mut blobs, mut seen) = (Blobs::new(), HashSet::new());
        for named in manifest.blobs().filter(|named| seen.insert(&named.digest)) {
            let digest = &named.digest;
            let found = self.catalog.find_blob(repository, digest).await.map_err(catalog_error)?;
            if let Some(blob) = found {
                if self.publisher().is_whole(&blob).await? {
                    blobs.push((digest.clone(), blob));
                    continue;
                }
                if !named.is_foreign() {
                    return Err(gone(digest));
                }
            }
            if named.is_foreign() {
                continue;
            }
            let held = self.catalog.has_held_blob(repository, digest).await;
            if held.map_err(catalog_error)? {
                return Err(gone(digest));
            }
        }
        Ok(blobs)
    }
}

impl AnyManifest {
    fn read(bytes: &[u8]) -> Result<Self> {
        // Serde takes an array for a struct too.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(invalid("not a manifest: no JSON object".to_owned()));
        }
        let read: Self =
            serde_json::from_slice(bytes).map_err(|e| invalid(format!("not a manifest: {e}")))?;
        match read.schema_version {
            None | Some(2) => Ok(read),
            Some(other) => Err(invalid(format!("schema version {other} is not known here: 2 is"))),
        }
    }

    /// Its media type, by what the request says and what is inside.
    fn media_type(&self, said: Option<&str>) -> Result<String> {
        if let (Some(said), Some(inside)) = (said, self.media_type.as_deref())
            && said != inside
        {
            return Err(invalid(format!("the manifest says it is {inside}, the request {said}")));
        }
        let is_index = !self.manifests.is_empty() || self.config.is_none();
        let guessed = if is_index { OCI_INDEX } else { OCI_MANIFEST };
        Ok(said.or(self.media_type.as_deref()).unwrap_or(guessed).to_owned())
    }

    /// The blobs that it names.
    fn blobs(&self) -> impl Iterator<Item = &Named> {
        self.config.iter().chain(&self.layers)
    }
}

fn invalid(what: String) -> RegistryError {
    RegistryError::new(Kind::Invalid, what)
}

fn gone(digest: &Digest) -> RegistryError {
    let message = format!("the manifest names blob {digest}, which was removed: send it again");
    RegistryError::new(Kind::ReferenceUnknown, message)
}

/// The digest of a manifest; one that was said must be the right one.
fn manifest_digest(selector: &Selector, bytes: &[u8]) -> Result<Digest> {
    let Selector::Digest(said) = selector else {
        return pagevault_builder::digest(bytes).map_err(build_error);
    };
    let found = algorithm_of(said)?.digest(bytes)?;
    if found == *said {
        return Ok(found);
    }
    let message = format!("the manifest has digest {found}, not {said}");
    Err(RegistryError::new(Kind::DigestMismatch, message))
}
