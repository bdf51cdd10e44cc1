//! The tables of the view, and how records become rows.
//!
//! A checkpoint's row is short, so that a filter without an index of its own reads little: names are
//! numbers, and what only a list shows is in `summaries`. Sums are kept by workload.

use pagevault_api::checkpoint::Checkpoint;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::Result;
use crate::error::CatalogError;
use crate::query::Referrer;
use crate::record::{CheckpointRecord, ManifestRecord, TagRecord};

pub(crate) const SCHEMA: &str = "
    CREATE TABLE intents (id INTEGER PRIMARY KEY, key TEXT NOT NULL);
    CREATE TABLE tags (
        repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL,
        PRIMARY KEY (repository, tag)) WITHOUT ROWID;
    CREATE INDEX tags_of ON tags (repository, digest);
    CREATE TABLE manifests (
        repository TEXT NOT NULL, digest TEXT NOT NULL, subject TEXT, referrer TEXT,
        PRIMARY KEY (repository, digest)) WITHOUT ROWID;
    CREATE INDEX referrers ON manifests (repository, subject) WHERE subject IS NOT NULL;
    CREATE TABLE blobs (
        digest TEXT NOT NULL, repository TEXT NOT NULL,
        PRIMARY KEY (digest, repository)) WITHOUT ROWID;
    CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE checkpoints (
        checkpoint INTEGER PRIMARY KEY,
        repository INTEGER NOT NULL, digest TEXT NOT NULL, tie INTEGER NOT NULL,
        created INTEGER NOT NULL, bytes INTEGER NOT NULL, stored INTEGER NOT NULL,
        namespace INTEGER NOT NULL, pod INTEGER NOT NULL, container INTEGER NOT NULL,
        workload INTEGER NOT NULL, node INTEGER, image INTEGER NOT NULL, image_digest INTEGER,
        pinned INTEGER NOT NULL, lineage INTEGER NOT NULL,
        UNIQUE (repository, digest));
    CREATE TABLE summaries (
        checkpoint INTEGER PRIMARY KEY, recipe TEXT, compressed INTEGER NOT NULL, summary TEXT NOT NULL);
    CREATE TABLE labels (
        label TEXT NOT NULL, checkpoint INTEGER NOT NULL,
        PRIMARY KEY (label, checkpoint)) WITHOUT ROWID;
    CREATE INDEX labels_of ON labels (checkpoint);
    CREATE INDEX by_time ON checkpoints (created, tie);
    CREATE INDEX by_size ON checkpoints (bytes, tie);
    CREATE INDEX by_stored ON checkpoints (stored, tie);
    CREATE INDEX by_namespace ON checkpoints (namespace, created, tie);
    CREATE INDEX by_pod ON checkpoints (pod, created, tie);
    CREATE INDEX by_container ON checkpoints (container, created, tie);
    CREATE INDEX by_node ON checkpoints (node, created, tie);
    CREATE INDEX by_image ON checkpoints (image, created, tie);
    CREATE INDEX by_image_digest ON checkpoints (image_digest, created, tie);
    CREATE INDEX by_repository ON checkpoints (repository, created, tie);
    CREATE INDEX by_workload ON checkpoints (workload, namespace, container, created, tie, pod);
    CREATE INDEX by_lineage ON checkpoints (lineage, created);
    CREATE INDEX pinned ON checkpoints (created, tie) WHERE pinned;
    CREATE TABLE workloads (
        namespace INTEGER NOT NULL, workload INTEGER NOT NULL, container INTEGER NOT NULL,
        checkpoints INTEGER NOT NULL, bytes INTEGER NOT NULL, stored INTEGER NOT NULL,
        newest INTEGER NOT NULL, oldest INTEGER NOT NULL, tie INTEGER NOT NULL,
        PRIMARY KEY (namespace, workload, container)) WITHOUT ROWID;
    CREATE INDEX by_newest ON workloads (newest, tie);
";

pub(crate) fn apply_tag(
    db: &Transaction<'_>,
    repository: &str,
    tag: &str,
    record: Option<TagRecord>,
) -> Result<()> {
    match record {
        Some(record) => db
            .prepare_cached("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)")?
            .execute(params![repository, tag, record.digest.as_ref()])?,
        None => db
            .prepare_cached("DELETE FROM tags WHERE repository = ? AND tag = ?")?
            .execute(params![repository, tag])?,
    };
    Ok(())
}

pub(crate) fn apply_manifest(
    db: &Transaction<'_>,
    repository: &str,
    digest: &str,
    record: Option<ManifestRecord>,
) -> Result<()> {
    db.prepare_cached("DELETE FROM manifests WHERE repository = ? AND digest = ?")?
        .execute(params![repository, digest])?;
    remove_checkpoint(db, repository, digest)?;
    let Some(record) = record else { return Ok(()) };
    let subject = record.subject.as_ref().map(AsRef::<str>::as_ref);
    let referrer = record.subject.as_ref().map(|_| json(&Referrer::of(&record))).transpose()?;
    db.prepare_cached("INSERT INTO manifests VALUES (?, ?, ?, ?)")?
        .execute(params![repository, digest, subject, referrer])?;
    match record.checkpoint {
        Some(checkpoint) => add_checkpoint(db, repository, digest, checkpoint),
        None => Ok(()),
    }
}

