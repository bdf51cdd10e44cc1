//! Tags: names that move.

use jiff::Timestamp;
use pagevault_api::Digest;

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
        self.change(&name(repository, tag), |old: Option<TagRecord>| match old {
            Some(old) if old.digest == *digest => Decision::Keep(()),
            _ => Decision::Write(Some(record.clone()), ()),
        })
        .await
    }

    /// Sets a tag if it is free or points there already; false if it points elsewhere.
    pub async fn claim_tag(&self, repository: &str, tag: &str, digest: &Digest) -> Result<bool> {
        let record = record(digest, None);
        self.change(&name(repository, tag), |old: Option<TagRecord>| match old {
            Some(old) => Decision::Keep(old.digest == *digest),
            None => Decision::Write(Some(record.clone()), true),
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
                if (old.checkpoint_time, old.digest.as_ref()) >= (Some(time), digest.as_ref()) =>
            {
                Decision::Keep(())
            }
            _ => Decision::Write(Some(record.clone()), ()),
        })
        .await
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
