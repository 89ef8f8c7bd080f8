//! Models that speak `OpenAI`'s chat completions: `OpenAI` itself, `OpenRouter`, Azure `OpenAI`, Ollama, vLLM,
//! llama.cpp and others. One call is one billed request; a request that the provider refuses as it stands (400, not
//! billed) is put once more without what was refused, and what worked is remembered for the process.
//!
//! After the public API reference of chat completions, read leniently, as few servers keep to it.

mod answer;
mod body;
mod dialect;
mod failure;
mod stream;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use convoke_app::model::{ChatModel, DeltaSink, ModelAnswer, ModelError, ModelProfile, ModelRequest, Usage};
use convoke_domain::money::tokens_bound;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use crate::secret::Secret;
use crate::structured::envelope::{Envelope, SchemaMode};
use crate::text::chain;
use answer::Reading;
use body::Body;
use dialect::{Dialect, TokenField};
use failure::{DETAIL_BYTES_MAX, Refusal};

/// Requests that one call may put until the provider takes one; all but the last are refused, and so not billed.
const TRIES_MAX: usize = 6;

/// Whose server it is, as far as that changes what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// `OpenAI`.
    OpenAi,
    /// `OpenRouter`: reports what a call cost, forwards to others.
    OpenRouter,
    /// Azure `OpenAI`.
    Azure,
    /// Anything else.
    Compatible,
}

/// How a server wants to be shown the key.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Not at all.
    None,
    /// `Authorization: Bearer ..`.
    Bearer(Secret),
    /// `api-key: ..`, as Azure does.
    ApiKey(Secret),
}

impl Auth {
    fn redact(&self, text: &str) -> String {
        match self {
            Self::None => Secret::new("").redact(text),
            Self::Bearer(secret) | Self::ApiKey(secret) => secret.redact(text),
        }
    }
}

/// Where a model is, and what it is called there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The whole URL of its chat completions.
    pub url: String,
    /// How to show the key.
    pub auth: Auth,
    /// Whose server it is.
    pub flavor: Flavor,
    /// The model's name there.
    pub model: String,
}

/// What is known beforehand of how a model wants to be asked; the rest is learnt from refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether the server has a JSON-schema mode.
    pub json_schema: bool,
    /// Whether the model takes a temperature.
    pub sampling: bool,
}

/// A model behind chat completions.
pub struct OpenAi {
    http: reqwest::Client,
    endpoint: Endpoint,
    profile: ModelProfile,
    dialect: Mutex<Dialect>,
    told_of_usage: AtomicBool,
}

impl OpenAi {
    /// A model at an endpoint. Connects with the first call.
    pub fn new(http: reqwest::Client, endpoint: Endpoint, profile: ModelProfile, abilities: Abilities) -> Self {
        let token_field = match endpoint.flavor {
            Flavor::OpenAi | Flavor::Azure => TokenField::MaxCompletionTokens,
            Flavor::OpenRouter | Flavor::Compatible => TokenField::MaxTokens,
        };
        let schema = if abilities.json_schema { SchemaMode::Native } else { SchemaMode::ForcedTool };
        let dialect = Dialect { schema, token_field, temperature: abilities.sampling, seed: true, stream_usage: true };
        Self { http, endpoint, profile, dialect: Mutex::new(dialect), told_of_usage: AtomicBool::new(false) }
    }

    fn dialect(&self) -> Dialect {
        *self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, dialect: Dialect) {
        *self.dialect.lock().unwrap_or_else(PoisonError::into_inner) = dialect;
    }

    /// Asks in the dialect that is known, and goes on to the next one as long as the provider refuses what it can
    /// be asked without.
    async fn negotiate(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let envelope = Envelope::of(request);
        let known = self.dialect();
        let mut dialect = known;
        let mut tried = vec![known];
        let mut lasting = true;
        loop {
            let asked = Asked { request, envelope: envelope.as_ref(), dialect };
            let refusal = match self.ask(asked, deltas).await? {
                Outcome::Answered(reading) => {
                    if lasting && dialect != known {
                        self.remember(dialect);
                    }
                    return Ok(self.finish(asked, *reading));
                }
                Outcome::Refused(refusal) => refusal,
            };
            lasting &= !refusal.blames_this_schema();
            match dialect.without(&refusal, envelope.is_some()) {
                Some(next) if tried.len() < TRIES_MAX && !tried.contains(&next) => {
                    tracing::debug!(model = %self.profile.name, ?next, "asking again without what was refused");
                    tried.push(next);
                    dialect = next;
                }
                _ => return Err(refusal.into_error()),
            }
        }
    }

    async fn ask(&self, asked: Asked<'_>, deltas: Option<&DeltaSink>) -> Result<Outcome, ModelError> {
        let json = wire::body(&self.endpoint, &self.profile, asked, deltas.is_some());
        let response = self.post(&json).send().await.map_err(|error| self.unsent(error))?;
        if response.status().is_success() {
            return self.read(Body::of(response), asked, &json, deltas).await;
        }
        let refusal = Refusal::of(response, |text| self.endpoint.auth.redact(text)).await;
        if refusal.is_about_the_request() { Ok(Outcome::Refused(refusal)) } else { Err(refusal.into_error()) }
    }

