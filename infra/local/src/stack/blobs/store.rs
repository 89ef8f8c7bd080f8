//! Where the objects are: one `SQLite` file that describes them all and holds the bytes of small ones; large ones are a
//! file each. A put is one transaction, so that it is in place whole or not at all, conditions included.
//!
//! A large object's file is called by its row's number, which is never used again, and put in its place before the
//! transaction ends: what a crash leaves is a file without a row, which the next start throws away.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::stack::table::Durability;

/// Objects of up to this many bytes are kept in the `SQLite` file: a file of their own would take longer to make, and a
/// block of the disk at least.
pub(super) const INLINE_BYTES: usize = 64 * 1_024;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS buckets(name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS objects(
        id INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, key TEXT NOT NULL, description TEXT NOT NULL, bytes BLOB,
        UNIQUE (bucket, key));";

/// What is known of an object besides its key and bytes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Description {
    #[serde(skip)]
    pub key: String,
    pub size: u64,
    pub etag: String,
    pub modified_ms: u64,
    /// Checksums by algorithm (`SHA256`, `CRC32`, ...), in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checksums: BTreeMap<String, String>,
    /// `content-type` and the like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `x-amz-meta-*`, without that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
}

/// An object's bytes.
#[derive(Debug)]
pub(super) enum Content {
    Inline(Bytes),
    /// Open at its first byte.
    Large(File),
}

/// An object's bytes, taken in.
#[derive(Debug)]
pub(super) enum Taken {
    Inline(Vec<u8>),
    /// A whole file under [`Store::incoming`].
    Large(PathBuf, File),
}

/// What must hold of the object that is there when another is put in its place.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Always,
    Absent,
    Etag(String),
    Present,
}

/// A put that was refused by its condition.
#[derive(Debug)]
pub(super) struct Unmet;

#[derive(Debug)]
pub(super) struct Store {
    connection: Mutex<Connection>,
    incoming: PathBuf,
    large: PathBuf,
    durability: Durability,
    uploads: AtomicU64,
}

