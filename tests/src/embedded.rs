//! The real adapters on embedded services: the table alone over HTTP on a port of 127.0.0.1, and the whole stack.

mod stack;

pub use stack::EmbeddedStack;

use aws_credential_types::Credentials;
use aws_lambda_events::dynamodb::EventRecord;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_smithy_http_client::Builder;
use convoke_aws::{DynamoTable, table_definition};
use dynoxide::Database;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Name of the table.
const TABLE: &str = "convoke";

/// A table of its own, gone when dropped.
pub struct EmbeddedTable {
    /// The adapter.
    pub table: DynamoTable,
    /// A client of the same server.
    pub client: Client,
    database: Database,
    endpoint: String,
    server: JoinHandle<()>,
}

impl std::fmt::Debug for EmbeddedTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedTable").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl EmbeddedTable {
    /// Starts a server and makes the table.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound address"));
        let database = Database::memory().expect("an empty database");
        let serving = dynoxide::server::serve_with_shutdown(listener, database.clone(), std::future::pending());
        let server = tokio::spawn(async move { serving.await.expect("the server goes on until it is dropped") });
        let client = client(&endpoint, Builder::new().build_http());
        table_definition(TABLE).send_with(&client).await.expect("a new table");
        Self { table: DynamoTable::new(client.clone(), TABLE, 1), client, database, endpoint, server }
    }

    /// The same table through another transport.
    pub fn through(&self, http: SharedHttpClient) -> DynamoTable {
        DynamoTable::new(client(&self.endpoint, http), TABLE, 2)
    }

    /// All records of the table's stream so far, as a function gets them.
    pub fn stream(&self) -> Vec<EventRecord> {
        let ask = json!({"TableName": TABLE});
        let streams = self.database.list_streams(parsed(ask)).expect("streams");
        let arn = &streams.streams.first().expect("a stream").stream_arn;
        let stream = self.database.describe_stream(parsed(json!({"StreamArn": arn}))).expect("the stream");
        let mut records = Vec::new();
        for shard in &stream.stream_description.shards {
            let ask = json!({"StreamArn": arn, "ShardId": shard.shard_id, "ShardIteratorType": "TRIM_HORIZON"});
            let iterator = self.database.get_shard_iterator(parsed(ask)).expect("an iterator").shard_iterator;
            let ask = json!({"ShardIterator": iterator.expect("an open shard")});
            let page = self.database.get_records(parsed(ask)).expect("records");
            records.extend(page.records.iter().map(|record| parsed(json!(record))));
        }
        records
    }

    /// The table's name.
    pub fn name(&self) -> &'static str {
        TABLE
    }
}

impl Drop for EmbeddedTable {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn parsed<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("the service's own form")
}

/// A client without retries of its own: what the adapter does is what is seen.
fn client(endpoint: &str, http: SharedHttpClient) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    Client::from_conf(config)
}
