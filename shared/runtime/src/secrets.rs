//! Keys of providers and tokens of bots that settings don't hold but name: where `NAME_PARAMETER` is set, it is the name of the parameter of
//! SSM that holds what `NAME` would (a `SecureString`, or `/aws/reference/secretsmanager/..` for one of Secrets Manager).
//!
//! A key in the environment can be read by whoever may look at the function; one in SSM by the function's role alone.

use std::collections::BTreeMap;

use crate::config::Strings;
use crate::ssm::{Ssm, SsmError};

/// The settings of models that may be named instead.
pub const SECRETS: [&str; 4] =
    ["OPENAI_API_KEY", "OPENROUTER_API_KEY", "AZURE_OPENAI_API_KEY", "CONVOKE_COMPATIBLE_API_KEY"];

/// The settings of Discord that may be named instead.
pub const OF_DISCORD: [&str; 1] = ["DISCORD_TOKEN"];

/// The settings of Telegram that may be named instead.
pub const OF_TELEGRAM: [&str; 1] = ["TELEGRAM_TOKEN"];

/// What the setting with a parameter's name is called.
pub fn parameter_of(name: &str) -> String {
    format!("{name}_PARAMETER")
}

/// Those of these secrets that are named, each with its parameter. One that is set stands over its name.
pub fn named(strings: &dyn Strings, secrets: &[&'static str]) -> BTreeMap<&'static str, String> {
    let is_unset = |name: &&str| strings.get(name).is_none();
    let named = |name| Some((name, strings.get(&parameter_of(name))?.trim().to_owned()));
    secrets.iter().copied().filter(is_unset).filter_map(named).collect()
}

/// The same with their values. [`SsmError::Missing`] names what isn't there.
pub async fn fetched(
    ssm: &Ssm,
    named: &BTreeMap<&'static str, String>,
) -> Result<BTreeMap<&'static str, String>, SsmError> {
    let mut values = BTreeMap::new();
    for (&name, parameter) in named {
        values.insert(name, ssm.value(parameter).await?);
    }
    Ok(values)
}

/// Settings, and secrets beside them.
pub struct WithSecrets<'a> {
    strings: &'a dyn Strings,
    secrets: BTreeMap<&'static str, String>,
}

impl<'a> WithSecrets<'a> {
    /// Secrets by name. A process that calls no model has the parameters' names for values: that one is set up is all it
    /// needs to know.
    pub const fn new(strings: &'a dyn Strings, secrets: BTreeMap<&'static str, String>) -> Self {
        Self { strings, secrets }
    }
}

impl Strings for WithSecrets<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.strings.get(name).or_else(|| self.secrets.get(name).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_secret_that_is_set_stands_over_the_name_of_one() {
        let strings = strings(&[
            ("OPENAI_API_KEY", "sk-1"),
            ("OPENAI_API_KEY_PARAMETER", "/convoke/openai"),
            ("OPENROUTER_API_KEY_PARAMETER", "/convoke/openrouter"),
            ("AZURE_OPENAI_API_KEY_PARAMETER", ""),
            ("CONVOKE_MODEL_PARAMETER", "/convoke/model"),
        ]);
        let named = named(&strings, &SECRETS);
        assert_eq!(named, BTreeMap::from([("OPENROUTER_API_KEY", "/convoke/openrouter".to_owned())]));
        let both = WithSecrets::new(&strings, BTreeMap::from([("OPENROUTER_API_KEY", "sk-2".to_owned())]));
        assert_eq!(both.get("OPENAI_API_KEY").as_deref(), Some("sk-1"));
        assert_eq!(both.get("OPENROUTER_API_KEY").as_deref(), Some("sk-2"));
        assert_eq!(both.get("AZURE_OPENAI_API_KEY"), None);
    }
}
