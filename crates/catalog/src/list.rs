//! Lists of checkpoints, narrowed and sorted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use pagevault_api::checkpoint::{Checkpoint, CheckpointFilter, CheckpointOrder, SortKey};
use pagevault_api::page::Page;
use pagevault_api::reference::Reference;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::error::CatalogError;
use crate::query::{number, parse, text};
use crate::rows::label;
use crate::view::first;
use crate::{Catalog, Result};

/// What a list shows of a checkpoint `c`: its summary, and where it is by now. Of its tags the greatest
/// counts, which is the newest where tags are times; `latest` moves on and is no name of it.
pub(crate) const SHOWN: &str = "
    (SELECT summary FROM summaries s WHERE s.checkpoint = c.checkpoint),
    (SELECT name FROM names WHERE id = c.repository) AS place,
    (SELECT max(tag) FROM tags t WHERE t.repository = (SELECT name FROM names WHERE id = c.repository)
     AND t.digest = c.digest AND tag != 'latest')";

impl Catalog {
    /// Checkpoints in order; `cursor` is where the page before ended, of a list in the same order.
    pub async fn list_checkpoints(
        &self,
        filter: &CheckpointFilter,
        order: CheckpointOrder,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Checkpoint>> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.view
            .ask(move |db| {
                let (sql, values) = select(db, &filter, order, cursor.as_deref(), limit)?;
                let mut select = db.prepare_cached(&sql)?;
                let rows = select.query_map(params_from_iter(values), |row| {
                    Ok((shown(row)?, (row.get::<_, i64>(3)?, row.get::<_, i64>(4)?)))
                })?;
                let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
                page(rows, limit, &tag_of(order), Shown::checkpoint)
            })
            .await
    }
}

/// The first columns of a row of a list.
pub(crate) struct Shown {
    summary: String,
    repository: String,
    tag: Option<String>,
}

pub(crate) fn shown(row: &Row<'_>) -> rusqlite::Result<Shown> {
    Ok(Shown { summary: row.get(0)?, repository: row.get(1)?, tag: row.get(2)? })
}

impl Shown {
    pub(crate) fn checkpoint(self) -> Result<Checkpoint> {
        let mut checkpoint: Checkpoint = parse(&self.summary)?;
        checkpoint.reference = match self.tag {
            Some(tag) => Reference::tag(self.repository, tag),
            None => Reference::digest(self.repository, checkpoint.digest.clone()),
        };
        Ok(checkpoint)
    }
}

/// A page of rows, of which one more than `limit` was asked for.
pub(crate) fn page<R, T>(
    rows: Vec<(R, (i64, i64))>,
    limit: usize,
    order: &str,
    item: impl Fn(R) -> Result<T>,
) -> Result<Page<T>> {
    let more = rows.len() > limit;
    let (mut items, mut last) = (Vec::new(), None);
    for (row, at) in rows.into_iter().take(limit) {
        items.push(item(row)?);
        last = Some(at);
    }
    let next = last.filter(|_| more).map(|(key, tie)| encode_cursor(order, key, tie));
    Ok(Page { items, next })
}

/// Rows up to which an index pays that does not give them in order: each is looked up by itself, which
/// takes about five times as long as to come by it in a scan of all.
const NARROW: i64 = 10_000;

/// A condition on the rows of a list.
struct Condition {
    sql: String,
    value: Option<Value>,
    /// Index that finds the rows.
    index: Option<String>,
}

impl Condition {
    fn on_name(column: &str, name: &str) -> Self {
        const NAMED: &str = "(SELECT id FROM names WHERE name = ?)";
        Self {
            sql: format!("c.{column} = {NAMED}"),
            value: Some(text(name)),
            index: Some(format!("by_{column}")),
        }
    }

    fn on_label(key: &str, value: &str) -> Self {
        Self {
            sql: "c.checkpoint IN (SELECT checkpoint FROM labels WHERE label = ?)".to_owned(),
            value: Some(text(&label(key, value))),
            index: None,
        }
    }

    fn on_pin(pinned: bool) -> Self {
        let sql = if pinned { "pinned" } else { "NOT pinned" };
        let index = pinned.then(|| "pinned".to_owned());
        Self { sql: sql.to_owned(), value: None, index }
    }

    fn is_narrow(&self, db: &Connection) -> Result<bool> {
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM checkpoints c WHERE {} LIMIT ?)",
            self.sql
        );
        let values = self.value.clone().into_iter().chain([Value::Integer(NARROW + 1)]);
        let count = first(db, &sql, params_from_iter(values), |row| row.get::<_, i64>(0))?;
        Ok(count.is_some_and(|count| count <= NARROW))
    }
}

