//! The port to language models: one request, one answer, metered.
//!
//! Retries, fail-over, journaling and money are the use cases' business; an implementation makes exactly one call and
//! says what came of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use convoke_domain::money::{Cost, MicroUsd, Price};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// Who the model is to be.
    System {
        /// The instruction.
        text: String,
    },
    /// What is asked.
    User {
        /// The question.
        text: String,
    },
    /// What the model said.
    Assistant {
        /// Its text, possibly empty.
        text: String,
        /// The tools it wants called.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
    },
    /// What a tool answered.
    Tool {
        /// [`ToolCall::id`] of the call that this answers.
        call_id: String,
        /// The tool's name.
        name: String,
        /// Its answer, or what went wrong.
        content: String,
        /// Whether `content` is an error.
        #[serde(default)]
        is_error: bool,
    },
}

/// A model's wish to have a tool called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id of the call, or one made up from its position.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// The arguments; a string where the model's text was no JSON.
    pub arguments: Value,
}

/// A tool as a model is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of its arguments, an object.
    pub parameters: Value,
}

/// The JSON that the answer has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputSchema {
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub name: String,
    /// JSON Schema.
    pub schema: Value,
}

/// One call of a model.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Tools it may call; empty for none.
    pub tools: Vec<ToolSpec>,
    /// The schema of the final answer. With `tools` the model may call tools first; then the schema holds for the
    /// answer without tool calls.
    pub schema: Option<OutputSchema>,
    /// Bound of the answer, in tokens.
    pub output_tokens_max: u32,
    /// Sampling temperature; the provider's default where there is none.
    pub temperature: Option<f32>,
    /// Seed, for providers that have one.
    pub seed: Option<u64>,
    /// After this time the call is given up.
    pub timeout: Duration,
    /// Given up as soon as this is cancelled.
    pub cancel: CancellationToken,
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was done.
    Stop,
    /// It wants tools called.
    ToolCalls,
    /// `output_tokens_max` was reached; the text is cut.
    Length,
    /// The provider's filter held something back.
    Filtered,
}

/// Tokens that a call took, as the provider reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt.
    pub input_tokens: u64,
    /// Answer.
    pub output_tokens: u64,
    /// What the provider says it cost, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_usd: Option<MicroUsd>,
}

/// A model's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelAnswer {
    /// The text; JSON where a schema was asked for and no tool is called (not yet validated).
    pub text: String,
    /// Tools it wants called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped.
    pub finish: Finish,
    /// What it took.
    pub usage: Usage,
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The provider has no room now (429, `ThrottlingException`, 529). Not billed; try again after `retry_after`.
    #[error("the model's provider throttles ({detail})")]
    Throttled {
        /// How long to wait, where the provider says.
        retry_after: Option<Duration>,
        /// What the provider said, without secrets.
        detail: String,
    },
    /// No connection was made. Not billed; try again.
    #[error("the model can't be reached ({detail})")]
    Unreachable {
        /// What went wrong, without secrets.
        detail: String,
    },
    /// 5xx, a cut connection, an answer that can't be read, a time-out: may have been billed; try again.
    #[error("the model failed ({detail})")]
    Failed {
        /// What went wrong, without secrets.
        detail: String,
    },
    /// The prompt is too long for the model. Final.
    #[error("the prompt is too long for the model ({detail})")]
    ContextOverflow {
        /// What the provider said.
        detail: String,
    },
    /// The provider refuses the request as it is (400, 401, 403, 404). Final.
    #[error("the model's provider refuses the request ({detail})")]
    Refused {
        /// What the provider said, without secrets.
        detail: String,
    },
    /// `cancel` was cancelled; may have been billed.
    #[error("the call was cancelled")]
    Cancelled,
}

impl ModelError {
    /// Whether the same request may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Unreachable { .. } | Self::Failed { .. } | Self::Cancelled => true,
            Self::ContextOverflow { .. } | Self::Refused { .. } => false,
        }
    }

    /// Whether the call may have been billed although there is no answer; then its reservation counts as spent.
    pub const fn may_have_been_billed(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::Cancelled => true,
            Self::Throttled { .. } | Self::Unreachable { .. } | Self::ContextOverflow { .. } | Self::Refused { .. } => {
                false
            }
        }
    }
}

/// What a model can do and costs.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelProfile {
    /// `provider/name`, as jobs name it: `openai/gpt-4.1`, `bedrock/anthropic.claude-..`, `embedded/smollm2-135m`.
    pub name: String,
    /// Prompt and answer together, in tokens.
    pub context_tokens: u32,
    /// Longest answer, in tokens.
    pub output_tokens_max: u32,
    /// Whether it follows long instructions and calls tools by itself. Flows bound what they ask of one that doesn't.
    pub capable: bool,
    /// `None` where the price is unknown (never 0): such a model is held by the token cap alone.
    pub price: Option<Price>,
}

impl ModelProfile {
    /// What so many tokens cost; money is zero where the price is unknown.
    pub fn cost(&self, input_tokens: u64, output_tokens: u64) -> Cost {
        let usd = self.price.map_or(MicroUsd::ZERO, |price| price.cost(input_tokens, output_tokens));
        Cost { usd, tokens: input_tokens.saturating_add(output_tokens) }
    }

    /// What a finished call cost: the provider's own figure where it reports one.
    pub fn cost_of(&self, usage: &Usage) -> Cost {
        let computed = self.cost(usage.input_tokens, usage.output_tokens);
        Cost { usd: usage.reported_usd.unwrap_or(computed.usd), ..computed }
    }
}

/// A language model.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// What it can do and costs. Constant.
    fn profile(&self) -> &ModelProfile;

    /// Makes one call. Not idempotent: each call may be billed.
    ///
    /// `deltas` gets the text as it comes, where the provider streams; the answer is whole in any case.
    async fn complete(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError>;
}

/// Takes pieces of text as a model writes them. Must not block.
pub type DeltaSink = Arc<dyn Fn(&str) + Send + Sync>;

/// A model's name that nothing answers to.
#[derive(Debug, thiserror::Error)]
pub enum ModelNameError {
    /// No such provider, or no such model of it.
    #[error("unknown model {name:?}: {hint}")]
    Unknown {
        /// As given.
        name: String,
        /// What to write instead.
        hint: String,
    },
    /// The provider lacks a setting.
    #[error("model {name:?} needs {setting}")]
    NotConfigured {
        /// As given.
        name: String,
        /// The missing setting, e.g. `OPENAI_API_KEY`.
        setting: String,
    },
}

/// The models that this installation can call.
pub trait Models: Send + Sync {
    /// The model of that name (`provider/name`), connected once and shared.
    fn model(&self, name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError>;

    /// Name of the model that a job gets when it names none.
    fn default_model(&self) -> &str;
}
