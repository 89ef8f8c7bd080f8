//! Configuration from the environment: one struct per concern, all mistakes told at once, no silent defaults for what
//! has to be said (a missing setting stops the start).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use convoke_app::platform::Limits;
use convoke_domain::money::MicroUsd;

/// Where settings come from.
pub trait Strings {
    /// The value of a setting; an empty one counts as missing.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Strings for ProcessEnv {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.trim().is_empty())
    }
}

impl Strings for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned().filter(|value| !value.trim().is_empty())
    }
}

/// All that is wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is incomplete: {}", self.0.join("; "))
    }
}

impl std::error::Error for Mistakes {}

/// Reads settings and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    strings: &'a dyn Strings,
    mistakes: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(strings: &'a dyn Strings) -> Self {
        Self { strings, mistakes: Vec::new() }
    }

    pub(crate) fn required(&mut self, name: &str, what: &str) -> String {
        self.strings.get(name).unwrap_or_else(|| {
            self.mistakes.push(format!("{name} is missing ({what})"));
            String::new()
        })
    }

    pub(crate) fn optional<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let text = self.strings.get(name)?;
        let value = text.trim().parse().ok();
        if value.is_none() {
            self.mistakes.push(format!("{name} isn't {expected}"));
        }
        value
    }

    pub(crate) fn end<T>(self, value: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() { Ok(value) } else { Err(Mistakes(self.mistakes)) }
    }
}

/// Where state, messages and files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stores {
    /// The table.
    pub table: String,
    /// URL of the step queue.
    pub queue_url: String,
    /// URL of the queue whose batches have one message.
    pub solo_queue_url: String,
    /// The bucket.
    pub bucket: String,
}

impl Stores {
    /// Reads `TABLE`, `QUEUE_URL`, `SOLO_QUEUE_URL` and `BUCKET`.
    pub fn read(strings: &dyn Strings) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(strings);
        let stores = Self {
            table: reader.required("TABLE", "name of the table"),
            queue_url: reader.required("QUEUE_URL", "URL of the step queue"),
            solo_queue_url: reader.required("SOLO_QUEUE_URL", "URL of the queue for steps that lost their worker"),
            bucket: reader.required("BUCKET", "name of the bucket"),
        };
        reader.end(stores)
    }
}

/// Reads the limits: `CONVOKE_BUDGET_USD`, `CONVOKE_BUDGET_TOKENS` (a job's default cap), `CONVOKE_BUDGET_MAX_USD`,
/// `CONVOKE_DEADLINE_S`, `CONVOKE_MODEL_TIMEOUT_S`, `CONVOKE_IN_PLACE_S`, `CONVOKE_PRESIGN_S`; what isn't set has its
/// documented default.
pub fn limits(strings: &dyn Strings) -> Result<Limits, Mistakes> {
    let mut reader = Reader::new(strings);
    let mut limits = Limits::default();
    let dollars = "dollars such as 1.50";
    let seconds = "a number of seconds";
    if let Some(usd) = reader.optional::<MicroUsd>("CONVOKE_BUDGET_USD", dollars) {
        limits.budget_default.usd = usd;
    }
    if let Some(tokens) = reader.optional("CONVOKE_BUDGET_TOKENS", "a number of tokens") {
        limits.budget_default.tokens = tokens;
    }
    if let Some(usd) = reader.optional::<MicroUsd>("CONVOKE_BUDGET_MAX_USD", dollars) {
        limits.budget_max.usd = usd;
    }
    for (name, limit) in [
        ("CONVOKE_DEADLINE_S", &mut limits.deadline_default),
        ("CONVOKE_MODEL_TIMEOUT_S", &mut limits.model_timeout),
        ("CONVOKE_IN_PLACE_S", &mut limits.in_place_max),
        ("CONVOKE_PRESIGN_S", &mut limits.presign_ttl),
    ] {
        if let Some(value) = reader.optional(name, seconds) {
            *limit = Duration::from_secs(value);
        }
    }
    reader.end(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_missing_setting_is_named_at_once() {
        let error = Stores::read(&strings(&[("TABLE", "t"), ("BUCKET", " ")])).expect_err("incomplete").to_string();
        for name in ["QUEUE_URL", "SOLO_QUEUE_URL", "BUCKET"] {
            assert!(error.contains(name), "{error}");
        }
        assert!(!error.contains("TABLE is"), "{error}");
    }

    #[test]
    fn limits_have_defaults_and_are_parsed_strictly() {
        let read = limits(&strings(&[("CONVOKE_BUDGET_USD", "2.50"), ("CONVOKE_PRESIGN_S", "5")])).expect("valid");
        assert_eq!(read.budget_default.usd, MicroUsd(2_500_000));
        assert_eq!(read.presign_ttl, Duration::from_secs(5));
        assert_eq!(read.model_timeout, Limits::default().model_timeout);
        assert!(limits(&strings(&[("CONVOKE_BUDGET_USD", "-1")])).is_err());
    }
}