/// The query of a list, and its values.
fn select(
    db: &Connection,
    filter: &CheckpointFilter,
    order: CheckpointOrder,
    cursor: Option<&str>,
    limit: usize,
) -> Result<(String, Vec<Value>)> {
    let column = match order.by {
        SortKey::Time => "created",
        SortKey::Size => "bytes",
        SortKey::Stored => "stored",
    };
    let (direction, beyond) = if order.ascending { ("ASC", ">") } else { ("DESC", "<") };
    let conditions = conditions(filter);
    let access = access(db, &conditions, order)?;
    // What is shown is looked up for the rows of the page only, not for all that are sorted.
    let mut sql = format!(
        "SELECT {SHOWN}, key, tie FROM (
             SELECT checkpoint, repository, digest, {column} AS key, tie
             FROM checkpoints c {access} WHERE 1"
    );
    let mut values = Vec::new();
    for condition in conditions {
        sql.push_str(&format!(" AND {}", condition.sql));
        values.extend(condition.value);
    }
    let times = [(">=", filter.since), ("<", filter.until)];
    for (sign, time) in times.into_iter().filter_map(|(sign, time)| Some((sign, time?))) {
        sql.push_str(&format!(" AND created {sign} ?"));
        values.push(Value::Integer(Timestamp::as_microsecond(time)));
    }
    if let Some(cursor) = cursor {
        let (key, tie) = decode_cursor(&tag_of(order), cursor)?;
        sql.push_str(&format!(" AND ({column}, tie) {beyond} (?, ?)"));
        values.extend([Value::Integer(key), Value::Integer(tie)]);
    }
    let order = |column| format!("ORDER BY {column} {direction}, tie {direction}");
    sql.push_str(&format!(" {} LIMIT ?) c {}", order(column), order("key")));
    values.push(number(limit.saturating_add(1)));
    Ok((sql, values))
}

/// How the rows are come by: the database keeps no statistics to tell by itself.
fn access(db: &Connection, conditions: &[Condition], order: CheckpointOrder) -> Result<String> {
    let indexed = |index: &String| format!("INDEXED BY {index}");
    match conditions {
        // In order by the index of the sort key.
        [] => return Ok(String::new()),
        // In order by the index of the one that is asked for.
        [Condition { index: Some(index), .. }]
            if order.by == SortKey::Time && index != "by_workload" =>
        {
            return Ok(indexed(index));
        }
        _ => {}
    }
    for condition in conditions {
        if let Some(index) = &condition.index
            && condition.is_narrow(db)?
        {
            return Ok(indexed(index));
        }
    }
    // A scan; where a label is there, of the rows that have it.
    Ok("NOT INDEXED".to_owned())
}

fn conditions(filter: &CheckpointFilter) -> Vec<Condition> {
    // No image is called like a digest.
    let is_digest = filter.image.as_ref().is_some_and(|image| image.starts_with("sha256:"));
    let columns = [
        ("namespace", &filter.namespace),
        ("pod", &filter.pod),
        ("container", &filter.container),
        ("workload", &filter.workload),
        ("node", &filter.node),
        ("repository", &filter.repository),
        (if is_digest { "image_digest" } else { "image" }, &filter.image),
    ];
    let named = columns.into_iter().filter_map(|(column, wanted)| Some((column, wanted.as_ref()?)));
    let named = named.map(|(column, wanted)| Condition::on_name(column, wanted));
    let labels = filter.labels.iter().map(|(key, value)| Condition::on_label(key, value));
    named.chain(labels).chain(filter.pinned.map(Condition::on_pin)).collect()
}

/// What a cursor of this order begins with: one of another order would point nowhere.
fn tag_of(order: CheckpointOrder) -> String {
    format!("{:?}{}", order.by, if order.ascending { "+" } else { "-" })
}

fn encode_cursor(order: &str, key: i64, tie: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{order} {key} {tie}"))
}

pub(crate) fn decode_cursor(order: &str, cursor: &str) -> Result<(i64, i64)> {
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or(CatalogError::Cursor)?;
    let mut parts = text.split(' ');
    if parts.next() != Some(order) {
        return Err(CatalogError::Cursor);
    }
    let mut number = || parts.next().and_then(|part| part.parse().ok());
    number().zip(number()).ok_or(CatalogError::Cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_one_order() {
        let cursor = encode_cursor("Time-", -5, 7);
        assert_eq!(decode_cursor("Time-", &cursor).unwrap(), (-5, 7));
        for (order, cursor) in [("Time+", cursor.as_str()), ("Time-", "x"), ("Time-", "")] {
            assert!(matches!(decode_cursor(order, cursor), Err(CatalogError::Cursor)), "{order}");
        }
    }
}
