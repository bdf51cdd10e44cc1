//! The view: a local database that follows the truth.
//!
//! Before a record is written its key goes into `intents`; afterwards the record is read back and
//! applied, and the intent removed, in one transaction. So after a crash the intents name all that
//! the view may have missed, and a start reads those, not the whole store. Each writer has an intent
//! of its own: what one has applied says nothing of what another is about to write.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use rusqlite::{Connection, OptionalExtension};

use crate::Result;
use crate::error::CatalogError;
use crate::keys::Name;
use crate::record::{ManifestRecord, TagRecord};
use crate::rows::{SCHEMA, apply_manifest, apply_tag};

/// Version of the tables: another one is made anew.
const SCHEMA_VERSION: i64 = 5;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Where whoever sent some work waits for what came of it.
type Answer<T> = tokio::sync::oneshot::Sender<Result<T>>;

/// The view. Its database belongs to one thread, to which work is sent.
#[derive(Debug)]
pub(crate) struct View {
    worker: Worker,
    refreshes: Arc<Mutex<Refreshes>>,
}

/// The thread that has the database, and what it is sent; or a database in memory.
#[derive(Debug)]
struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
    memory: Option<Mutex<Connection>>,
}

impl Worker {
    fn of(mut connection: Connection) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("view".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job(&mut connection)))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), memory: None })
    }

    /// Does each job at once, where it is sent from.
    fn inline(connection: Connection) -> Self {
        Self { jobs: None, thread: None, memory: Some(Mutex::new(connection)) }
    }

    fn send(&self, job: Job) -> Option<()> {
        if let Some(db) = &self.memory {
            job(&mut db.lock().unwrap_or_else(PoisonError::into_inner));
            return Some(());
        }
        self.jobs.as_ref()?.send(job).ok()
    }
}

