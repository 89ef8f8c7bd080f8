//! Indexes that lag: they are asked of a copy of the table that learns of each write a while later.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use convoke::stack::clock::Clock;
use dynoxide::Database;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Goes under a client of the table, before the table is made. Clones share the copy.
#[derive(Clone)]
pub struct LateIndex {
    clock: Arc<dyn Clock>,
    lag_ms: u64,
    copy: Database,
    /// Keys that were written, oldest first, each with the table's name and the time from which on the copy has it.
    behind: Arc<Mutex<VecDeque<(u64, String, Value)>>>,
}

impl fmt::Debug for LateIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateIndex").field("lag_ms", &self.lag_ms).finish_non_exhaustive()
    }
}

impl LateIndex {
    /// Indexes show a write so long after it, by this clock.
    pub fn new(clock: Arc<dyn Clock>, lag: Duration) -> Self {
        let lag_ms = u64::try_from(lag.as_millis()).expect("a short time");
        Self { clock, lag_ms, copy: Database::memory().expect("an empty database"), behind: Arc::default() }
    }

    /// A client whose indexes lag.
    pub fn through(&self, client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Lagging { index: self.clone(), inner: client })
    }

    fn behind(&self) -> MutexGuard<'_, VecDeque<(u64, String, Value)>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrote(&self, keys: Vec<(String, Value)>) {
        let due_ms = self.clock.now_ms() + self.lag_ms;
        self.behind().extend(keys.into_iter().map(|(table, key)| (due_ms, table, key)));
    }

    fn due(&self) -> Option<(String, Value)> {
        let now_ms = self.clock.now_ms();
        let mut behind = self.behind();
        let (_, table, key) = behind.pop_front_if(|(due_ms, ..)| *due_ms <= now_ms)?;
        Some((table, key))
    }

    /// Takes in what the copy should know by now, as it is now.
    async fn catch_up(&self, inner: &SharedHttpConnector) -> Result<(), ConnectorError> {
        while let Some((table, key)) = self.due() {
            let found = get(inner, &json!({"TableName": table, "Key": key, "ConsistentRead": true})).await?;
            if found["Item"].is_object() {
                self.copy.put_item(parsed(json!({"TableName": table, "Item": found["Item"]}))).expect("a copy");
            } else {
                self.copy.delete_item(parsed(json!({"TableName": table, "Key": key}))).expect("a copy");
            }
        }
        Ok(())
    }

    async fn query(&self, inner: &SharedHttpConnector, body: Value) -> Result<HttpResponse, ConnectorError> {
        self.catch_up(inner).await?;
        let page = self.copy.query(parsed(body)).expect("a query of an index");
        let text = serde_json::to_string(&page).expect("json");
        let mut answer = HttpResponse::new(200.try_into().expect("a status"), SdkBody::from(text));
        answer.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        Ok(answer)
    }
}

struct Lagging<T> {
    index: LateIndex,
    inner: T,
}

impl<T> fmt::Debug for Lagging<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.index.fmt(f)
    }
}

impl HttpClient for Lagging<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Lagging { index: self.index.clone(), inner })
    }
}

impl HttpConnector for Lagging<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body: Value = request.body().bytes().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        let (index, inner) = (self.index.clone(), self.inner.clone());
        HttpConnectorFuture::new(async move {
            if operation == "Query" && body["IndexName"].is_string() {
                return index.query(&inner, body).await;
            }
            let answer = inner.call(request).await?;
            if answer.status().is_success() {
                if operation == "CreateTable" {
                    index.copy.create_table(parsed(body)).expect("a table of its own");
                } else {
                    index.wrote(written(&operation, &body));
                }
            }
            Ok(answer)
        })
    }
}

/// Tables and keys of the items that a request writes.
fn written(operation: &str, body: &Value) -> Vec<(String, Value)> {
    let table = |request: &Value| request["TableName"].as_str().unwrap_or_default().to_owned();
    let list = |list: &Value| list.as_array().cloned().unwrap_or_default();
    match operation {
        "PutItem" => vec![(table(body), key_of(&body["Item"]))],
        "UpdateItem" | "DeleteItem" => vec![(table(body), body["Key"].clone())],
        "TransactWriteItems" => list(&body["TransactItems"])
            .iter()
            .flat_map(|write| {
                ["Put", "Update", "Delete"]
                    .map(|kind| (kind, write[kind].clone()))
                    .into_iter()
                    .filter(|(_, one)| !one.is_null())
            })
            .map(|(kind, one)| (table(&one), if kind == "Put" { key_of(&one["Item"]) } else { one["Key"].clone() }))
            .collect(),
        "BatchWriteItem" => body["RequestItems"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(table, writes)| list(writes).into_iter().map(|write| (table.clone(), write)))
            .map(|(table, write)| (table, key_of(&write["PutRequest"]["Item"])))
            .collect(),
        _ => Vec::new(),
    }
}

fn key_of(item: &Value) -> Value {
    json!({"pk": item["pk"], "sk": item["sk"]})
}

async fn get(inner: &SharedHttpConnector, ask: &Value) -> Result<Value, ConnectorError> {
    let mut request = HttpRequest::new(SdkBody::from(ask.to_string()));
    request.set_method("POST").expect("a method");
    request.set_uri("http://table.invalid/").expect("a uri");
    request.headers_mut().insert("x-amz-target", "DynamoDB_20120810.GetItem");
    let answer = inner.call(request).await?;
    Ok(answer.body().bytes().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default())
}

fn parsed<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("the service's own form")
}
