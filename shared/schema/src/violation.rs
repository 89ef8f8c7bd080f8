//! What is wrong with a value.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::text::{LISTED_MAX, brief, cut};

/// A part of a value that isn't what the schema asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation<'i> {
    /// Where in the value, as a JSON pointer.
    pub place: String,
    /// The schema that isn't kept, as a JSON pointer.
    pub schema: String,
    /// Its keyword; empty where the schema is `false`.
    pub keyword: &'static str,
    /// The value may well be valid, but finding out takes more than [`crate::WORK_MAX`] or [`crate::DEPTH_MAX`].
    pub is_limit: bool,
    pub(crate) value: Cow<'i, Value>,
    pub(crate) said: Said,
}

/// A sentence around the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Before it.
    pub before: String,
    /// Whether it is in the sentence at all.
    pub has_value: bool,
    /// After it.
    pub after: String,
}

impl Said {
    /// What needs no value.
    pub fn sentence(before: String) -> Self {
        Self { before, ..Self::default() }
    }

    /// What stands before and behind the value.
    pub fn around(before: &str, after: &str) -> Self {
        Self { before: before.to_owned(), has_value: true, after: after.to_owned() }
    }

    /// That a text has another length.
    pub fn length(than: &str, limit: u64) -> Self {
        Self::around("", &format!(" is {than} than {}", counted(limit, "character")))
    }

    /// That there is more of something.
    pub fn more_than(limit: u64, of: &str) -> Self {
        Self::around("", &format!(" has more than {}", counted(limit, of)))
    }

    /// That there is less of something.
    pub fn less_than(limit: u64, of: &str) -> Self {
        Self::around("", &format!(" has less than {}", counted(limit, of)))
    }

    /// That there is what mustn't be.
    pub fn unexpected(what: &str, names: impl ExactSizeIterator<Item = String>) -> Self {
        let count = names.len();
        let mut listed: Vec<String> = names.take(LISTED_MAX).map(|name| format!("'{}'", cut(&name))).collect();
        listed.extend((count > LISTED_MAX).then(|| format!("{} more", count - LISTED_MAX)));
        let were = if count == 1 { "was" } else { "were" };
        Self::sentence(format!("{what} are not allowed ({} {were} unexpected)", listed.join(", ")))
    }

    /// That the value isn't among these.
    pub fn none_of(options: &[Value]) -> Self {
        let mut options: Vec<String> = options.iter().take(LISTED_MAX + 1).map(brief).collect();
        let more = options.len() > LISTED_MAX;
        options.truncate(LISTED_MAX);
        let last = if more { Some("others".to_owned()) } else { options.pop() };
        let last = last.unwrap_or_default();
        let listed = if options.is_empty() { last } else { format!("{} or {last}", options.join(", ")) };
        Self::around("", &format!(" is not one of {listed}"))
    }
}

fn counted(count: u64, of: &str) -> String {
    match (count, of.strip_suffix('y')) {
        (1, _) => format!("1 {of}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {of}s"),
    }
}

impl Violation<'_> {
    /// The sentence without the value in it, which may be long, or nobody's business.
    pub fn masked(&self) -> String {
        let value = if self.said.has_value { "value" } else { "" };
        format!("{}{value}{}", self.said.before, self.said.after)
    }

    pub(crate) fn owned<'o>(self) -> Violation<'o> {
        let Self { place, schema, keyword, is_limit, value, said } = self;
        Violation { place, schema, keyword, is_limit, value: Cow::Owned(value.into_owned()), said }
    }
}

/// The sentence, with the value in it.
impl fmt::Display for Violation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said.before)?;
        if self.said.has_value {
            write!(f, "{}", self.value)?;
        }
        f.write_str(&self.said.after)
    }
}

/// What is wrong with a value, as far as it was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Violations<'i> {
    /// The first.
    pub first: Vec<Violation<'i>>,
    /// How many there are besides, at least.
    pub more: usize,
}

impl Violations<'_> {
    /// Whether the value is valid.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.more == 0
    }
}
