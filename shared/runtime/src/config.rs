//! Configuration: one struct per concern, read from a source of strings, so that tests set no environment.
//!
//! All mistakes are told at once, each with the setting's name and what to do. What has to be said has no silent
//! default: a missing setting stops the start.

mod limits;
mod reader;

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display, Formatter};

pub use limits::limits;
pub use reader::Reader;

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

/// All that is wrong with a configuration. Final: an operator has to change settings. Never holds a value, which may be
/// a secret, but for the path of a file that can't be used.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    /// Both results, or the mistakes of both.
    pub fn both<A, B>(first: Result<A, Self>, second: Result<B, Self>) -> Result<(A, B), Self> {
        match (first, second) {
            (Ok(first), Ok(second)) => Ok((first, second)),
            (Err(mistakes), Ok(_)) | (Ok(_), Err(mistakes)) => Err(mistakes),
            (Err(Self(mut all)), Err(Self(more))) => {
                all.extend(more);
                Err(Self(all))
            }
        }
    }

    /// Each mistake: the setting's name, what is wrong with it, what to do.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl Display for Mistakes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "the settings don't do: {}", self.0.join("; "))
    }
}

impl Debug for Mistakes {
    /// As [`Display`]: what a `main` that fails prints.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl std::error::Error for Mistakes {}

/// Where state, messages and files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stores {
    /// The table.
    pub table: String,
    /// URL of the step queue.
    pub queue_url: String,
    /// URL of the queue whose batches have one message.
    pub solo_queue_url: String,
    /// URL of the queue of deliveries.
    pub delivery_queue_url: String,
    /// The bucket.
    pub bucket: String,
}

impl Stores {
    /// Reads `TABLE`, `QUEUE_URL`, `SOLO_QUEUE_URL`, `DELIVERY_QUEUE_URL` and `BUCKET`; all are required.
    pub fn read(strings: &dyn Strings) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(strings);
        let stores = Self {
            table: reader.required("TABLE", "the name of the table"),
            queue_url: reader.required("QUEUE_URL", "the URL of the step queue"),
            solo_queue_url: reader.required("SOLO_QUEUE_URL", "the URL of the queue whose batches have one message"),
            delivery_queue_url: reader.required("DELIVERY_QUEUE_URL", "the URL of the queue of deliveries"),
            bucket: reader.required("BUCKET", "the name of the bucket"),
        };
        reader.end(stores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_missing_setting_is_named_at_once_with_what_to_do() {
        let error = Stores::read(&strings(&[("TABLE", "t"), ("BUCKET", " ")])).expect_err("incomplete");
        assert_eq!(
            error.to_string(),
            "the settings don't do: QUEUE_URL is missing: set it to the URL of the step queue; \
             SOLO_QUEUE_URL is missing: set it to the URL of the queue whose batches have one message; \
             DELIVERY_QUEUE_URL is missing: set it to the URL of the queue of deliveries; \
             BUCKET is missing: set it to the name of the bucket"
        );
        assert_eq!(format!("{error:?}"), error.to_string());
    }

    #[test]
    fn mistakes_of_several_concerns_are_told_together() {
        let nothing = strings(&[("CONVOKE_TURNS_MAX", "many")]);
        let error = Mistakes::both(Stores::read(&nothing), limits(&nothing)).expect_err("nothing is set");
        let named: Vec<&str> = error.iter().filter_map(|mistake| mistake.split(' ').next()).collect();
        assert_eq!(
            named,
            ["TABLE", "QUEUE_URL", "SOLO_QUEUE_URL", "DELIVERY_QUEUE_URL", "BUCKET", "CONVOKE_TURNS_MAX"]
        );
    }
}
