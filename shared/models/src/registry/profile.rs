//! What is believed of a model, out of the price book, its owner's word, and what is usual for its provider.

use convoke_app::model::ModelProfile;

use super::settings::Capabilities;
use crate::prices::PriceBook;

/// All that is known of a model before it is asked.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) profile: ModelProfile,
    /// Whether to try the provider's JSON-schema mode.
    pub(super) json_schema: bool,
    /// Whether to send a temperature.
    pub(super) sampling: bool,
}

/// What is usual for a provider's models, where nothing is known of one.
struct Usual {
    context_tokens: u32,
    output_tokens_max: u32,
    capable: bool,
    json_schema: bool,
}

impl Usual {
    fn of(name: &str) -> Self {
        let provider = name.split('/').next().unwrap_or_default();
        let (context_tokens, output_tokens_max) = match provider {
            "openai" | "azure" => (128_000, 16_384),
            "ollama" => (4_096, 2_048),
            _ => (32_768, 8_192),
        };
        Self { context_tokens, output_tokens_max, capable: provider != "ollama", json_schema: provider != "bedrock" }
    }
}

impl Known {
    /// What is known of a model by its full name.
    pub(super) fn of(name: &str, prices: &PriceBook, own: Capabilities) -> Self {
        let facts = prices.facts(name);
        let usual = Usual::of(name);
        let context_tokens = own.context_tokens.or(facts.context_tokens).unwrap_or(usual.context_tokens).max(2);
        let longest = own.output_tokens_max.or(facts.output_tokens_max).unwrap_or(usual.output_tokens_max);
        Self {
            profile: ModelProfile {
                name: name.to_owned(),
                context_tokens,
                // Half is left for the prompt.
                output_tokens_max: longest.clamp(1, context_tokens / 2),
                capable: own.capable.or(facts.tools).unwrap_or(usual.capable),
                price: own.price.or(facts.price()),
            },
            json_schema: own.json_schema.or(facts.schema).unwrap_or(usual.json_schema),
            sampling: facts.sampling.unwrap_or(true),
        }
    }
}
