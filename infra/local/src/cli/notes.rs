//! What a user should know about the model that is used.

use convoke_models::prices::PriceBook;
use convoke_runtime::config::Strings;

/// Keys that select nothing by themselves: the provider of each, and a model that it would open.
const KEYS: [(&str, &str, &str); 3] = [
    ("OPENAI_API_KEY", "openai", "gpt-4.1"),
    ("OPENROUTER_API_KEY", "openrouter", "anthropic/claude-sonnet-4"),
    ("AZURE_OPENAI_API_KEY", "azure", "gpt-4.1"),
];

/// A line for each key that merely lies there, with the flag that would use it.
pub fn unused_keys(strings: &dyn Strings, model: &str) -> Vec<String> {
    let provider = model.split('/').next().unwrap_or_default();
    let unused = KEYS.iter().filter(|(key, of, _)| *of != provider && strings.get(key).is_some());
    unused.map(|(key, of, name)| format!("{key} is set and not used; --model {of}/{name} would use it")).collect()
}

/// That a model's cost isn't known, and what that means.
pub fn unpriced(prices: &PriceBook, model: &str, tokens_max: u64) -> Option<String> {
    let free = model.starts_with("embedded/");
    let unknown = !free && prices.facts(model).price().is_none();
    unknown.then(|| {
        format!(
            "no price is known for {model}: its cost counts as $0, and the cap of {tokens_max} tokens alone holds; \
             CONVOKE_PRICES names a file with prices"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_key_that_lies_there_is_named_with_its_flag() {
        let strings: BTreeMap<String, String> = [("OPENAI_API_KEY".to_owned(), "sk-1".to_owned())].into();
        let lines = unused_keys(&strings, "embedded/smollm2-135m-instruct");
        assert_eq!(lines, ["OPENAI_API_KEY is set and not used; --model openai/gpt-4.1 would use it"]);
        assert!(unused_keys(&strings, "openai/gpt-4o").is_empty());
        assert_eq!(unused_keys(&strings, "openrouter/openai/gpt-4o").len(), 1);
    }

    #[test]
    fn a_model_without_a_price_is_named() {
        let book = PriceBook::shipped();
        assert!(unpriced(&book, "compatible/mine", 500).expect("a line").contains("500 tokens"));
        assert_eq!(unpriced(&book, "openai/gpt-4.1", 500), None);
        assert_eq!(unpriced(&book, "embedded/smollm2-135m-instruct", 500), None);
    }
}
