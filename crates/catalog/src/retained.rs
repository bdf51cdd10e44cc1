//! All checkpoints at once, for those who decide over them together.

use pagevault_api::checkpoint::Checkpoint;
use rusqlite::params;

use crate::view::first;
use crate::{Catalog, Result};

/// Rows that are read at once: others ask in between.
const PAGE: i64 = 1000;

/// A checkpoint and where it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedCheckpoint {
    /// The repository that holds it.
    pub repository: String,
    /// What lists show.
    pub summary: Checkpoint,
    /// Recipe of its layer; empty where the layer is so small that it is in its record.
    pub recipe: String,
}

/// What a namespace holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NamespaceUse {
    /// Its checkpoints.
    pub checkpoints: u64,
    /// Bytes of their tars.
    pub logical_bytes: u64,
}

impl Catalog {
    /// All checkpoints, or those of a namespace, in no promised order.
    pub async fn retained(&self, namespace: Option<&str>) -> Result<Vec<RetainedCheckpoint>> {
        let (mut all, mut after) = (Vec::new(), (i64::MIN, String::new()));
        loop {
            let (namespace, (repository, digest)) = (namespace.map(str::to_owned), after.clone());
            let rows = self.view.ask(move |db| {
                let sql = "SELECT c.repository, digest, coalesce(recipe, ''), summary, r.name
                           FROM checkpoints c NATURAL JOIN summaries
                           JOIN names r ON r.id = c.repository
                           WHERE (c.repository, digest) > (?1, ?2) AND (?3 IS NULL
                               OR namespace = (SELECT id FROM names WHERE name = ?3))
                           ORDER BY c.repository, digest LIMIT ?4";
                let mut select = db.prepare_cached(sql)?;
                let rows =
                    select.query_map(params![repository, digest, namespace, PAGE], |row| {
                        let summary: String = row.get(3)?;
                        Ok(((row.get(0)?, row.get(1)?), row.get(2)?, summary, row.get(4)?))
                    })?;
                let parsed = rows.map(|row| {
                    let (at, recipe, summary, repository): ((i64, String), _, _, _) = row?;
                    let summary = crate::query::parse(&summary)?;
                    Ok((at, RetainedCheckpoint { repository, summary, recipe }))
                });
                parsed.collect::<Result<Vec<_>>>()
            });
            let rows = rows.await?;
            let more = i64::try_from(rows.len()).is_ok_and(|number| number == PAGE);
            if let Some((at, _)) = rows.last() {
                after = at.clone();
            }
            all.extend(rows.into_iter().map(|(_, row)| row));
            if !more {
                return Ok(all);
            }
        }
    }

    /// What a namespace holds.
    pub async fn namespace_use(&self, namespace: &str) -> Result<NamespaceUse> {
        let namespace = namespace.to_owned();
        let sql = "SELECT coalesce(sum(checkpoints), 0), coalesce(sum(bytes), 0) FROM workloads
                   WHERE namespace = (SELECT id FROM names WHERE name = ?)";
        let row: Option<(i64, i64)> = self
            .view
            .ask(move |db| first(db, sql, [namespace], |row| Ok((row.get(0)?, row.get(1)?))))
            .await?;
        let (checkpoints, bytes) = row.unwrap_or_default();
        Ok(NamespaceUse {
            checkpoints: checkpoints.unsigned_abs(),
            logical_bytes: bytes.unsigned_abs(),
        })
    }
}
