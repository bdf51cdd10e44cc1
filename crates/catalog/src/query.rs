//! Lists, filters and counts, answered by the view.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pagevault_api::Digest;
use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::error::CatalogError;
use crate::record::ManifestRecord;
use crate::view::first;
use crate::{Catalog, Result};

/// The newest checkpoint of a lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageEntry {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Recipe of its layer.
    pub recipe: String,
}

/// A manifest that is about another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Referrer {
    pub(crate) fn of(record: &ManifestRecord) -> Self {
        Self {
            media_type: record.media_type.clone(),
            digest: record.digest.clone(),
            bytes: record.bytes.len() as u64,
            artifact_type: record.artifact_type.clone(),
            annotations: record.annotations.clone(),
        }
    }
}

/// Totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Checkpoints.
    pub checkpoints: u64,
    /// Repositories with at least one manifest.
    pub repositories: u64,
    /// Sum of the sizes of all checkpoints.
    pub logical_bytes: u64,
}

impl Catalog {
    /// Tags of a repository after `after`, sorted by bytes, at most `limit`.
    pub async fn tags(
        &self,
        repository: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>> {
        let sql = "SELECT tag FROM tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?";
        self.names(sql, vec![text(repository), text(after.unwrap_or("")), number(limit)]).await
    }

    /// Tags that point to a manifest.
    pub async fn tags_at(&self, repository: &str, digest: &Digest) -> Result<Vec<String>> {
        self.tags_of(repository, digest).await
    }

    /// Tags that point to a manifest.
    pub(crate) async fn tags_of(&self, repository: &str, digest: &Digest) -> Result<Vec<String>> {
        let sql = "SELECT tag FROM tags WHERE repository = ? AND digest = ? ORDER BY tag";
        self.names(sql, vec![text(repository), text(digest.as_ref())]).await
    }

    /// Repositories after `after`, sorted by bytes, at most `limit`.
    pub async fn repositories(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        // From name to name, however many manifests each has.
        let sql = "WITH RECURSIVE names (name) AS (
                       SELECT min(repository) FROM manifests WHERE repository > ?
                       UNION ALL
                       SELECT (SELECT min(repository) FROM manifests WHERE repository > name)
                       FROM names WHERE name IS NOT NULL)
                   SELECT name FROM names WHERE name IS NOT NULL LIMIT ?";
        self.names(sql, vec![text(after.unwrap_or("")), number(limit)]).await
    }

    /// Whether a repository holds any manifest.
    pub async fn has_repository(&self, repository: &str) -> Result<bool> {
        let sql = "SELECT repository FROM manifests WHERE repository = ? LIMIT 1";
        Ok(!self.names(sql, vec![text(repository)]).await?.is_empty())
    }

    /// Repositories that are said to hold a blob, a few of them.
    pub(crate) async fn holders(&self, digest: &Digest) -> Result<Vec<String>> {
        let sql = "SELECT repository FROM blobs WHERE digest = ? LIMIT 8";
        self.names(sql, vec![text(digest.as_ref())]).await
    }

    /// Manifests whose subject is `subject`, of one kind if it is given, after the digest `after`,
    /// sorted by digest, at most `limit`.
    pub async fn referrers(
        &self,
        repository: &str,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Referrer>> {
        let sql = "SELECT referrer FROM manifests
                   WHERE repository = ?1 AND subject = ?2 AND digest > ?3
                   AND (?4 IS NULL OR json_extract(referrer, '$.artifactType') = ?4)
                   ORDER BY digest LIMIT ?5";
        let values = vec![
            text(repository),
            text(subject.as_ref()),
            text(after.unwrap_or_default()),
            artifact_type.map_or(Value::Null, text),
            number(limit),
        ];
        let found = self.names(sql, values).await?;
        found.iter().map(|json| parse(json)).collect()
    }

    /// The newest checkpoint of a lineage that others may be stored against, by the time it was taken.
    pub async fn newest_of_lineage(&self, lineage: &str) -> Result<Option<LineageEntry>> {
        let lineage = lineage.to_owned();
        let sql = "SELECT digest, recipe FROM checkpoints NATURAL JOIN summaries
                   WHERE lineage = (SELECT id FROM names WHERE name = ?) AND recipe IS NOT NULL AND NOT compressed
                   ORDER BY created DESC, digest DESC LIMIT 1";
        let found: Option<(String, String)> = self
            .view
            .ask(move |db| first(db, sql, [lineage], |row| Ok((row.get(0)?, row.get(1)?))))
            .await?;
        let entry = |(digest, recipe): (String, String)| {
            let digest = digest.parse().map_err(|_| damaged("digest"))?;
            Ok(LineageEntry { digest, recipe })
        };
        found.map(entry).transpose()
    }

    /// Where the checkpoint of a lineage is that was taken before one of it.
    pub async fn predecessor(
        &self,
        lineage: &str,
        taken: Timestamp,
        digest: &Digest,
    ) -> Result<Option<(String, Digest)>> {
        let sql = "SELECT name, digest FROM checkpoints JOIN names ON id = repository
                   WHERE lineage = (SELECT id FROM names WHERE name = ?)
                   AND (created, digest) < (?, ?) ORDER BY created DESC, digest DESC LIMIT 1";
        let (lineage, digest) = (lineage.to_owned(), digest.to_string());
        let found: Option<(String, String)> = self
            .view
            .ask(move |db| {
                let values = params![lineage, taken.as_microsecond(), digest];
                first(db, sql, values, |row| Ok((row.get(0)?, row.get(1)?)))
            })
            .await?;
        let place = |(repository, digest): (String, String)| {
            Ok((repository, digest.parse().map_err(|_| damaged("digest"))?))
        };
        found.map(place).transpose()
    }

    /// The checkpoints of a repository that are pinned.
    pub async fn pinned(&self, repository: &str) -> Result<Vec<Digest>> {
        let sql = "SELECT digest FROM checkpoints
                   WHERE pinned AND repository = (SELECT id FROM names WHERE name = ?)";
        let pinned = self.names(sql, vec![text(repository)]).await?;
        pinned.iter().map(|digest| digest.parse().map_err(|_| damaged("digest"))).collect()
    }

    /// Totals.
    pub async fn stats(&self) -> Result<Counts> {
        let sql = "SELECT coalesce(sum(checkpoints), 0), coalesce(sum(bytes), 0),
                   (SELECT count(DISTINCT repository) FROM manifests) FROM workloads";
        let row = self
            .view
            .ask(move |db| {
                first(db, sql, params![], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
                })
            })
            .await?;
        let (checkpoints, bytes, repositories) = row.unwrap_or_default();
        Ok(Counts {
            checkpoints: checkpoints.unsigned_abs(),
            repositories: repositories.unsigned_abs(),
            logical_bytes: bytes.unsigned_abs(),
        })
    }

    async fn names(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<String>> {
        self.view
            .ask(move |db| {
                let mut select = db.prepare_cached(sql)?;
                let rows = select.query_map(params_from_iter(values), |row| row.get(0))?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

pub(crate) fn number(value: usize) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

pub(crate) fn parse<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| damaged(&e.to_string()))
}

pub(crate) fn damaged(what: &str) -> CatalogError {
    CatalogError::Corrupt { key: "view.sqlite".to_owned(), what: what.to_owned() }
}
