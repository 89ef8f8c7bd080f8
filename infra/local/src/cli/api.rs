//! A client of the HTTP API: what every command but `serve`, `keys`, `model` and `doctor` goes through.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::failure::{Exit, Failure};

/// Longest time that one request may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// An installation and a key for it. Clones lead to the same one.
#[derive(Clone)]
pub struct Api {
    place: Arc<Mutex<Place>>,
    client: Client,
}

#[derive(Clone)]
struct Place {
    base: String,
    key: String,
}

impl Api {
    /// A client of the installation at `base`.
    pub fn new(base: &str, key: &str) -> Result<Self, Failure> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Failure::caused("no HTTP client", &error))?;
        let place = Place { base: base.trim_end_matches('/').to_owned(), key: key.to_owned() };
        Ok(Self { place: Arc::new(Mutex::new(place)), client })
    }

    /// From now on leads where `other` leads: the installation was started again elsewhere.
    pub fn follow(&self, other: &Self) {
        let place = other.place();
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    fn place(&self) -> Place {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The JSON behind a path.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(self.request(Method::GET, path)).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Deletes what is behind a path.
    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        let answer = self.request(Method::DELETE, path).send().await.map_err(|error| unreachable(&error))?;
        if answer.status().is_success() { Ok(()) } else { Err(problem(answer).await) }
    }

    /// Posts JSON with an idempotency key: a repeat makes no second job.
    pub async fn submit(&self, path: &str, body: &Value, idempotency_key: &str) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path).header("idempotency-key", idempotency_key);
        self.send(request.json(body)).await
    }

    /// The bytes behind a presigned URL, without the key.
    pub async fn download(&self, url: &str) -> Result<Vec<u8>, Failure> {
        let answer = self.client.get(url).send().await.map_err(|error| unreachable(&error))?;
        if !answer.status().is_success() {
            return Err(Failure::failed(format!("a download was answered with {}", answer.status())));
        }
        Ok(answer.bytes().await.map_err(|error| unreachable(&error))?.to_vec())
    }

    /// Puts bytes to a presigned URL, without the key.
    pub async fn upload(&self, url: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        let request = self.client.put(url).header("content-type", media_type).body(bytes);
        let answer = request.send().await.map_err(|error| unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(Failure::failed(format!("an upload was answered with {}", answer.status())))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let Place { base, key } = self.place();
        self.client.request(method, format!("{base}{path}")).bearer_auth(key)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let answer = request.send().await.map_err(|error| unreachable(&error))?;
        if answer.status().is_success() {
            return answer.json().await.map_err(|error| unreachable(&error));
        }
        Err(problem(answer).await)
    }
}

fn unreachable(error: &reqwest::Error) -> Failure {
    // The URL may carry a signature.
    let kind = if error.is_connect() { "can't be reached" } else { "failed" };
    Failure { gone: true, ..Failure::failed(format!("the installation {kind}")) }
}

/// What a problem document says, in one line.
async fn problem(answer: Response) -> Failure {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let mut message = text("/detail").or_else(|| text("/title")).map_or_else(|| status.to_string(), str::to_owned);
    for error in body.pointer("/errors").and_then(Value::as_array).into_iter().flatten().take(8) {
        let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or("");
        message.push_str(&["; ", part("path"), ": ", part("message")].concat());
        if !part("hint").is_empty() {
            message.push_str(&[" (", part("hint"), ")"].concat());
        }
    }
    let exit = if status.is_client_error() && status != StatusCode::CONFLICT { Exit::Usage } else { Exit::Failed };
    Failure { gone: status == StatusCode::SERVICE_UNAVAILABLE, ..Failure::new(exit, message) }
}
