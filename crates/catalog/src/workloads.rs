//! Sums by workload and by namespace, which the view keeps.

use jiff::Timestamp;
use pagevault_api::page::Page;
use pagevault_api::stats::NamespaceStats;
use pagevault_api::workload::{Workload, WorkloadFilter};
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use crate::list::{SHOWN, Shown, decode_cursor, page, shown};
use crate::query::{damaged, number, text};
use crate::{Catalog, Result};

/// What cursors of workloads begin with.
const ORDER: &str = "Workloads-";

/// Narrows workloads to those of which a name, or that of a pod, has a part. Pods are found in the
/// index alone, and names are gone through once.
const SEARCH: &str = " AND (instr(lower(n.name), ?) OR instr(lower(o.name), ?)
     OR instr(lower(p.name), ?) OR EXISTS (
         SELECT 1 FROM checkpoints d WHERE d.workload = w.workload AND d.namespace = w.namespace
         AND d.container = w.container
         AND d.pod IN (SELECT id FROM names WHERE instr(lower(name), ?))))";

/// A row of the list of workloads.
struct WorkloadRow {
    latest: Shown,
    names: [String; 3],
    sums: [i64; 3],
    oldest: i64,
}

impl Catalog {
    /// Workloads, that with the newest checkpoint first; `cursor` is where the page before ended.
    pub async fn list_workloads(
        &self,
        filter: &WorkloadFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Workload>> {
        let mut sql = format!(
            "SELECT {SHOWN}, w.newest, w.tie, n.name, o.name, p.name, w.checkpoints, w.bytes, w.stored,
                    w.oldest
             FROM workloads w
             JOIN names n ON n.id = w.namespace
             JOIN names o ON o.id = w.workload
             JOIN names p ON p.id = w.container
             JOIN checkpoints c ON c.checkpoint = (
                 SELECT checkpoint FROM checkpoints d WHERE d.workload = w.workload
                 AND d.namespace = w.namespace AND d.container = w.container
                 ORDER BY created DESC, tie DESC LIMIT 1)
             WHERE 1"
        );
        let mut values = Vec::new();
        for (column, wanted) in [
            ("namespace", &filter.namespace),
            ("workload", &filter.name),
            ("container", &filter.container),
        ] {
            if let Some(wanted) = wanted {
                sql.push_str(&format!(" AND w.{column} = (SELECT id FROM names WHERE name = ?)"));
                values.push(text(wanted));
            }
        }
        if let Some(part) = &filter.search {
            sql.push_str(SEARCH);
            values.extend(std::iter::repeat_n(text(&part.to_lowercase()), 4));
        }
        if let Some(cursor) = cursor {
            let (newest, tie) = decode_cursor(ORDER, cursor)?;
            sql.push_str(" AND (w.newest, w.tie) < (?, ?)");
            values.extend([Value::Integer(newest), Value::Integer(tie)]);
        }
        sql.push_str(" ORDER BY w.newest DESC, w.tie DESC LIMIT ?");
        values.push(number(limit.saturating_add(1)));
        self.view
            .ask(move |db| {
                let mut select = db.prepare_cached(&sql)?;
                let rows = select.query_map(params_from_iter(values), |row| {
                    Ok((workload_row(row)?, (row.get(3)?, row.get(4)?)))
                })?;
                let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
                page(rows, limit, ORDER, WorkloadRow::workload)
            })
            .await
    }

    /// Namespaces with their sums, by name.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceStats>> {
        let sql = "SELECT name, sum(checkpoints), count(*), sum(bytes), sum(stored)
                   FROM workloads JOIN names ON id = namespace GROUP BY namespace ORDER BY name";
        self.view
            .ask(move |db| {
                let mut select = db.prepare_cached(sql)?;
                let rows = select.query_map([], |row| {
                    let sum = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                    Ok(NamespaceStats {
                        namespace: row.get(0)?,
                        checkpoints: sum(1)?,
                        workloads: sum(2)?,
                        logical_bytes: sum(3)?,
                        stored_bytes: sum(4)?,
                    })
                })?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }
}

fn workload_row(row: &Row<'_>) -> rusqlite::Result<WorkloadRow> {
    Ok(WorkloadRow {
        latest: shown(row)?,
        names: [row.get(5)?, row.get(6)?, row.get(7)?],
        sums: [row.get(8)?, row.get(9)?, row.get(10)?],
        oldest: row.get(11)?,
    })
}

impl WorkloadRow {
    fn workload(self) -> Result<Workload> {
        let [namespace, name, container] = self.names;
        let [checkpoints, logical_bytes, stored_bytes] = self.sums.map(i64::unsigned_abs);
        let oldest_at =
            Timestamp::from_microsecond(self.oldest).map_err(|e| damaged(&e.to_string()))?;
        let latest = self.latest.checkpoint()?;
        Ok(Workload {
            namespace,
            name,
            container,
            checkpoints,
            logical_bytes,
            stored_bytes,
            oldest_at,
            latest,
        })
    }
}