impl Drop for Worker {
    /// Waits until the database is closed: closing removes files by name, and whoever opens it anew
    /// has files of that name.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A note that a record is about to change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intent(i64);

/// Refreshes that are under way. They are numbered before they read the truth, and one that comes
/// after a later one changes nothing: what that one read is at least as new as any write whose own
/// refresh has a smaller number.
#[derive(Debug, Default)]
struct Refreshes {
    last: u64,
    keys: HashMap<String, UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    count: usize,
    applied: u64,
}

/// One refresh of one record.
#[derive(Debug)]
pub(crate) struct Refresh {
    key: String,
    number: u64,
    all: Arc<Mutex<Refreshes>>,
}

impl Refresh {
    /// Whether no later one was first; from now on, earlier ones are too late.
    fn is_newest(&self) -> bool {
        let mut all = lock(&self.all);
        let Some(key) = all.keys.get_mut(&self.key) else { return true };
        let newest = key.applied < self.number;
        key.applied = key.applied.max(self.number);
        newest
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        if let Some(key) = all.keys.get_mut(&self.key) {
            key.count -= 1;
            if key.count == 0 {
                all.keys.remove(&self.key);
            }
        }
    }
}

fn lock(refreshes: &Mutex<Refreshes>) -> MutexGuard<'_, Refreshes> {
    refreshes.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (connection, fresh) = opened.map_err(|e| CatalogError::Internal(e.to_string()))??;
        let worker = Worker::of(connection).map_err(|e| CatalogError::Internal(e.to_string()))?;
        Ok((Self { worker, refreshes: Arc::default() }, fresh))
    }

    /// A new view that is gone with this process.
    pub(crate) fn in_memory() -> Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { worker: Worker::inline(connection), refreshes: Arc::default() })
    }

    /// Runs work on the database, on its thread if it has one.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        self.send(work, |_| true).await
    }

    /// Asks the database something. If whoever asked has gone when its turn comes, it is not asked.
    pub(crate) async fn ask<T, F>(&self, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        self.send(question, |answer| !answer.is_closed()).await
    }

    async fn send<T, F>(&self, work: F, is_wanted: fn(&Answer<T>) -> bool) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        let gone = || CatalogError::Internal("the view's thread has ended".to_owned());
        let (answer, result) = tokio::sync::oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if !is_wanted(&answer) {
                return;
            }
            let result = work(connection);
            if result.as_ref().is_err_and(is_damage) {
                // The next start makes it anew.
                let _ = connection.pragma_update(None, "user_version", 0);
            }
            let _ = answer.send(result);
        });
        self.worker.send(job).ok_or_else(gone)?;
        result.await.map_err(|_| gone())?
    }

    /// Notes that a record is about to change.
    pub(crate) async fn intend(&self, key: &str) -> Result<Intent> {
        let key = key.to_owned();
        self.run(move |db| {
            db.prepare_cached("INSERT INTO intents (key) VALUES (?)")?.execute([key])?;
            Ok(Intent(db.last_insert_rowid()))
        })
        .await
    }

    /// Begins a refresh: before the truth is read.
    pub(crate) fn refresh(&self, key: &str) -> Refresh {
        let mut all = lock(&self.refreshes);
        all.last += 1;
        all.keys.entry(key.to_owned()).or_default().count += 1;
        Refresh { key: key.to_owned(), number: all.last, all: Arc::clone(&self.refreshes) }
    }

    /// Records that were about to change when the process ended.
    pub(crate) async fn intents(&self) -> Result<Vec<(Intent, String)>> {
        self.run(|db| {
            let mut all = db.prepare("SELECT id, key FROM intents")?;
            let rows = all.query_map([], |row| Ok((Intent(row.get(0)?), row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Applies what a record said when it was read for this refresh.
    pub(crate) async fn apply(
        &self,
        refresh: Refresh,
        intent: Option<Intent>,
        change: Change,
    ) -> Result<()> {
        self.run(move |db| {
            let transaction = db.transaction()?;
            match change {
                _ if !refresh.is_newest() => {}
                Change::Manifest { name: Name::Manifest { repository, digest }, record } => {
                    apply_manifest(&transaction, &repository, digest.as_ref(), *record)?;
                }
                Change::Tag { name: Name::Tag { repository, tag }, record } => {
                    apply_tag(&transaction, &repository, &tag, record)?;
                }
                _ => {}
            }
            if let Some(Intent(id)) = intent {
                transaction.prepare_cached("DELETE FROM intents WHERE id = ?")?.execute([id])?;
            }
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    /// Notes that a repository holds a blob, or no longer. A hint, which nobody waits for and a power
    /// cut may take: whoever finds a blob by it reads the truth.
    pub(crate) fn note_blob(&self, repository: &str, digest: &str, held: bool) {
        let (repository, digest) = (repository.to_owned(), digest.to_owned());
        let job: Job = Box::new(move |db| {
            // Without a hint a client sends the blob again, and nothing else.
            let _ = note_blob(db, &repository, &digest, held);
        });
        // Without its thread the view answers nothing, and says so to those who ask.
        let _ = self.worker.send(job);
    }

    /// Notes that the view holds all that the truth does.
    pub(crate) async fn complete(&self) -> Result<()> {
        self.run(|db| {
            db.pragma_update(None, "synchronous", "full")?;
            // From the log into the file, which is then on the disk before it is said to be complete.
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            Ok(db.pragma_update(None, "user_version", SCHEMA_VERSION)?)
        })
        .await
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
    // While it is filled there is nothing to lose: one that is not complete is made anew.
    connection.pragma_update(None, "synchronous", "off")?;
    Ok((connection, true))
}

fn is_damage(error: &CatalogError) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let CatalogError::View(error) = error else { return false };
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // An intent must be on the disk before the record is: it is what a power cut leaves to go by.
    connection.pragma_update(None, "synchronous", "full")?;
    Ok(connection)
}

fn note_blob(db: &Connection, repository: &str, digest: &str, held: bool) -> rusqlite::Result<()> {
    let sql = match held {
        true => "INSERT OR IGNORE INTO blobs VALUES (?, ?)",
        false => "DELETE FROM blobs WHERE digest = ? AND repository = ?",
    };
    // A hint is not worth a sync; what comes after it is, so this is put back at once.
    db.pragma_update(None, "synchronous", "normal")?;
    let noted = db.prepare_cached(sql)?.execute([digest, repository]);
    db.pragma_update(None, "synchronous", "full")?;
    noted.map(drop)
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use jiff::Timestamp;

    use super::*;

    fn change(digest: u8) -> Change {
        let digest = format!("sha256:{digest:064x}").parse().unwrap();
        let record = TagRecord { digest, updated_at: Timestamp::now(), checkpoint_time: None };
        let name = Name::Tag { repository: "r".into(), tag: "t".into() };
        Change::Tag { name, record: Some(record) }
    }

    #[tokio::test]
    async fn a_refresh_that_comes_late_changes_nothing_and_forgets_only_its_own_intent() {
        let folder = tempfile::tempdir().unwrap();
        let (view, _) = View::open(folder.path().join("view.sqlite")).await.unwrap();
        let (first, second) = (view.intend("t").await.unwrap(), view.intend("t").await.unwrap());
        let (older, newer) = (view.refresh("t"), view.refresh("t"));
        view.apply(newer, Some(second), change(2)).await.unwrap();
        assert_eq!(view.intents().await.unwrap().len(), 1);
        view.apply(older, Some(first), change(1)).await.unwrap();
        let digest: Option<String> =
            view.run(|db| first_column(db, "SELECT digest FROM tags")).await.unwrap();
        assert!(digest.unwrap().ends_with('2'));
        assert!(view.intents().await.unwrap().is_empty());
        assert!(lock(&view.refreshes).keys.is_empty());
    }

    #[tokio::test]
    async fn a_question_of_somebody_who_has_gone_is_not_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (view, _) = View::open(folder.path().join("view.sqlite")).await.unwrap();
        let (free, busy) = mpsc::channel::<()>();
        let asked = Arc::new(AtomicBool::new(false));
        let held = view.run(move |_| Ok(busy.recv().is_ok()));
        let question = async {
            let asked = Arc::clone(&asked);
            let ask = view.ask(move |_| Ok(asked.swap(true, Ordering::SeqCst)));
            let soon = tokio::time::timeout(std::time::Duration::from_millis(20), ask).await;
            assert!(soon.is_err());
            free.send(()).unwrap();
        };
        let (held, ()) = tokio::join!(held, question);
        assert!(held.unwrap());
        assert_eq!(view.ask(|_| Ok(1)).await.unwrap(), 1);
        assert!(!asked.load(Ordering::SeqCst));
    }

    fn first_column(db: &Connection, sql: &str) -> Result<Option<String>> {
        first(db, sql, [], |row| row.get(0))
    }
}
