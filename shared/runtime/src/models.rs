//! Which models an installation can call, from its settings.

use std::collections::BTreeMap;

use convoke_models::prices::PriceBook;
use convoke_models::registry::{
    AzureSettings, Capabilities, CompatibleSettings, EmbeddedFactory, HostedSettings, OllamaSettings, Settings,
};
use convoke_models::secret::Secret;

use crate::config::{Mistakes, Reader, Strings};

/// What the settings can't carry.
#[derive(Default)]
pub struct Extras {
    /// The embedded models of this process, by name.
    pub embedded: BTreeMap<String, EmbeddedFactory>,
    /// A client of Bedrock, where it may be called.
    pub bedrock: Option<aws_sdk_bedrockruntime::Client>,
    /// The model of a job that names none, where `CONVOKE_MODEL` isn't set.
    pub default_model: Option<String>,
}

/// Reads the providers. `CONVOKE_MODEL` is required where `extras` name no default; a key selects nothing by itself.
pub fn settings(strings: &dyn Strings, extras: Extras) -> Result<Settings, Mistakes> {
    let mut reader = Reader::new(strings);
    let default_model = match strings.get("CONVOKE_MODEL").or(extras.default_model) {
        Some(model) => model,
        None => reader.required("CONVOKE_MODEL", "the model of jobs that name none, as provider/name"),
    };
    let capabilities = Capabilities {
        context_tokens: reader.optional("CONVOKE_COMPATIBLE_CONTEXT_TOKENS", "a number of tokens"),
        output_tokens_max: reader.optional("CONVOKE_COMPATIBLE_OUTPUT_TOKENS", "a number of tokens"),
        capable: reader.optional("CONVOKE_COMPATIBLE_CAPABLE", "true or false"),
        ..Capabilities::default()
    };
    let settings = Settings {
        default_model,
        openai: hosted(strings, "OPENAI"),
        openrouter: hosted(strings, "OPENROUTER"),
        azure: azure(strings),
        ollama: Some(OllamaSettings {
            base_url: strings.get("OLLAMA_BASE_URL"),
            capabilities: Capabilities::default(),
        }),
        compatible: strings.get("CONVOKE_COMPATIBLE_BASE_URL").map(|base_url| CompatibleSettings {
            base_url,
            api_key: strings.get("CONVOKE_COMPATIBLE_API_KEY").map(Secret::new),
            capabilities,
        }),
        bedrock: extras.bedrock,
        embedded: extras.embedded,
        prices: PriceBook::shipped(),
        aliases: BTreeMap::new(),
    };
    reader.end(settings)
}

fn hosted(strings: &dyn Strings, provider: &str) -> Option<HostedSettings> {
    let api_key = Secret::new(strings.get(&format!("{provider}_API_KEY"))?);
    Some(HostedSettings { api_key, base_url: strings.get(&format!("{provider}_BASE_URL")) })
}

fn azure(strings: &dyn Strings) -> Option<AzureSettings> {
    Some(AzureSettings {
        endpoint: strings.get("AZURE_OPENAI_ENDPOINT")?,
        api_key: Secret::new(strings.get("AZURE_OPENAI_API_KEY")?),
        api_version: strings.get("AZURE_OPENAI_API_VERSION"),
        deployment: strings.get("AZURE_OPENAI_DEPLOYMENT"),
    })
}
