//! The table: `DynamoDB`'s API over one `SQLite` file, by the `dynoxide` library.
//!
//! Three things are added to the library. A connector hands the SDK's requests to it inside the process. An expression
//! index on the stream's records keeps a write's cost constant, where the library would scan every record it ever made.
//! And the records are pruned, once consumed or after a day.
//!
//! What it doesn't do, unlike AWS: reads are always strong, writes are serialised, so that throttles, transaction
//! conflicts and index lag never happen by themselves. There is no signature check: whoever serves it on a socket serves
//! it to every user of the machine.

mod dispatch;
mod upkeep;

use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::{Database, DynoxideError};
use serde_json::Value;
use tokio::sync::watch;

use super::wire;

/// What a finished write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process at any instant (`kill -9`), not a power cut: the last writes before one may be missing,
    /// the file stays sound. No write waits for the disk.
    #[default]
    Process,
    /// A power cut, too: each write waits until the disk has it. On a disk that syncs in 1.4 ms this is a few hundred
    /// writes a second, for all callers together.
    Power,
}

/// An error of the table that is no answer to a request.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The library refused; trying again helps only if the disk was full or the file locked.
    #[error("the table's file can't be used")]
    Database(#[source] DynoxideError),
    /// The same, found by the connection that tends the stream's records.
    #[error("the table's stream records can't be tended")]
    Records(#[source] rusqlite::Error),
    /// A path that isn't text can't be opened.
    #[error("the table's path is not valid unicode")]
    Path,
    /// The table has no stream, so it has no records.
    #[error("table {0} has no stream")]
    NoStream(String),
    /// A record can't be written as JSON; a bug.
    #[error("a stream record can't be written as JSON")]
    Record(#[source] serde_json::Error),
    /// The thread that did the work is gone; a bug.
    #[error("the table's worker ended")]
    Worker(#[source] tokio::task::JoinError),
}

/// A handle on the embedded tables. Clones share one database.
#[derive(Clone)]
pub struct Table {
    database: Database,
    records: Arc<Mutex<rusqlite::Connection>>,
    durability: Durability,
    writes: watch::Sender<u64>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Table").field("durability", &self.durability).finish_non_exhaustive()
    }
}

/// Some records of a table's stream, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamPage {
    /// The records as a Lambda event carries them, without `eventSourceARN`.
    pub records: Vec<Value>,
    /// The stream's ARN.
    pub stream_arn: String,
}

impl Table {
    /// Opens the file, making it if there is none.
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self, TableError> {
        let text = path.to_str().ok_or(TableError::Path)?;
        let database = Database::new(text).map_err(TableError::Database)?;
        if durability == Durability::Process {
            // Its name is about imports; what it sets is `synchronous = NORMAL`.
            database.disable_bulk_loading().map_err(TableError::Database)?;
        }
        let records = upkeep::connect(path).map_err(TableError::Records)?;
        Ok(Self { database, records: Arc::new(Mutex::new(records)), durability, writes: watch::Sender::new(0) })
    }

    /// Changes with each write that came through the connector, and with each sweep that deleted something. A reader of
    /// the stream waits on it instead of polling.
    pub fn writes(&self) -> watch::Receiver<u64> {
        self.writes.subscribe()
    }

    /// Deletes what expired by the tables' time-to-live attributes; returns how many items. Safe to repeat.
    pub async fn sweep_expired(&self) -> Result<usize, TableError> {
        let database = self.database.clone();
        let swept = blocking(move || database.sweep_ttl().map_err(TableError::Database)).await?;
        if swept > 0 {
            self.note_write();
        }
        Ok(swept)
    }

    /// Up to `limit` (at most 1,000) records of `table`'s stream that come after the sequence number `after`, from the
    /// oldest kept if there is none.
    pub async fn stream_page(&self, table: &str, after: Option<&str>, limit: usize) -> Result<StreamPage, TableError> {
        let (database, table, after) = (self.database.clone(), table.to_owned(), after.map(ToOwned::to_owned));
        blocking(move || read_page(&database, &table, after, limit)).await
    }

    /// Deletes the records of `table`'s stream up to and with the sequence number `through`; returns how many. The newest
    /// record stays, so that numbers never go back. Safe to repeat.
    pub async fn prune_consumed(&self, table: &str, through: &str) -> Result<usize, TableError> {
        let (records, table, through) = (Arc::clone(&self.records), table.to_owned(), through.to_owned());
        blocking(move || upkeep::prune_consumed(&records, &table, &through).map_err(TableError::Records)).await
    }

    /// Deletes the records of all streams that were made before `before_ms` (Unix milliseconds), as AWS does after a day;
    /// returns how many. Safe to repeat.
    pub async fn prune_older(&self, before_ms: u64) -> Result<usize, TableError> {
        let records = Arc::clone(&self.records);
        blocking(move || upkeep::prune_older(&records, before_ms).map_err(TableError::Records)).await
    }

    /// The library's own server on a listener, without our connector: contracts run against both.
    pub(super) async fn serve_apart(
        &self,
        listener: tokio::net::TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), String> {
        dynoxide::server::serve_with_shutdown(listener, self.database.clone(), stop).await
    }

    fn note_write(&self) {
        self.writes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn answer(&self, operation: &str, body: &[u8]) -> Result<HttpResponse, ConnectorError> {
        let answer = dispatch::answer(&self.database, operation, body);
        if dispatch::writes(operation) {
            self.note_write();
        }
        wire::json_answer(answer.status, answer.body)
    }
}

impl HttpConnector for Table {
    /// Answers on the caller's own thread when no write waits for the disk: a call takes about as long as handing it to
    /// another thread and back would. With [`Durability::Power`] it goes to a thread that may block.
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(operation) = wire::operation(&request).map(ToOwned::to_owned) else {
            return HttpConnectorFuture::ready(wire::json_answer(400, dispatch::UNKNOWN_OPERATION.to_owned()));
        };
        if let (Durability::Process, Some(body)) = (self.durability, request.body().bytes()) {
            return HttpConnectorFuture::ready(self.answer(&operation, body));
        }
        let table = self.clone();
        HttpConnectorFuture::new(async move {
            let body = wire::body_of(request).await?;
            tokio::task::spawn_blocking(move || table.answer(&operation, &body))
                .await
                .map_err(|error| ConnectorError::other(Box::new(error), None))?
        })
    }
}

fn read_page(database: &Database, table: &str, after: Option<String>, limit: usize) -> Result<StreamPage, TableError> {
    let metadata = database.get_table_metadata(table).map_err(TableError::Database)?;
    let label = metadata.filter(|metadata| metadata.stream_enabled).and_then(|metadata| metadata.stream_label);
    let label = label.ok_or_else(|| TableError::NoStream(table.to_owned()))?;
    let stream_arn = dynoxide::streams::stream_arn(table, &label);
    let kind = if after.is_some() { "AFTER_SEQUENCE_NUMBER" } else { "TRIM_HORIZON" };
    let iterator = database
        .get_shard_iterator(GetShardIteratorRequest {
            stream_arn: stream_arn.clone(),
            shard_id: dynoxide::streams::shard_id(table),
            shard_iterator_type: kind.to_owned(),
            sequence_number: after,
        })
        .map_err(TableError::Database)?;
    let request = GetRecordsRequest { shard_iterator: iterator.shard_iterator.unwrap_or_default(), limit: Some(limit) };
    let page = database.get_records(request).map_err(TableError::Database)?;
    let records: Result<Vec<Value>, _> = page.records.iter().map(serde_json::to_value).collect();
    Ok(StreamPage { records: records.map_err(TableError::Record)?, stream_arn })
}

async fn blocking<T, F>(work: F) -> Result<T, TableError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, TableError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(TableError::Worker)?
}
