//! How what is stored came together.

use jiff::Timestamp;
use pagevault_api::stats::GrowthPoint;

use crate::query::damaged;
use crate::{Catalog, Result};

/// Spans of equal length into which the time between the oldest and the newest checkpoint is cut.
const SPANS: i64 = 120;

impl Catalog {
    /// Running sums of the checkpoints that there are, by the time when they were taken: one for each
    /// of 120 spans of time in which any was.
    pub async fn growth(&self) -> Result<Vec<GrowthPoint>> {
        let sql =
            "WITH ends AS (SELECT min(created) AS oldest, max(created) AS newest FROM checkpoints)
                   SELECT max(created) AS at, sum(count(*)) OVER past, sum(sum(bytes)) OVER past,
                       sum(sum(stored)) OVER past
                   FROM checkpoints, ends
                   GROUP BY (created - oldest) / ((newest - oldest) / ?1 + 1)
                   WINDOW past AS (ORDER BY max(created))
                   ORDER BY at";
        let rows: Vec<(i64, [i64; 3])> = self
            .view
            .ask(move |db| {
                let mut select = db.prepare_cached(sql)?;
                let rows = select.query_map([SPANS], |row| {
                    Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]))
                })?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await?;
        rows.into_iter().map(|(at, sums)| point(at, sums)).collect()
    }
}

fn point(at: i64, sums: [i64; 3]) -> Result<GrowthPoint> {
    let at = Timestamp::from_microsecond(at).map_err(|e| damaged(&e.to_string()))?;
    let [checkpoints, logical_bytes, stored_bytes] = sums.map(i64::unsigned_abs);
    Ok(GrowthPoint { at, checkpoints, logical_bytes, stored_bytes })
}
