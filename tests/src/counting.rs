//! A transport under the SDK that counts what goes over it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use convoke::stack::Service;
use serde_json::{Value, json};

/// What went over the transport.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// Requests to the table.
    pub table: u64,
    /// Requests to the queues.
    pub queue: u64,
    /// Requests to the objects.
    pub objects: u64,
    /// Bytes of requests' bodies.
    pub bytes_out: u64,
    /// Those of them that went to the objects.
    pub object_bytes: u64,
    /// Bytes of answers' bodies.
    pub bytes_in: u64,
    /// Units that reads of the table consumed.
    pub read_units: f64,
    /// Units that writes to the table consumed, its indexes included.
    pub write_units: f64,
    /// Requests by operation; of single writes and queries with the kind of item (`PutItem S`).
    pub by_operation: BTreeMap<String, Tally>,
}

impl Count {
    /// All requests.
    pub const fn requests(&self) -> u64 {
        self.table + self.queue + self.objects
    }
}

/// What one kind of request took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// How many.
    pub requests: u64,
    /// Their read or write units.
    pub units: f64,
}

/// Counts requests, if it is on. Clones share their counts.
#[derive(Clone, Debug)]
pub struct Counts {
    counts: Option<Arc<Mutex<Count>>>,
}

impl Counts {
    /// Counts nothing, and costs nothing.
    pub const fn off() -> Self {
        Self { counts: None }
    }

    /// Counts.
    pub fn on() -> Self {
        Self { counts: Some(Arc::default()) }
    }

    /// A client whose requests are counted.
    pub fn through(&self, service: Service, client: SharedHttpClient) -> SharedHttpClient {
        match &self.counts {
            Some(counts) => SharedHttpClient::new(Through { service, inner: client, counts: Arc::clone(counts) }),
            None => client,
        }
    }

    /// Goes on from an earlier count: what was counted meanwhile is forgotten.
    pub fn restore(&self, earlier: Count) {
        if let Some(counts) = &self.counts {
            *locked(counts) = earlier;
        }
    }

    /// What was counted so far; counting begins anew.
    pub fn take(&self) -> Count {
        self.counts.as_ref().map(|counts| std::mem::take(&mut *locked(counts))).unwrap_or_default()
    }
}

fn locked(counts: &Mutex<Count>) -> MutexGuard<'_, Count> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Through<T> {
    service: Service,
    inner: T,
    counts: Arc<Mutex<Count>>,
}

impl<T> fmt::Debug for Through<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Through")
    }
}

impl HttpClient for Through<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Through { service: self.service, inner, counts: Arc::clone(&self.counts) })
    }
}

impl HttpConnector for Through<SharedHttpConnector> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation(self.service, &request);
        if self.service == Service::Table {
            ask_for_units(&mut request);
        }
        {
            let mut counts = locked(&self.counts);
            match self.service {
                Service::Table => counts.table += 1,
                Service::Queues => counts.queue += 1,
                Service::Blobs => counts.objects += 1,
            }
            let bytes = request.body().bytes().map_or(0, <[u8]>::len) as u64;
            counts.bytes_out += bytes;
            counts.object_bytes += if self.service == Service::Blobs { bytes } else { 0 };
            counts.by_operation.entry(operation.clone()).or_default().requests += 1;
        }
        let (counts, answer) = (Arc::clone(&self.counts), self.inner.call(request));
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            if let Some(bytes) = answer.body().bytes() {
                let mut counts = locked(&counts);
                counts.bytes_in += bytes.len() as u64;
                let units = units(bytes);
                counts.by_operation.entry(operation.clone()).or_default().units += units;
                let reads = ["GetItem", "BatchGetItem", "Query", "Scan"].iter().any(|read| operation.starts_with(read));
                if reads {
                    counts.read_units += units;
                } else {
                    counts.write_units += units;
                }
            }
            Ok(answer)
        })
    }
}

fn operation(service: Service, request: &HttpRequest) -> String {
    match request.headers().get("x-amz-target") {
        Some(target) => {
            let operation = target.rsplit('.').next().unwrap_or_default();
            match operation {
                "PutItem" | "UpdateItem" | "Query" => format!("{operation} {}", kind(request)),
                _ => operation.to_owned(),
            }
        }
        None => format!("{service:?} {}", request.method()),
    }
}

/// What kind of item is meant: its sort key, or the first that is asked for, without its rest.
fn kind(request: &HttpRequest) -> String {
    let body: Value = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let written = [&body["Key"], &body["Item"]].into_iter().find_map(|key| key["sk"]["S"].as_str());
    let values = body["ExpressionAttributeValues"].as_object().into_iter().flatten();
    // Beside the partition the two ends of what is asked for.
    let asked = || values.filter_map(|(_, value)| value["S"].as_str()).find(|key| !key.contains("#J#"));
    let sk = written.or_else(asked).unwrap_or_default();
    sk.split(['#', '$']).next().unwrap_or_default().to_owned()
}

/// The embedded table checks no signature, so the request may still change.
fn ask_for_units(request: &mut HttpRequest) {
    let Some(mut body) = request.body().bytes().and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok()) else {
        return;
    };
    body["ReturnConsumedCapacity"] = json!("TOTAL");
    let text = body.to_string();
    request.headers_mut().insert("content-length", text.len().to_string());
    *request.body_mut() = SdkBody::from(text);
}

fn units(answer: &[u8]) -> f64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let of = |capacity: &Value| capacity["CapacityUnits"].as_f64().unwrap_or(0.0);
    match &answer["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().map(of).sum(),
        one => of(one),
    }
}
