//! What models cost and can hold: a table that comes with the program, and the user's own over it.
//!
//! The table is data (`data/prices.json`, made by `data/make_prices.py`; see `data/NOTICE`). A model that neither
//! names has no price: unknown, never zero. No network here: a newer table comes with a newer program, or in the
//! user's file.

use std::collections::HashMap;
use std::sync::LazyLock;

use convoke_domain::money::{MicroUsd, Price};
use serde::{Deserialize, Deserializer};

/// What is known of one model. Every part may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFacts {
    /// Per million input tokens: micro-dollars as a whole number, or dollars as a string (`"2.50"`).
    #[serde(default, deserialize_with = "usd")]
    pub input_usd_per_mtok: Option<MicroUsd>,
    /// Per million output tokens, in the same two forms.
    #[serde(default, deserialize_with = "usd")]
    pub output_usd_per_mtok: Option<MicroUsd>,
    /// Longest prompt that has this price, in tokens; the answer is counted in, to be safe.
    pub context_tokens: Option<u32>,
    /// Longest answer, in tokens.
    pub output_tokens_max: Option<u32>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether the provider's own JSON-schema mode is known to work with it.
    pub schema: Option<bool>,
    /// Whether it takes a temperature.
    pub sampling: Option<bool>,
}

impl ModelFacts {
    /// The price, where both halves of it are known.
    pub fn price(&self) -> Option<Price> {
        let (input_per_mtok, output_per_mtok) = (self.input_usd_per_mtok?, self.output_usd_per_mtok?);
        Some(Price { input_per_mtok, output_per_mtok })
    }

    /// These facts, with `below`'s where they are silent. A price is taken whole, never half from each.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let priced = if self.price().is_some() { self } else { below };
        Self {
            input_usd_per_mtok: priced.input_usd_per_mtok,
            output_usd_per_mtok: priced.output_usd_per_mtok,
            context_tokens: self.context_tokens.or(below.context_tokens),
            output_tokens_max: self.output_tokens_max.or(below.output_tokens_max),
            tools: self.tools.or(below.tools),
            schema: self.schema.or(below.schema),
            sampling: self.sampling.or(below.sampling),
        }
    }
}

fn usd<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MicroUsd>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Amount {
        Micros(u64),
        Dollars(String),
    }
    match Option::<Amount>::deserialize(from)? {
        None => Ok(None),
        Some(Amount::Micros(micros)) => Ok(Some(MicroUsd(micros))),
        Some(Amount::Dollars(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// Why a price file can't be used. Final until the file is mended.
#[derive(Debug, thiserror::Error)]
#[error("the price file can't be read")]
pub struct PriceFileError(#[source] serde_json::Error);

#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    source: String,
    models: HashMap<String, ModelFacts>,
}

static SHIPPED: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/prices.json")).expect("the table that is built in parses, by its test")
});

/// The facts of all models that are known here.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    own: HashMap<String, ModelFacts>,
}

impl PriceBook {
    /// The table that comes with the program.
    pub fn shipped() -> Self {
        Self::default()
    }

    /// The shipped table with the user's own over it, field by field, from the text of their file:
    /// `{"models": {"openai/gpt-x": {"input_usd_per_mtok": "2.50", "output_usd_per_mtok": "10", "context_tokens": 128000}}}`.
    pub fn with_own(json: &str) -> Result<Self, PriceFileError> {
        let table: Table = serde_json::from_str(json).map_err(PriceFileError)?;
        Ok(Self { own: table.models })
    }

    /// Where the shipped table is from, with its version.
    pub fn source() -> &'static str {
        &SHIPPED.source
    }

    /// What is known of a model (`provider/name`); all `None` where nothing is.
    pub fn facts(&self, name: &str) -> ModelFacts {
        let own = self.own.get(name).copied().unwrap_or_default();
        let shipped = lookups(name).into_iter().find_map(|name| SHIPPED.models.get(&name).copied());
        own.over(shipped.unwrap_or_default())
    }
}

