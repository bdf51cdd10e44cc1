//! What is said about an image goes with it: signatures, attestations, bills of materials.
//!
//! They name it as their `subject`; or, by clients that do not count on referrers, they are under a
//! tag made of its digest: `sha256-<hex>` for an index of them (OCI distribution spec, "Referrers Tag
//! Schema"), `sha256-<hex>.sig` and the like for cosign's.

use std::collections::HashSet;

use pagevault_api::Digest;
use pagevault_api::reference::Selector;
use pagevault_catalog::ManifestRecord;

use crate::error::RegistryErrorKind as Kind;
use crate::landed::is_checkpoint;
use crate::{Registry, Result, catalog_error};

/// Manifests that go with an image at most: more are no signatures.
const ABOUT_MAX: usize = 1000;

/// What is to go with an image.
#[derive(Debug, Default)]
struct About {
    manifests: Vec<Digest>,
    /// Tags of what stays, as it has other names.
    tags: Vec<String>,
}

impl Registry {
    /// Deletes an image and what is said about it, and about that. By way of `DELETE /v2/` a client
    /// deletes one manifest; this is for those who let go of a checkpoint.
    pub(crate) async fn delete_image(&self, repository: &str, digest: &Digest) -> Result<()> {
        // It can be found by its subject only while that is known.
        let about = self.about(repository, digest).await?;
        self.delete_manifest(repository, &Selector::Digest(digest.clone())).await?;
        let manifests = about.manifests.into_iter().map(Selector::Digest);
        for selector in manifests.chain(about.tags.into_iter().map(Selector::Tag)) {
            match self.delete_manifest(repository, &selector).await {
                Ok(()) => {}
                // Gone already, or a checkpoint that is pinned.
                Err(e) if matches!(e.kind(), Kind::ManifestUnknown | Kind::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn about(&self, repository: &str, digest: &Digest) -> Result<About> {
        let (mut about, mut seen) = (About::default(), HashSet::from([digest.clone()]));
        let mut next = vec![digest.clone()];
        while let Some(subject) = next.pop() {
            let referrers = self.catalog.referrers(repository, &subject, None, None, ABOUT_MAX);
            let referrers = referrers.await.map_err(catalog_error)?;
            let mut found: Vec<Digest> = referrers.into_iter().map(|r| r.digest).collect();
            self.tagged_about(repository, &subject, &mut found, &mut about.tags).await?;
            for digest in found {
                let new = seen.len() <= ABOUT_MAX && seen.insert(digest.clone());
                if new && !self.is_checkpoint(repository, &digest).await? {
                    about.manifests.push(digest.clone());
                    next.push(digest);
                }
            }
        }
        Ok(about)
    }

    /// What is under tags made of a digest; only the tag, where a manifest has another name as well.
    async fn tagged_about(
        &self,
        repository: &str,
        subject: &Digest,
        found: &mut Vec<Digest>,
        tags: &mut Vec<String>,
    ) -> Result<()> {
        let name = subject.to_string().replacen(':', "-", 1);
        let is_about = |tag: &str| {
            tag.strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let listed = self.catalog.tags(repository, Some(&name), ABOUT_MAX).await;
        let listed = listed.map_err(catalog_error)?.into_iter();
        let listed = listed.take_while(|tag| tag.starts_with(&name)).filter(|tag| is_about(tag));
        for tag in std::iter::once(name.clone()).chain(listed) {
            let at = self.catalog.find_tag(repository, &tag).await.map_err(catalog_error)?;
            let Some(at) = at.map(|record| record.digest) else { continue };
            let names = self.catalog.tags_at(repository, &at).await.map_err(catalog_error)?;
            match names.iter().all(|name| is_about(name)) {
                true => found.push(at),
                false => tags.push(tag),
            }
        }
        Ok(())
    }

    /// Whatever it is about, a checkpoint goes by rules of its own.
    async fn is_checkpoint(&self, repository: &str, digest: &Digest) -> Result<bool> {
        let found = self.catalog.find_manifest(repository, digest).await.map_err(catalog_error)?;
        // One of which nothing is known yet is one all the same.
        let is = |m: ManifestRecord| m.checkpoint.is_some() || is_checkpoint(&m.annotations);
        Ok(found.is_some_and(is))
    }
}
