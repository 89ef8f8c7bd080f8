//! The stream event source: what was written to a table, in order, at least once.
//!
//! It waits for writes instead of polling. A batch that fails is halved until the bad record stands alone; that one is
//! tried again with growing pauses, then given up with an error in the log, so that it never blocks those behind it. How
//! far it got is kept in a file of the data folder; after a kill it goes on from there.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::invoke::{InvokeError, Runner};
use crate::stack::{Table, TableError, folder};

/// Records in a batch, at most, as this host reads them.
const BATCH_MAX: usize = 100;

/// Writes that came past the connector (through the table's own socket) are found after at most this.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause between two tries of one record.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Consumed records are deleted when so many have gathered.
const PRUNE_AFTER: usize = 500;

/// A table whose stream goes to a function.
#[derive(Clone, Debug)]
pub struct StreamSource {
    /// The table.
    pub table: String,
    /// The function.
    pub function: String,
    /// Records in a batch, 1 to 100.
    pub batch_size: usize,
    /// How long to gather records after the first write.
    pub batching_window: Duration,
    /// Tries of a record that stands alone, before it is given up.
    pub tries_max: u32,
    /// Pause after its first failure; each further one doubles it, to 30 s.
    pub retry_pause: Duration,
}

impl StreamSource {
    /// Batches of up to 100, gathered for 50 ms; 8 tries from half a second on.
    pub fn new(table: &str, function: &str) -> Self {
        Self {
            table: table.to_owned(),
            function: function.to_owned(),
            batch_size: BATCH_MAX,
            batching_window: Duration::from_millis(50),
            tries_max: 8,
            retry_pause: Duration::from_millis(500),
        }
    }
}

/// How far each function has read each table, so that only what all have read is pruned.
#[derive(Debug, Default)]
pub(super) struct Positions(Mutex<BTreeMap<String, BTreeMap<String, Option<String>>>>);

impl Positions {
    pub(super) fn set(&self, source: &StreamSource, after: Option<String>) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.entry(source.table.clone()).or_default().insert(source.function.clone(), after);
    }

    /// The sequence number that all consumers of a table have passed. Numbers have one width, so text compares them.
    fn consumed(&self, table: &str) -> Option<String> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.get(table)?.values().min().cloned().flatten()
    }
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Stored {
    after: Option<String>,
}

/// A consumer of one stream.
#[derive(Debug)]
pub(super) struct Consumer {
    source: StreamSource,
    table: Table,
    runner: Arc<Runner>,
    stop: CancellationToken,
    positions: Arc<Positions>,
    file: PathBuf,
    after: Option<String>,
    unpruned: usize,
}

impl Consumer {
    /// Reads how far it had got.
    pub(super) fn open(
        source: StreamSource,
        table: Table,
        runner: Arc<Runner>,
        positions: Arc<Positions>,
        folder: &std::path::Path,
    ) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join(format!("{}-{}.json", source.table, source.function));
        let after = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice::<Stored>(&text)?.after,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        positions.set(&source, after.clone());
        let stop = runner.stop.clone();
        Ok(Self { source, table, runner, stop, positions, file, after, unpruned: 0 })
    }

    /// Reads until the host stops.
    pub(super) async fn run(mut self) {
        let mut writes = self.table.writes();
        loop {
            writes.mark_unchanged();
            match self.pass().await {
                Ok(0) => tokio::select! {
                    () = self.stop.cancelled() => return,
                    _ = tokio::time::timeout(LOOK_PAUSE, writes.changed()) => {}
                },
                Ok(_) => self.prune().await,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn Error,
                        table = self.source.table,
                        "the stream can't be read"
                    );
                    self.pause(RETRY_PAUSE_MAX).await;
                }
            }
            if self.stop.is_cancelled() {
                return;
            }
            self.pause(self.source.batching_window).await;
        }
    }

    /// Delivers one page; returns how many records it had.
    async fn pass(&mut self) -> Result<usize, TableError> {
        let limit = self.source.batch_size.clamp(1, BATCH_MAX);
        let page = self.table.stream_page(&self.source.table, self.after.as_deref(), limit).await?;
        let count = page.records.len();
        let records = page.records.into_iter().map(|mut record| {
            record["eventSourceARN"] = page.stream_arn.as_str().into();
            record
        });
        self.deliver(records.collect()).await;
        self.unpruned += count;
        Ok(count)
    }

    /// Delivers records in order, halving what fails. Ends early, with the rest undelivered, when the host stops.
    async fn deliver(&mut self, records: Vec<Value>) {
        let mut waiting = vec![records];
        let mut tries = 0;
        while let Some(mut batch) = waiting.pop().filter(|_| !self.stop.is_cancelled()) {
            if batch.is_empty() {
                continue;
            }
            let good = match self.invoke(&batch).await {
                Ok(good) => good,
                Err(InvokeError::Stopping) => return,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, records = batch.len(), "stream records failed");
                    0
                }
            };
            let rest = batch.split_off(good);
            self.advance(batch.last());
            match rest.len() {
                0 => tries = 0,
                1 => {
                    tries += 1;
                    if tries < self.source.tries_max {
                        waiting.push(rest);
                        self.pause(self.source.retry_pause * 2_u32.saturating_pow(tries - 1)).await;
                    } else {
                        tracing::error!(record = %sequence(&rest[0]), "a stream record is given up");
                        self.advance(rest.last());
                        tries = 0;
                    }
                }
                count => {
                    let mut first = rest;
                    let second = first.split_off(count.div_ceil(2));
                    waiting.extend([second, first]);
                }
            }
        }
    }

    /// How many records from the first on were handled.
    async fn invoke(&self, batch: &[Value]) -> Result<usize, InvokeError> {
        let event = json!({"Records": batch}).to_string();
        let answer = self.runner.invoke(&self.source.function, event.into()).await?;
        let answer: Value = serde_json::from_slice(&answer).map_err(InvokeError::Json)?;
        let failures = answer.get("batchItemFailures").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        // Whatever comes after the first failure is delivered again.
        let first_failed = failures
            .iter()
            .map(|failure| batch.iter().position(|record| *sequence(record) == failure["itemIdentifier"]).unwrap_or(0));
        Ok(first_failed.min().unwrap_or(batch.len()))
    }

    fn advance(&mut self, record: Option<&Value>) {
        let Some(after) = record.and_then(|record| sequence(record).as_str()) else { return };
        self.after = Some(after.to_owned());
        self.positions.set(&self.source, self.after.clone());
        let stored = serde_json::to_vec(&Stored { after: self.after.clone() });
        if let Err(error) = stored.map_err(Into::into).and_then(|stored| folder::replace(&self.file, &stored)) {
            tracing::warn!(%error, "after a restart these stream records come again");
        }
    }

    async fn prune(&mut self) {
        if self.unpruned < PRUNE_AFTER {
            return;
        }
        self.unpruned = 0;
        if let Some(through) = self.positions.consumed(&self.source.table)
            && let Err(error) = self.table.prune_consumed(&self.source.table, &through).await
        {
            tracing::warn!(error = &error as &dyn Error, "consumed stream records stay for now");
        }
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause.min(RETRY_PAUSE_MAX)) => {}
            () = self.stop.cancelled() => {}
        }
    }
}

fn sequence(record: &Value) -> &Value {
    &record["dynamodb"]["SequenceNumber"]
}