/// Whose sums change with a checkpoint, and by how much.
struct Share {
    namespace: i64,
    workload: i64,
    container: i64,
    bytes: i64,
    stored: i64,
    tie: i64,
}

fn remove_checkpoint(db: &Transaction<'_>, repository: &str, digest: &str) -> Result<()> {
    let sql = "DELETE FROM checkpoints
               WHERE repository = (SELECT id FROM names WHERE name = ?) AND digest = ?
               RETURNING checkpoint, namespace, workload, container, bytes, stored";
    let removed = db
        .prepare_cached(sql)?
        .query_row(params![repository, digest], |row| {
            let share = Share {
                namespace: row.get(1)?,
                workload: row.get(2)?,
                container: row.get(3)?,
                bytes: row.get(4)?,
                stored: row.get(5)?,
                tie: 0,
            };
            Ok((row.get::<_, i64>(0)?, share))
        })
        .optional()?;
    let Some((checkpoint, share)) = removed else { return Ok(()) };
    for table in ["summaries", "labels"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE checkpoint = ?"))?
            .execute([checkpoint])?;
    }
    account(db, &share, -1)
}

fn add_checkpoint(
    db: &Transaction<'_>,
    repository: &str,
    digest: &str,
    checkpoint: CheckpointRecord,
) -> Result<()> {
    let CheckpointRecord { mut summary, pin, recipe, compressed, lineage } = checkpoint;
    summary.pinned = pin.is_some();
    let name = |text: &str| name(db, text);
    let optional = |text: &Option<String>| text.as_deref().map(name).transpose();
    let share = Share {
        namespace: name(&summary.namespace)?,
        workload: name(workload(&summary))?,
        container: name(&summary.container)?,
        bytes: i64::try_from(summary.logical_bytes).unwrap_or(i64::MAX),
        stored: i64::try_from(summary.stored_bytes).unwrap_or(i64::MAX),
        tie: tie(&[&summary.namespace, workload(&summary), &summary.container]),
    };
    let sql = "INSERT INTO checkpoints VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        name(repository)?,
        digest,
        tie(&[repository, digest]),
        summary.created_at.as_microsecond(),
        share.bytes,
        share.stored,
        share.namespace,
        name(&summary.pod)?,
        share.container,
        share.workload,
        optional(&summary.node)?,
        name(&summary.image)?,
        optional(&summary.image_digest)?,
        summary.pinned,
        name(&lineage)?,
    ])?;
    let row = db.last_insert_rowid();
    db.prepare_cached("INSERT INTO summaries VALUES (?, ?, ?, ?)")?.execute(params![
        row,
        recipe,
        compressed,
        json(&summary)?
    ])?;
    for (key, value) in &summary.labels {
        db.prepare_cached("INSERT INTO labels VALUES (?, ?)")?
            .execute(params![label(key, value), row])?;
    }
    account(db, &share, 1)
}

/// Brings the sums of a workload in line with a checkpoint that came (1) or went (-1).
fn account(db: &Transaction<'_>, share: &Share, sign: i64) -> Result<()> {
    let Share { namespace, workload, container, bytes, stored, tie } = share;
    let key = params![namespace, workload, container];
    let sql = "INSERT INTO workloads VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7)
               ON CONFLICT DO UPDATE SET checkpoints = checkpoints + ?4, bytes = bytes + ?5,
                   stored = stored + ?6";
    db.prepare_cached(sql)?.execute(params![
        namespace,
        workload,
        container,
        sign,
        sign.saturating_mul(*bytes),
        sign.saturating_mul(*stored),
        tie
    ])?;
    db.prepare_cached(
        "DELETE FROM workloads
         WHERE namespace = ? AND workload = ? AND container = ? AND checkpoints < 1",
    )?
    .execute(key)?;
    db.prepare_cached(
        "UPDATE workloads SET (newest, oldest) = (
             SELECT max(created), min(created) FROM checkpoints c WHERE c.namespace = ?1
             AND c.workload = ?2 AND c.container = ?3)
         WHERE namespace = ?1 AND workload = ?2 AND container = ?3",
    )?
    .execute(key)?;
    Ok(())
}

/// The name of the workload that a checkpoint counts for.
fn workload(summary: &Checkpoint) -> &str {
    summary.workload.as_deref().unwrap_or(&summary.pod)
}

/// A label as it is looked for. A line break is in none.
pub(crate) fn label(key: &str, value: &str) -> String {
    format!("{key}\n{value}")
}

/// Tells rows with equal sort keys apart, the same way in every view.
fn tie(parts: &[&str]) -> i64 {
    xxhash_rust::xxh3::xxh3_64(parts.join("\n").as_bytes()).cast_signed()
}

/// The number of a name. Names stay when the last row that has one has gone: they come back.
fn name(db: &Transaction<'_>, name: &str) -> Result<i64> {
    let sql = "SELECT id FROM names WHERE name = ?";
    let found = db.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    db.prepare_cached("INSERT INTO names (name) VALUES (?)")?.execute([name])?;
    Ok(db.last_insert_rowid())
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| CatalogError::Internal(e.to_string()))
}
