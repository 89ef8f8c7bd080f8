//! A second connection to the table's file, for what the library doesn't do with its stream's records.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, params};

/// Records deleted in one transaction, so that no request waits long behind it.
const PRUNE_BATCH: usize = 500;

/// How long to wait for a request that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the library adds to its own numbers to make them 21 digits long.
const SEQUENCE_OFFSET: u128 = 100_000_000_000_000_000_000;

/// Without this index, each write scans all records of its table to find the next sequence number.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS _stream_records_by_sequence
    ON _stream_records(table_name, CAST(sequence_number AS INTEGER))";

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;")?;
    connection.execute_batch(INDEX)?;
    Ok(connection)
}

pub(super) fn prune_consumed(connection: &Mutex<Connection>, table: &str, through: &str) -> rusqlite::Result<usize> {
    let Some(through) = stored_sequence(through) else {
        return Ok(0);
    };
    in_batches(connection, |connection| {
        connection
            .prepare_cached(
                "DELETE FROM _stream_records WHERE id IN (
                    SELECT id FROM _stream_records
                    WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) <= ?2
                      AND CAST(sequence_number AS INTEGER) < (
                        SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = ?1)
                    LIMIT ?3)",
            )?
            .execute(params![table, through, PRUNE_BATCH])
    })
}

pub(super) fn prune_older(connection: &Mutex<Connection>, before_ms: u64) -> rusqlite::Result<usize> {
    let oldest = i64::try_from(before_ms / 1_000).unwrap_or(i64::MAX);
    in_batches(connection, |connection| {
        connection
            .prepare_cached(
                "DELETE FROM _stream_records WHERE id IN (
                    SELECT id FROM _stream_records AS old
                    WHERE created_at < ?1 AND id < (
                        SELECT MAX(id) FROM _stream_records AS newest WHERE newest.table_name = old.table_name)
                    LIMIT ?2)",
            )?
            .execute(params![oldest, PRUNE_BATCH])
    })
}

/// Repeats `step` until it finds less than a whole batch; the file is free for others between two.
fn in_batches(
    connection: &Mutex<Connection>,
    step: impl Fn(&Connection) -> rusqlite::Result<usize>,
) -> rusqlite::Result<usize> {
    let mut pruned = 0;
    loop {
        let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = step(&connection)?;
        pruned += batch;
        if batch < PRUNE_BATCH {
            return Ok(pruned);
        }
    }
}

/// The library's own number behind a public, 21-digit one.
fn stored_sequence(public: &str) -> Option<i64> {
    i64::try_from(public.parse::<u128>().ok()?.checked_sub(SEQUENCE_OFFSET)?).ok()
}
