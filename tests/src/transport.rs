//! A transport under the SDK that goes wrong as told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Meddling {
    /// It goes through.
    Pass,
    /// It goes through, and its answer is lost.
    LoseAnswer,
    /// It doesn't go through; this is answered.
    Answer(u16, Value),
}

impl Meddling {
    /// An error of the service, which applied nothing.
    pub fn error(code: &str) -> Self {
        Self::Answer(400, json!({"__type": format!("com.amazonaws#{code}"), "message": "as told"}))
    }
}

/// A request of a protocol that speaks JSON.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The operation, as in `UpdateItem`.
    pub operation: String,
    /// The body.
    pub body: Value,
    /// How many requests came before it, of any kind.
    pub number: usize,
}

type Hook = Arc<dyn Fn(&Seen) -> Meddling + Send + Sync>;

/// A plain HTTP client that asks `hook` about every request.
pub fn meddling(hook: impl Fn(&Seen) -> Meddling + Send + Sync + 'static) -> SharedHttpClient {
    let inner = Builder::new().build_http();
    SharedHttpClient::new(Meddler { inner, hook: Arc::new(hook), count: Arc::default() })
}

struct Meddler {
    inner: SharedHttpClient,
    hook: Hook,
    count: Arc<AtomicUsize>,
}

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddler")
    }
}

impl HttpClient for Meddler {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Wire { inner, hook: Arc::clone(&self.hook), count: Arc::clone(&self.count) })
    }
}

struct Wire {
    inner: SharedHttpConnector,
    hook: Hook,
    count: Arc<AtomicUsize>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let seen = seen(&request, self.count.fetch_add(1, Ordering::SeqCst));
        match (self.hook)(&seen) {
            Meddling::Pass => self.inner.call(request),
            Meddling::Answer(status, body) => HttpConnectorFuture::ready(Ok(answer(status, &body))),
            Meddling::LoseAnswer => {
                let passing = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    passing.await?;
                    Err(ConnectorError::timeout("the answer was lost".into()))
                })
            }
        }
    }
}

fn seen(request: &HttpRequest, number: usize) -> Seen {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    Seen { operation, body, number }
}

fn answer(status: u16, body: &Value) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status");
    let mut response = HttpResponse::new(status, SdkBody::from(body.to_string()));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
