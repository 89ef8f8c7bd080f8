//! The whole embedded stack: the adapters over the connectors that `convoke` itself runs on.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_smithy_async::time::StaticTimeSource;
use bytes::Bytes;
use convoke::stack::clock::SteppedClock;
use convoke::stack::{Clients, Stack, StackOptions};
use convoke_app::ports::{Bell, PresignedUrl};
use convoke_aws::{DynamoTable, S3Blobs, SqsBells, table_definition};
use tempfile::TempDir;

use crate::contracts::{Opens, Receives};
use crate::fakes::Lane;
use crate::samples::NOW_MS;

const TABLE: &str = "convoke";
const BUCKET: &str = "convoke";

/// A stack of its own, gone when dropped.
pub struct EmbeddedStack {
    /// The table's adapter.
    pub table: DynamoTable,
    /// The queues' adapter.
    pub bells: SqsBells,
    /// The bucket's adapter.
    pub blobs: S3Blobs,
    clients: Clients,
    queue_urls: [String; 2],
    clock: SteppedClock,
    // Stopped before its folder goes.
    _stack: Stack,
    _folder: TempDir,
}

impl fmt::Debug for EmbeddedStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmbeddedStack")
    }
}

impl EmbeddedStack {
    /// Starts the stack and makes table, queues and bucket.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = SteppedClock::new(NOW_MS);
        let mut options = StackOptions::new(folder.path());
        options.clock = std::sync::Arc::new(clock.clone());
        let stack = Stack::start(options).await.expect("a stack");
        let clients = stack.clients();
        table_definition(TABLE).send_with(&clients.dynamodb).await.expect("a new table");
        clients.s3.create_bucket().bucket(BUCKET).send().await.expect("a new bucket");
        let queue_urls = [queue(&clients, "steps").await, queue(&clients, "solo").await];
        let [steps, solo] = &queue_urls;
        Self {
            table: DynamoTable::new(clients.dynamodb.clone(), TABLE, 1),
            bells: SqsBells::new(clients.sqs.clone(), steps, solo, 2),
            blobs: S3Blobs::new(clients.s3.clone(), clients.s3.clone(), BUCKET),
            clients,
            queue_urls,
            clock,
            _stack: stack,
            _folder: folder,
        }
    }

    /// The same bucket, with URLs that are signed as if it were so long ago.
    pub fn blobs_signed_ago(&self, ago: Duration) -> S3Blobs {
        let then = StaticTimeSource::new(SystemTime::now() - ago);
        let presign = aws_sdk_s3::Client::from_conf(self.clients.s3.config().to_builder().time_source(then).build());
        S3Blobs::new(self.clients.s3.clone(), presign, BUCKET)
    }
}

async fn queue(clients: &Clients, name: &str) -> String {
    let made = clients.sqs.create_queue().queue_name(name).send().await.expect("a new queue");
    made.queue_url.expect("its url")
}

#[async_trait]
impl Receives for EmbeddedStack {
    async fn receive(&self, lane: Lane) -> Vec<Bell> {
        let [steps, solo] = &self.queue_urls;
        let url = if lane == Lane::Steps { steps } else { solo };
        let receive = self.clients.sqs.receive_message().queue_url(url).max_number_of_messages(10);
        let messages = receive.send().await.expect("up").messages.unwrap_or_default();
        let bell = |body: Option<String>| serde_json::from_str(&body.expect("a body")).expect("a bell");
        messages.into_iter().map(|message| bell(message.body)).collect()
    }

    fn wind(&self, ms: u64) {
        self.clock.step(Duration::from_millis(ms));
    }
}

#[async_trait]
impl Opens for EmbeddedStack {
    async fn open(&self, url: &PresignedUrl) -> Option<(Bytes, String)> {
        let answer = reqwest::get(&url.url).await.expect("an answer");
        if !answer.status().is_success() {
            return None;
        }
        let media_type = answer.headers()["content-type"].to_str().expect("ascii").to_owned();
        Some((answer.bytes().await.expect("a body"), media_type))
    }
}