    fn post(&self, json: &Value) -> reqwest::RequestBuilder {
        let post = self.http.post(&self.endpoint.url).header(CONTENT_TYPE, "application/json");
        let post = post.header(ACCEPT, "application/json, text/event-stream").body(json.to_string());
        let (name, value) = match &self.endpoint.auth {
            Auth::None => return post,
            Auth::Bearer(secret) => ("authorization", format!("Bearer {}", secret.expose())),
            Auth::ApiKey(secret) => ("api-key", secret.expose().to_owned()),
        };
        match HeaderValue::from_str(&value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                post.header(name, value)
            }
            // A key with a line break in it: the server says that there is none.
            Err(_) => post,
        }
    }

    fn unsent(&self, error: reqwest::Error) -> ModelError {
        let is_connect = error.is_connect();
        let is_builder = error.is_builder();
        let detail = self.endpoint.auth.redact(&chain(&error.without_url(), DETAIL_BYTES_MAX));
        match (is_connect, is_builder) {
            (true, _) => ModelError::Unreachable { detail },
            (_, true) => ModelError::Refused { detail },
            _ => ModelError::Failed { detail },
        }
    }

    async fn read(
        &self,
        mut body: Body,
        asked: Asked<'_>,
        sent: &Value,
        deltas: Option<&DeltaSink>,
    ) -> Result<Outcome, ModelError> {
        let is_stream = body.is_event_stream(deltas.is_some());
        let read = if is_stream {
            stream::read(&mut body, asked.answer_tool(), deltas).await
        } else {
            body.whole().await.and_then(|bytes| answer::read(&bytes))
        };
        match read {
            Ok(mut reading) => {
                if reading.usage.is_none() {
                    reading.usage = Some(self.estimate(sent, &reading, asked.request));
                }
                if self.endpoint.flavor != Flavor::OpenRouter
                    && let Some(usage) = &mut reading.usage
                {
                    usage.reported_usd = None;
                }
                Ok(Outcome::Answered(Box::new(reading)))
            }
            Err(answer::ReadError::Unreadable(detail)) => {
                Err(ModelError::Failed { detail: self.endpoint.auth.redact(&detail) })
            }
            Err(answer::ReadError::Told { status, error, body_begun: false }) => {
                let refusal = Refusal::told(status, &error, |text| self.endpoint.auth.redact(text));
                if refusal.is_about_the_request() { Ok(Outcome::Refused(refusal)) } else { Err(refusal.into_error()) }
            }
            Err(answer::ReadError::Told { status, error, body_begun: true }) => {
                let refusal = Refusal::told(status, &error, |text| self.endpoint.auth.redact(text));
                Err(ModelError::Failed { detail: format!("broke off: {}", refusal.detail()) })
            }
        }
    }

    /// An upper bound where the provider reports nothing: all that was sent and all that came.
    fn estimate(&self, sent: &Value, reading: &Reading, request: &ModelRequest) -> Usage {
        if !self.told_of_usage.swap(true, Ordering::Relaxed) {
            tracing::warn!(model = %self.profile.name, "the provider reports no usage; tokens are estimated from above");
        }
        let output_tokens = reading.written_tokens_bound().min(u64::from(request.output_tokens_max));
        Usage { input_tokens: tokens_bound(&sent.to_string()), output_tokens, reported_usd: None }
    }

    fn finish(&self, asked: Asked<'_>, reading: Reading) -> ModelAnswer {
        let Reading { mut draft, usage, .. } = reading;
        if let Some(envelope) = asked.envelope
            && !envelope.open(&mut draft)
            && let Some(schema) = asked.dialect.schema.next()
        {
            tracing::debug!(model = %self.profile.name, ?schema, "answered with prose where JSON was asked for");
            self.remember(Dialect { schema, ..self.dialect() });
        }
        let usage = usage.unwrap_or_default();
        ModelAnswer { text: draft.text, tool_calls: draft.tool_calls, finish: draft.finish, usage }
    }
}

/// One request in one dialect.
#[derive(Clone, Copy)]
struct Asked<'a> {
    request: &'a ModelRequest,
    envelope: Option<&'a Envelope>,
    dialect: Dialect,
}

impl<'a> Asked<'a> {
    /// The tool whose arguments are the answer, if there is one in this dialect.
    fn answer_tool(&self) -> Option<&'a str> {
        let envelope = self.envelope?;
        (self.dialect.schema == SchemaMode::ForcedTool).then_some(envelope.tool.as_str())
    }
}

enum Outcome {
    Answered(Box<Reading>),
    Refused(Refusal),
}

#[async_trait]
impl ChatModel for OpenAi {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    async fn complete(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        crate::bounded::bounded(request, self.negotiate(request, deltas)).await
    }
}
