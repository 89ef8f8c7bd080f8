//! Models of Amazon Bedrock over `Converse` and `ConverseStream`. The client is handed in: region, endpoint,
//! credentials and the HTTP stack are configured where it is made.
//!
//! One call is one billed request: the SDK's own retries are off. A request that a model refuses as it stands
//! (`ValidationException`, not billed) is put once more without what was refused, and what worked is remembered.

mod answer;
mod document;
mod failure;
mod request;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::{Builder, StalledStreamProtectionConfig};
use convoke_app::model::{ChatModel, DeltaSink, ModelAnswer, ModelError, ModelProfile, ModelRequest, Usage};
use convoke_domain::money::tokens_bound;

use crate::structured::envelope::{Envelope, SchemaMode};
use answer::Reading;
use failure::Failure;
use request::Call;

/// Requests that one call may put until the model takes one; all but the last are refused, and so not billed.
const TRIES_MAX: usize = 4;

/// What is known beforehand of how a model wants to be asked; the rest is learnt from refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether it takes an output config with a JSON schema.
    pub json_schema: bool,
    /// Whether it takes a temperature.
    pub sampling: bool,
}

/// A model of Bedrock.
pub struct Bedrock {
    client: Client,
    model_id: String,
    profile: ModelProfile,
    manner: Mutex<Manner>,
}

/// The way to ask a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Manner {
    schema: SchemaMode,
    temperature: bool,
}

impl Manner {
    /// This manner without what the model refuses; `None` where it refuses something that can't be left out.
    fn without(self, refusal: &str, has_schema: bool) -> Option<Self> {
        let said = refusal.to_ascii_lowercase();
        let names = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
        if self.temperature && names(&["temperature"]) {
            return Some(Self { temperature: false, ..self });
        }
        let refuses_schema = match self.schema {
            SchemaMode::Native => {
                names(&["output_config", "outputconfig", "output config", "format", "structured output", "schema"])
            }
            SchemaMode::ForcedTool => names(&["tool"]),
            SchemaMode::Instructed => false,
        };
        let schema = self.schema.next().filter(|_| has_schema && refuses_schema)?;
        Some(Self { schema, ..self })
    }
}

impl Bedrock {
    /// A model by its id, inference profile or ARN. Connects with the first call.
    pub fn new(client: Client, model_id: String, profile: ModelProfile, abilities: Abilities) -> Self {
        let schema = if abilities.json_schema { SchemaMode::Native } else { SchemaMode::ForcedTool };
        let manner = Manner { schema, temperature: abilities.sampling };
        Self { client, model_id, profile, manner: Mutex::new(manner) }
    }

    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    async fn negotiate(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let envelope = Envelope::of(request);
        let known = self.manner();
        let mut manner = known;
        for _ in 0..TRIES_MAX {
            let call = Call::of(request, envelope.as_ref(), manner, self.profile.output_tokens_max)?;
            let answer_tool =
                envelope.as_ref().filter(|_| manner.schema == SchemaMode::ForcedTool).map(|e| e.tool.as_str());
            let failure = match self.ask(call, answer_tool, deltas).await {
                Ok(reading) => {
                    if manner != known {
                        self.remember(manner);
                    }
                    return Ok(self.finish(request, envelope.as_ref(), manner, reading));
                }
                Err(failure) => failure,
            };
            match failure.refusal().and_then(|refusal| manner.without(refusal, envelope.is_some())) {
                Some(next) => manner = next,
                None => return Err(failure.into_error()),
            }
        }
        Err(ModelError::Refused { detail: "the model takes this request in no form".into() })
    }

    async fn ask(&self, call: Call, answer_tool: Option<&str>, deltas: Option<&DeltaSink>) -> Result<Reading, Failure> {
        match deltas {
            None => self.converse(call).await,
            Some(sink) => self.converse_stream(call, answer_tool, sink).await,
        }
    }

    async fn converse(&self, call: Call) -> Result<Reading, Failure> {
        let request = self.client.converse().model_id(&self.model_id);
        let request = request.set_system(call.system).set_messages(Some(call.messages));
        let request = request.inference_config(call.inference).set_tool_config(call.tools);
        let sent = request.set_output_config(call.output).customize().config_override(once()).send().await;
        answer::whole(&sent.map_err(Failure::of)?)
    }

    async fn converse_stream(
        &self,
        call: Call,
        answer_tool: Option<&str>,
        sink: &DeltaSink,
    ) -> Result<Reading, Failure> {
        let request = self.client.converse_stream().model_id(&self.model_id);
        let request = request.set_system(call.system).set_messages(Some(call.messages));
        let request = request.inference_config(call.inference).set_tool_config(call.tools);
        let sent = request.set_output_config(call.output).customize().config_override(once()).send().await;
        answer::stream(sent.map_err(Failure::of)?.stream, answer_tool, sink).await
    }

    fn finish(
        &self,
        request: &ModelRequest,
        envelope: Option<&Envelope>,
        manner: Manner,
        reading: Reading,
    ) -> ModelAnswer {
        let usage = reading.usage.unwrap_or_else(|| self.estimate(request, &reading));
        let mut draft = reading.draft;
        if let Some(envelope) = envelope
            && !envelope.open(&mut draft)
            && let Some(schema) = manner.schema.next()
        {
            tracing::debug!(model = %self.profile.name, ?schema, "answered with prose where JSON was asked for");
            self.remember(Manner { schema, ..self.manner() });
        }
        ModelAnswer { text: draft.text, tool_calls: draft.tool_calls, finish: draft.finish, usage }
    }

    /// An upper bound, where a stream's end came without its metadata.
    fn estimate(&self, request: &ModelRequest, reading: &Reading) -> Usage {
        tracing::warn!(model = %self.profile.name, "the provider reports no usage; tokens are estimated from above");
        let sent = serde_json::json!([request.messages, request.tools, request.schema]).to_string();
        let output_tokens = reading.draft.tokens_bound().min(u64::from(request.output_tokens_max));
        Usage { input_tokens: tokens_bound(&sent), output_tokens, reported_usd: None }
    }
}

/// One try, however slow: time-outs and retries are ours.
fn once() -> Builder {
    aws_sdk_bedrockruntime::Config::builder()
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

#[async_trait]
impl ChatModel for Bedrock {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    async fn complete(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        crate::bounded::bounded(request, self.negotiate(request, deltas)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_refuses_is_left_out() {
        let full = Manner { schema: SchemaMode::Native, temperature: true };
        let forced = Manner { schema: SchemaMode::ForcedTool, ..full };
        assert_eq!(full.without("This model doesn't support the outputConfig field.", true), Some(forced));
        assert_eq!(
            forced.without("This model doesn't support the toolConfig.toolChoice.any field.", true),
            Some(Manner { schema: SchemaMode::Instructed, ..full })
        );
        assert_eq!(full.without("`temperature` is deprecated", true), Some(Manner { temperature: false, ..full }));
        assert_eq!(forced.without("toolConfig is not supported", false), None);
        assert_eq!(full.without("The provided model identifier is invalid.", true), None);
    }
}
