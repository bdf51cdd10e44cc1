//! The view: a local database that follows the truth.
//!
//! Before a record is written its key goes into `intents`; afterwards the record is read back and
//! applied, and the intent removed, in one transaction. So after a crash the intents name all that
//! the view may have missed, and a start reads those, not the whole store.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::Result;
use crate::error::CatalogError;
use crate::keys::Name;
use crate::record::{ManifestRecord, TagRecord};

/// Version of the tables: another one is made anew.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE intents (key TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE tags (
        repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL,
        PRIMARY KEY (repository, tag)) WITHOUT ROWID;
    CREATE INDEX tags_of ON tags (repository, digest);
    CREATE TABLE manifests (
        repository TEXT NOT NULL, digest TEXT NOT NULL, subject TEXT, referrer TEXT,
        PRIMARY KEY (repository, digest)) WITHOUT ROWID;
    CREATE INDEX referrers ON manifests (repository, subject) WHERE subject IS NOT NULL;
    CREATE TABLE checkpoints (
        repository TEXT NOT NULL, digest TEXT NOT NULL, created INTEGER NOT NULL,
        namespace TEXT NOT NULL, pod TEXT NOT NULL, container TEXT NOT NULL, workload TEXT,
        lineage TEXT NOT NULL, recipe TEXT NOT NULL, bytes INTEGER NOT NULL,
        summary TEXT NOT NULL,
        PRIMARY KEY (repository, digest)) WITHOUT ROWID;
    CREATE INDEX newest ON checkpoints (created, digest, repository);
    CREATE INDEX by_namespace ON checkpoints (namespace, created);
    CREATE INDEX by_pod ON checkpoints (pod, created);
    CREATE INDEX by_lineage ON checkpoints (lineage, created);
";

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The view. Its database belongs to one thread, to which work is sent.
#[derive(Debug)]
pub(crate) struct View {
    jobs: mpsc::Sender<Job>,
}

/// What happened to a record.
#[derive(Debug)]
pub(crate) enum Change {
    Manifest { name: Name, record: Box<Option<ManifestRecord>> },
    Tag { name: Name, record: Option<TagRecord> },
}

impl View {
    /// Opens the database; the second part says that it is new and has to be filled.
    pub(crate) async fn open(path: PathBuf) -> Result<(Self, bool)> {
        let opened = tokio::task::spawn_blocking(move || open(&path)).await;
        let (mut connection, fresh) =
            opened.map_err(|e| CatalogError::Internal(e.to_string()))??;
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("view".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job(&mut connection)))
            .map_err(|e| CatalogError::Internal(e.to_string()))?;
        Ok((Self { jobs }, fresh))
    }

    /// Runs work on the database's thread.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        let gone = || CatalogError::Internal("the view's thread has ended".to_owned());
        let (answer, result) = tokio::sync::oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let _ = answer.send(work(connection));
        });
        self.jobs.send(job).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    /// Notes that a record is about to change.
    pub(crate) async fn intend(&self, key: &str) -> Result<()> {
        let key = key.to_owned();
        self.run(move |db| {
            db.prepare_cached("INSERT OR IGNORE INTO intents VALUES (?)")?.execute([key])?;
            Ok(())
        })
        .await
    }

    /// Records that were about to change when the process ended.
    pub(crate) async fn intents(&self) -> Result<Vec<String>> {
        self.run(|db| {
            let mut all = db.prepare("SELECT key FROM intents")?;
            let keys = all.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(keys)
        })
        .await
    }

    /// Applies what a record says now.
    pub(crate) async fn apply(&self, key: &str, change: Change) -> Result<()> {
        let key = key.to_owned();
        self.run(move |db| {
            let transaction = db.transaction()?;
            match change {
                Change::Manifest { name: Name::Manifest { repository, digest }, record } => {
                    apply_manifest(&transaction, &repository, digest.as_ref(), *record)?;
                }
                Change::Tag { name: Name::Tag { repository, tag }, record } => {
                    apply_tag(&transaction, &repository, &tag, record)?;
                }
                _ => {}
            }
            transaction.prepare_cached("DELETE FROM intents WHERE key = ?")?.execute([key])?;
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    /// Notes that the view holds all that the truth does.
    pub(crate) async fn complete(&self) -> Result<()> {
        self.run(|db| Ok(db.pragma_update(None, "user_version", SCHEMA_VERSION)?)).await
    }
}

/// Opens a database that is complete, or an empty one in its place.
fn open(path: &Path) -> Result<(Connection, bool)> {
    if path.exists()
        && let Ok(connection) = connect(path)
        && version(&connection).is_ok_and(|version| version == SCHEMA_VERSION)
    {
        return Ok((connection, false));
    }
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
    let connection = connect(path)?;
    connection.execute_batch(SCHEMA)?;
    Ok((connection, true))
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // An intent must be on the disk before the record is: it is what a power cut leaves to go by.
    connection.pragma_update(None, "synchronous", "full")?;
    let intact: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if intact == "ok" { Ok(connection) } else { Err(rusqlite::Error::InvalidQuery) }
}

fn apply_tag(
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

fn apply_manifest(
    db: &Transaction<'_>,
    repository: &str,
    digest: &str,
    record: Option<ManifestRecord>,
) -> Result<()> {
    for table in ["manifests", "checkpoints"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE repository = ? AND digest = ?"))?
            .execute(params![repository, digest])?;
    }
    let Some(record) = record else { return Ok(()) };
    let json = |value: serde_json::Result<String>| {
        value.map_err(|e| CatalogError::Internal(e.to_string()))
    };
    let subject = record.subject.as_ref().map(AsRef::<str>::as_ref);
    let referrer = match &record.subject {
        Some(_) => Some(json(serde_json::to_string(&crate::query::Referrer::of(&record)))?),
        None => None,
    };
    db.prepare_cached("INSERT INTO manifests VALUES (?, ?, ?, ?)")?
        .execute(params![repository, digest, subject, referrer])?;
    let Some(checkpoint) = record.checkpoint else { return Ok(()) };
    let summary = &checkpoint.detail.summary;
    db.prepare_cached("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![
            repository,
            digest,
            summary.created_at.as_microsecond(),
            summary.namespace,
            summary.pod,
            summary.container,
            summary.workload,
            checkpoint.lineage,
            checkpoint.recipe,
            i64::try_from(summary.logical_bytes).unwrap_or(i64::MAX),
            json(serde_json::to_string(summary))?,
        ])?;
    Ok(())
}

/// One row, if there is one.
pub(crate) fn first<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>> {
    Ok(db.prepare_cached(sql)?.query_row(params, read).optional()?)
}
