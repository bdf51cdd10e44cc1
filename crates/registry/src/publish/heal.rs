//! What was lost of a blob comes back when the blob is sent again.
//!
//! A recipe is put right under its own name. So nothing that names it changes: records of other
//! repositories and layers that stand on it have their bytes back as well.

use pagevault_api::Digest;
use pagevault_catalog::{BlobLocation, BlobRecord, ManifestRecord, Mark};
use pagevault_pagestore::{PageStoreError, RecipeId, Standing};

use super::{Blobs, Publisher, collected};
use crate::{Result, store_error};

impl Publisher {
    /// Gives back to the blobs of a manifest that exists what they have lost: their records, where
    /// they were deleted, and what is stored of them, where it was damaged.
    pub(super) async fn heal(
        &self,
        repository: &str,
        record: &ManifestRecord,
        blobs: &Blobs,
    ) -> Result<()> {
        for (digest, pushed) in blobs {
            let Some(location) = record.blobs.get(digest.as_ref() as &str) else { continue };
            let named = BlobRecord { bytes: pushed.bytes, location: location.clone() };
            let lost =
                !self.is_whole(&named).await? && !self.reinstate(digest, &named, pushed).await?;
            let entry = self.entry(repository, digest).await?;
            if lost {
                // Another copy will do for those who ask by digest, and a scrub repairs it from that.
                match &entry.record {
                    Some(copy)
                        if copy.location != named.location && self.is_whole(copy).await? =>
                    {
                        continue;
                    }
                    _ => return Err(collected(digest)),
                }
            }
            let there = match &entry.record {
                Some(old) if old.location == named.location => entry.mark != Some(Mark::Condemned),
                Some(old) => self.standing(old).await? != Standing::Gone,
                None => false,
            };
            if !there {
                // Whoever was faster has had the same in mind.
                self.swap(&entry, Some(named)).await?;
            }
        }
        Ok(())
    }

    /// Whether all that a blob's record names is there; see [`PageStore::is_whole`].
    pub(crate) async fn is_whole(&self, record: &BlobRecord) -> Result<bool> {
        match &record.location {
            BlobLocation::Inline(_) => Ok(true),
            BlobLocation::Recipe(id) => {
                self.pages.is_whole(&RecipeId(id.clone())).await.map_err(store_error)
            }
        }
    }

    /// Stores what a record names, and was lost, anew from what was sent again: all records that name
    /// it, and layers that stand on it, have it back. False if it cannot take that place.
    pub(super) async fn reinstate(
        &self,
        digest: &Digest,
        lost: &BlobRecord,
        sent: &BlobRecord,
    ) -> Result<bool> {
        let (BlobLocation::Recipe(old), BlobLocation::Recipe(new)) =
            (&lost.location, &sent.location)
        else {
            return Ok(false);
        };
        if old == new {
            return Ok(false);
        }
        match self.pages.reinstate(&RecipeId(old.clone()), &RecipeId(new.clone())).await {
            Ok(()) => {
                tracing::warn!(blob.digest = %digest, "what was lost of a blob is stored again");
                Ok(true)
            }
            Err(
                PageStoreError::Unsuited(_)
                | PageStoreError::Lost
                | PageStoreError::BaseGone
                | PageStoreError::Damaged(_),
            ) => Ok(false),
            Err(error) => Err(store_error(error)),
        }
    }
}
