//! What the registry is built from: plain data, read elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use convoke_app::model::{ChatModel, ModelNameError};
use convoke_domain::money::Price;

use crate::prices::PriceBook;
use crate::secret::Secret;

/// Names of the settings, as errors and `doctor` tell them.
pub mod setting {
    /// Key of `OpenAI`.
    pub const OPENAI_API_KEY: &str = "OPENAI_API_KEY";
    /// Where `OpenAI` is, if not where it always is.
    pub const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";
    /// Key of `OpenRouter`.
    pub const OPENROUTER_API_KEY: &str = "OPENROUTER_API_KEY";
    /// Where `OpenRouter` is, if not where it always is.
    pub const OPENROUTER_BASE_URL: &str = "OPENROUTER_BASE_URL";
    /// `https://NAME.openai.azure.com`.
    pub const AZURE_OPENAI_ENDPOINT: &str = "AZURE_OPENAI_ENDPOINT";
    /// Key of the Azure resource.
    pub const AZURE_OPENAI_API_KEY: &str = "AZURE_OPENAI_API_KEY";
    /// Where Ollama listens.
    pub const OLLAMA_BASE_URL: &str = "OLLAMA_BASE_URL";
    /// Where any other server listens that speaks chat completions.
    pub const COMPATIBLE_BASE_URL: &str = "CONVOKE_COMPATIBLE_BASE_URL";
    /// AWS region that Bedrock is called in.
    pub const AWS_REGION: &str = "AWS_REGION";
}

/// Where Ollama listens when nothing else is said.
pub const OLLAMA_BASE_URL: &str = "http://127.0.0.1:11434";

/// The API version of Azure that is asked for when nothing else is said.
pub const AZURE_API_VERSION: &str = "2024-10-21";

/// Makes the embedded model of one name, when it is first called for. It is called again after an error.
pub type EmbeddedFactory = Arc<dyn Fn() -> Result<Arc<dyn ChatModel>, ModelNameError> + Send + Sync>;

/// The providers that are set up, and what is known of models.
#[derive(Clone, Default)]
pub struct Settings {
    /// The model of a job that names none, as `provider/name` or an alias.
    pub default_model: String,
    /// Other names for models: `smart` for `openai/gpt-4.1`. An alias names a model, not another alias.
    pub aliases: BTreeMap<String, String>,
    /// `openai/..`.
    pub openai: Option<HostedSettings>,
    /// `openrouter/..`.
    pub openrouter: Option<HostedSettings>,
    /// `azure/..`.
    pub azure: Option<AzureSettings>,
    /// `ollama/..`.
    pub ollama: Option<OllamaSettings>,
    /// `compatible/..`.
    pub compatible: Option<CompatibleSettings>,
    /// `bedrock/..`: the client, with region, credentials and HTTP stack.
    pub bedrock: Option<aws_sdk_bedrockruntime::Client>,
    /// `embedded/..`, by name.
    pub embedded: BTreeMap<String, EmbeddedFactory>,
    /// What models cost.
    pub prices: PriceBook,
}

/// A provider that is where it always is.
#[derive(Clone, Debug)]
pub struct HostedSettings {
    /// Its key.
    pub api_key: Secret,
    /// Another place to find it, with the path before `/chat/completions`.
    pub base_url: Option<String>,
}

/// Azure `OpenAI`.
#[derive(Clone, Debug)]
pub struct AzureSettings {
    /// `https://NAME.openai.azure.com`.
    pub endpoint: String,
    /// Its key.
    pub api_key: Secret,
    /// The API version; [`AZURE_API_VERSION`] where it isn't set.
    pub api_version: Option<String>,
    /// The deployment that is called, whatever the model's name (which then gives only the price). Without it the
    /// name is the deployment's.
    pub deployment: Option<String>,
}

/// Ollama.
#[derive(Clone, Debug, Default)]
pub struct OllamaSettings {
    /// Where it listens; [`OLLAMA_BASE_URL`] where it isn't set.
    pub base_url: Option<String>,
    /// What its models can do. Ollama cuts longer prompts without a word, so that its own small default holds here
    /// until a larger context is set there and here.
    pub capabilities: Capabilities,
}

/// Any other server that speaks chat completions.
#[derive(Clone, Debug)]
pub struct CompatibleSettings {
    /// Where it listens, with the path before `/chat/completions`; without a path, `/v1` is added.
    pub base_url: String,
    /// Its key, if it wants one.
    pub api_key: Option<Secret>,
    /// What its models can do.
    pub capabilities: Capabilities,
}

/// What models can do, where their owner knows better than the tables here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Prompt and answer together, in tokens.
    pub context_tokens: Option<u32>,
    /// Longest answer, in tokens.
    pub output_tokens_max: Option<u32>,
    /// Whether they follow long instructions and call tools by themselves.
    pub capable: Option<bool>,
    /// What they cost.
    pub price: Option<Price>,
    /// Whether the server has a JSON-schema mode. Where that isn't said it is tried.
    pub json_schema: Option<bool>,
}