impl Store {
    /// Makes the folder if there is none, and throws away what an earlier process had not finished.
    pub(super) fn open(root: &Path, durability: Durability) -> io::Result<Self> {
        let (incoming, large) = (root.join("incoming"), root.join("large"));
        match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&incoming)?;
        fs::create_dir_all(&large)?;
        let connection = connect(&root.join("objects.sqlite"), durability).map_err(io::Error::other)?;
        let store =
            Self { connection: Mutex::new(connection), incoming, large, durability, uploads: AtomicU64::new(0) };
        store.remove_orphans()?;
        Ok(store)
    }

    /// Whether a write waits for the disk, so that it belongs on a thread that may block.
    pub(super) fn waits(&self) -> bool {
        self.durability == Durability::Power
    }

    /// Makes a bucket; `false` if it is there.
    pub(super) fn make_bucket(&self, name: &str) -> io::Result<bool> {
        let made = "INSERT OR IGNORE INTO buckets(name) VALUES (?1)";
        self.with(|connection| Ok(connection.prepare_cached(made)?.execute([name])? > 0))
    }

    pub(super) fn has_bucket(&self, name: &str) -> io::Result<bool> {
        self.with(|connection| connection.prepare_cached("SELECT 1 FROM buckets WHERE name = ?1")?.exists([name]))
    }

    /// The names of all buckets, in order.
    pub(super) fn buckets(&self) -> io::Result<Vec<String>> {
        self.with(|connection| {
            connection
                .prepare_cached("SELECT name FROM buckets ORDER BY name")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
    }

    /// Removes an empty bucket; `false` if something is in it.
    pub(super) fn remove_bucket(&self, name: &str) -> io::Result<bool> {
        let removed = "DELETE FROM buckets WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM objects WHERE bucket = ?1)";
        self.with(|connection| Ok(connection.prepare_cached(removed)?.execute([name])? > 0))
    }

    /// A path of its own for an upload that is too large to be held in memory.
    pub(super) fn incoming(&self) -> PathBuf {
        self.incoming.join(self.uploads.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Puts an object in place. The outer error is the disk's; what was taken in is gone in any case.
    pub(super) fn put(
        &self,
        bucket: &str,
        description: &Description,
        taken: Taken,
        condition: &Condition,
    ) -> io::Result<Result<(), Unmet>> {
        let upload = match &taken {
            Taken::Inline(_) => None,
            Taken::Large(path, _) => Some(path.clone()),
        };
        let put = self.replace(bucket, description, taken, condition);
        match upload {
            Some(path) if !matches!(put, Ok(Ok(()))) => fs::remove_file(path).and(put),
            _ => put,
        }
    }

    fn replace(
        &self,
        bucket: &str,
        description: &Description,
        taken: Taken,
        condition: &Condition,
    ) -> io::Result<Result<(), Unmet>> {
        if let (Taken::Large(_, file), Durability::Power) = (&taken, self.durability) {
            file.sync_all()?;
        }
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(io::Error::other)?;
        let found = row_of(&transaction, bucket, &description.key)?;
        if !met(condition, found.as_ref()) {
            return Ok(Err(Unmet));
        }
        if let Some(row) = &found {
            delete(&transaction, row.id)?;
        }
        self.insert(&transaction, bucket, description, taken)?;
        transaction.commit().map_err(io::Error::other)?;
        self.remove_file(found)?;
        Ok(Ok(()))
    }

    /// An object's bytes and description.
    pub(super) fn read(&self, bucket: &str, key: &str) -> io::Result<Option<(Content, Description)>> {
        let connection = self.lock();
        let Some(row) = row_of(&connection, bucket, key)? else {
            return Ok(None);
        };
        let bytes = "SELECT bytes FROM objects WHERE id = ?1";
        let content = if row.inline {
            let bytes: Vec<u8> = connection
                .prepare_cached(bytes)
                .and_then(|mut statement| statement.query_row([row.id], |row| row.get(0)))
                .map_err(io::Error::other)?;
            Content::Inline(bytes.into())
        } else {
            Content::Large(File::open(self.large.join(row.id.to_string()))?)
        };
        Ok(Some((content, row.description)))
    }

    /// An object's description.
    pub(super) fn describe(&self, bucket: &str, key: &str) -> io::Result<Option<Description>> {
        Ok(row_of(&self.lock(), bucket, key)?.map(|row| row.description))
    }

    /// Removes an object; nothing happens if there is none.
    pub(super) fn remove(&self, bucket: &str, key: &str) -> io::Result<()> {
        let connection = self.lock();
        let found = row_of(&connection, bucket, key)?;
        if let Some(row) = &found {
            delete(&connection, row.id)?;
        }
        self.remove_file(found)
    }

    /// The descriptions of all objects whose key starts with `prefix`, in order of their keys.
    pub(super) fn list(&self, bucket: &str, prefix: &str) -> io::Result<Vec<Description>> {
        let connection = self.lock();
        let listed = "SELECT key, description FROM objects WHERE bucket = ?1 AND key >= ?2 ORDER BY key";
        let mut statement = connection.prepare_cached(listed).map_err(io::Error::other)?;
        let mut rows = statement.query(params![bucket, prefix]).map_err(io::Error::other)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(io::Error::other)? {
            let (key, text): (String, String) =
                row.get(0).and_then(|key| Ok((key, row.get(1)?))).map_err(io::Error::other)?;
            if !key.starts_with(prefix) {
                break;
            }
            found.push(described(key, &text)?);
        }
        Ok(found)
    }

    fn insert(&self, connection: &Connection, bucket: &str, of: &Description, taken: Taken) -> io::Result<()> {
        let (bytes, upload) = match taken {
            Taken::Inline(bytes) => (Some(bytes), None),
            Taken::Large(path, _) => (None, Some(path)),
        };
        let text = serde_json::to_string(of)?;
        connection
            .prepare_cached("INSERT INTO objects(bucket, key, description, bytes) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut insert| insert.execute(params![bucket, of.key, text, bytes]))
            .map_err(io::Error::other)?;
        let Some(upload) = upload else {
            return Ok(());
        };
        fs::rename(upload, self.large.join(connection.last_insert_rowid().to_string()))?;
        if self.waits() { File::open(&self.large)?.sync_all() } else { Ok(()) }
    }

    fn remove_file(&self, row: Option<Row>) -> io::Result<()> {
        match row {
            Some(row) if !row.inline => fs::remove_file(self.large.join(row.id.to_string())),
            _ => Ok(()),
        }
    }

    fn remove_orphans(&self) -> io::Result<()> {
        let connection = self.lock();
        let mut is_large =
            connection.prepare("SELECT 1 FROM objects WHERE id = ?1 AND bytes IS NULL").map_err(io::Error::other)?;
        for entry in fs::read_dir(&self.large)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse::<i64>().ok());
            if !is_large.exists([id]).map_err(io::Error::other)? {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> io::Result<T> {
        work(&self.lock()).map_err(io::Error::other)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object without its bytes.
struct Row {
    id: i64,
    inline: bool,
    description: Description,
}

fn connect(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA cache_size = -1024;")?;
    connection.execute_batch(match durability {
        Durability::Process => "PRAGMA synchronous = NORMAL;",
        Durability::Power => "PRAGMA synchronous = FULL;",
    })?;
    connection.execute_batch(TABLES)?;
    Ok(connection)
}

fn row_of(connection: &Connection, bucket: &str, key: &str) -> io::Result<Option<Row>> {
    let found = "SELECT id, description, bytes IS NOT NULL FROM objects WHERE bucket = ?1 AND key = ?2";
    let row: Option<(i64, String, bool)> = connection
        .prepare_cached(found)
        .and_then(|mut statement| {
            statement.query_row([bucket, key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })
        .map_err(io::Error::other)?;
    let Some((id, text, inline)) = row else {
        return Ok(None);
    };
    Ok(Some(Row { id, inline, description: described(key.to_owned(), &text)? }))
}

fn described(key: String, text: &str) -> io::Result<Description> {
    Ok(Description { key, ..serde_json::from_str(text)? })
}

fn delete(connection: &Connection, id: i64) -> io::Result<()> {
    let deleted = connection
        .prepare_cached("DELETE FROM objects WHERE id = ?1")
        .and_then(|mut statement| statement.execute([id]));
    deleted.map(|_| ()).map_err(io::Error::other)
}

fn met(condition: &Condition, found: Option<&Row>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Absent => found.is_none(),
        Condition::Present => found.is_some(),
        Condition::Etag(etag) => found.is_some_and(|row| row.description.etag == *etag),
    }
}
