//! Tags: names that move.
//!
//! Whoever sets one writes it, also where it says the same already: a deletion of the manifest that it
//! points to removes it only as it was before, so it takes nothing from a push at the same time.

use jiff::Timestamp;
use pagevault_api::Digest;

use crate::entry::Entry;
use crate::keys::Name;
use crate::record::TagRecord;
use crate::truth::Decision;
use crate::{Catalog, Result};

/// The tag that follows the newest checkpoint.
const LATEST: &str = "latest";

impl Catalog {
    /// A tag.
    pub async fn find_tag(&self, repository: &str, tag: &str) -> Result<Option<TagRecord>> {
        self.read(&name(repository, tag)).await
    }

    /// Sets a tag; the last writer wins.
    pub async fn put_tag(&self, repository: &str, tag: &str, digest: &Digest) -> Result<()> {
        let record = record(digest, None);
        let write = |_: Option<TagRecord>| Decision::Write(Some(record.clone()), ());
        self.change(&name(repository, tag), write).await
    }

    /// Sets a tag if it is free or points there already; false if it points elsewhere.
    pub async fn claim_tag(&self, repository: &str, tag: &str, digest: &Digest) -> Result<bool> {
        let record = record(digest, None);
        self.change(&name(repository, tag), |old: Option<TagRecord>| match old {
            Some(old) if old.digest != *digest => Decision::Keep(false),
            _ => Decision::Write(Some(record.clone()), true),
        })
        .await
    }

    /// Moves `latest` to a checkpoint, unless it is at a newer one: it follows the time of the
    /// checkpoint, not that of the push. Of two of the same time the greater digest wins.
    pub async fn advance_latest(
        &self,
        repository: &str,
        digest: &Digest,
        time: Timestamp,
    ) -> Result<()> {
        let record = record(digest, Some(time));
        self.change(&name(repository, LATEST), |old: Option<TagRecord>| match old {
            Some(old)
                if (old.checkpoint_time, old.digest.as_ref()) > (Some(time), digest.as_ref()) =>
            {
                Decision::Keep(())
            }
            _ => Decision::Write(Some(record.clone()), ()),
        })
        .await
    }

    /// A tag, to be removed as it is.
    pub async fn tag_entry(&self, repository: &str, tag: &str) -> Result<Entry<TagRecord>> {
        self.entry(&name(repository, tag)).await
    }

    /// The tags that point to a manifest.
    pub(crate) async fn tag_entries(
        &self,
        repository: &str,
        digest: &Digest,
    ) -> Result<Vec<Entry<TagRecord>>> {
        let mut entries = Vec::new();
        for tag in self.tags_of(repository, digest).await? {
            let entry = self.tag_entry(repository, &tag).await?;
            if entry.record.as_ref().is_some_and(|record| record.digest == *digest) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// Removes a tag if it is still what was read; false if it is not.
    pub async fn drop_tag(&self, entry: &Entry<TagRecord>) -> Result<bool> {
        let intent = self.view.intend(entry.key.as_str()).await?;
        let dropped = self.drop_record(entry).await;
        // Also after a failure: a removal whose answer was lost may have happened.
        self.refresh(&entry.key, Some(intent)).await?;
        dropped
    }

    /// Removes a tag; false if it is not there.
    pub async fn delete_tag(&self, repository: &str, tag: &str) -> Result<bool> {
        self.remove::<TagRecord>(&name(repository, tag)).await
    }
}

fn name(repository: &str, tag: &str) -> Name {
    Name::Tag { repository: repository.to_owned(), tag: tag.to_owned() }
}

fn record(digest: &Digest, checkpoint_time: Option<Timestamp>) -> TagRecord {
    TagRecord { digest: digest.clone(), updated_at: Timestamp::now(), checkpoint_time }
}
