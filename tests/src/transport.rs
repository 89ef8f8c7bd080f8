//! A transport under the SDK that goes wrong as told.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
    /// It goes through a while later.
    Late(Duration),
    /// It goes through, and its answer is lost.
    LoseAnswer,
    /// It is lost on its way.
    LoseRequest,
    /// It doesn't go through; this is answered: JSON, or a text that is sent as XML.
    Answer(u16, Value),
    /// It goes through, and this is answered in the place of its answer.
    Cover(u16, Value),
    /// It goes through, and so does one like it with this body.
    Echo(Value),
}

impl Meddling {
    /// An error of the service, which applied nothing.
    pub fn error(code: &str) -> Self {
        Self::Answer(400, json!({"__type": format!("com.amazonaws#{code}"), "message": "as told"}))
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The operation, as in `UpdateItem`; the method where the protocol names none.
    pub operation: String,
    /// Where it goes.
    pub uri: String,
    /// The body; null where it is no JSON.
    pub body: Value,
    /// How many requests came before it, of any kind.
    pub number: usize,
}

type Hook = Arc<dyn Fn(&Seen) -> Meddling + Send + Sync>;

/// A plain HTTP client that asks `hook` about every request.
pub fn meddling(hook: impl Fn(&Seen) -> Meddling + Send + Sync + 'static) -> SharedHttpClient {
    between(Builder::new().build_http(), hook)
}

/// A client that asks `hook` about every request before `inner` gets it.
pub fn between(inner: SharedHttpClient, hook: impl Fn(&Seen) -> Meddling + Send + Sync + 'static) -> SharedHttpClient {
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
        let inner = self.inner.clone();
        match (self.hook)(&seen) {
            Meddling::Pass => inner.call(request),
            Meddling::Answer(status, body) => HttpConnectorFuture::ready(Ok(answer(status, &body))),
            Meddling::LoseRequest => HttpConnectorFuture::ready(Err(lost("the request"))),
            Meddling::Late(pause) => HttpConnectorFuture::new(async move {
                tokio::time::sleep(pause).await;
                inner.call(request).await
            }),
            Meddling::LoseAnswer => HttpConnectorFuture::new(async move {
                inner.call(request).await?;
                Err(lost("the answer"))
            }),
            Meddling::Cover(status, body) => HttpConnectorFuture::new(async move {
                inner.call(request).await?;
                Ok(answer(status, &body))
            }),
            Meddling::Echo(body) => HttpConnectorFuture::new(async move {
                let echo = with_body(&request, &body);
                let answer = inner.call(request).await?;
                inner.call(echo?).await?;
                Ok(answer)
            }),
        }
    }
}

fn lost(what: &str) -> ConnectorError {
    ConnectorError::io(io::Error::new(io::ErrorKind::ConnectionReset, format!("{what} was lost")).into())
}

fn with_body(request: &HttpRequest, body: &Value) -> Result<HttpRequest, ConnectorError> {
    let other = request.try_clone().ok_or_else(|| ConnectorError::user("a body that can't be sent twice".into()));
    let mut other = other?;
    let text = body.to_string();
    other.headers_mut().insert("content-length", text.len().to_string());
    *other.body_mut() = SdkBody::from(text);
    Ok(other)
}

fn seen(request: &HttpRequest, number: usize) -> Seen {
    let target = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
    let operation = target.unwrap_or_else(|| request.method()).to_owned();
    let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    Seen { operation, uri: request.uri().to_owned(), body, number }
}

fn answer(status: u16, body: &Value) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status");
    let (kind, text) = match body {
        Value::String(xml) => ("application/xml", xml.clone()),
        json => ("application/x-amz-json-1.0", json.to_string()),
    };
    let mut response = HttpResponse::new(status, SdkBody::from(text));
    response.headers_mut().insert("content-type", kind);
    response
}