/// The names that a model's facts may stand under, best first.
fn lookups(name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    // OpenRouter passes list prices on; its own price is in each answer.
    if let Some(model) = name.strip_prefix("openrouter/openai/") {
        names.push(format!("openai/{model}"));
    } else if let Some(model) = name.strip_prefix("openrouter/google/") {
        names.push(format!("gemini/{model}"));
    } else if let Some(tuned) = name.strip_prefix("openai/ft:") {
        // ft:base:organisation:suffix:id costs what its base costs when tuned.
        names.extend(tuned.split(':').next().map(|base| format!("openai/ft:{base}")));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_prices_what_people_use() {
        let book = PriceBook::shipped();
        let facts = book.facts("openai/gpt-4.1");
        assert_eq!(
            facts.price(),
            Some(Price { input_per_mtok: MicroUsd::from_usd(2), output_per_mtok: MicroUsd::from_usd(8) })
        );
        assert_eq!((facts.context_tokens, facts.output_tokens_max), (Some(1_047_576), Some(32_768)));
        for name in [
            "azure/gpt-4.1",
            "bedrock/anthropic.claude-sonnet-4-20250514-v1:0",
            "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "gemini/gemini-2.5-pro",
            "vertex/gemini-2.5-pro",
            "openrouter/openai/gpt-4.1",
            "openai/ft:gpt-4o-2024-08-06:acme::abc",
        ] {
            assert!(book.facts(name).price().is_some(), "{name}");
        }
        assert_eq!(PriceBook::source(), "litellm 1.109.1");
    }

    #[test]
    fn no_entry_has_a_price_of_zero_or_an_answer_longer_than_its_context() {
        assert!(SHIPPED.models.len() > 700, "{}", SHIPPED.models.len());
        for (name, facts) in &SHIPPED.models {
            let price = facts.price().expect("complete");
            assert!(price.input_per_mtok.0 + price.output_per_mtok.0 > 0, "{name}");
            if let (Some(context), Some(output)) = (facts.context_tokens, facts.output_tokens_max) {
                assert!(output <= context, "{name}");
            }
        }
    }

    #[test]
    fn a_model_that_gets_dearer_with_long_prompts_is_kept_below() {
        assert_eq!(PriceBook::shipped().facts("gemini/gemini-2.5-pro").context_tokens, Some(200_000));
    }

    #[test]
    fn an_unknown_model_has_no_price() {
        assert_eq!(PriceBook::shipped().facts("openai/gpt-99"), ModelFacts::default());
    }

    #[test]
    fn the_users_file_stands_over_the_table() {
        let book = PriceBook::with_own(
            r#"{"models": {
                "openai/gpt-4.1": {"context_tokens": 9000},
                "compatible/mine": {"input_usd_per_mtok": "0.25", "output_usd_per_mtok": 500000},
                "openai/gpt-4o-mini": {"input_usd_per_mtok": "9"}
            }}"#,
        )
        .expect("valid");
        let facts = book.facts("openai/gpt-4.1");
        assert_eq!(facts.context_tokens, Some(9000));
        assert_eq!(facts.price().map(|price| price.input_per_mtok), Some(MicroUsd::from_usd(2)));
        let mine = book.facts("compatible/mine").price();
        assert_eq!(mine, Some(Price { input_per_mtok: MicroUsd(250_000), output_per_mtok: MicroUsd(500_000) }));
        let half = book.facts("openai/gpt-4o-mini").price().expect("the table's");
        assert_eq!(half.input_per_mtok, MicroUsd(150_000));
    }

    #[test]
    fn a_bad_file_is_refused_with_its_place() {
        for bad in
            ["", "{}", r#"{"models": {"a/b": {"input_usd_per_mtok": "cheap"}}}"#, r#"{"models": {"a/b": {"in": 1}}}"#]
        {
            let error = PriceBook::with_own(bad).expect_err("refused");
            assert!(std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("line")), "{bad}");
        }
    }
}
