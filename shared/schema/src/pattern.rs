//! Patterns: matched in linear time, and weighed, so that their time can be counted.

use regex_lite::{Regex, RegexBuilder};

use crate::text::cut;

/// Bytes that a compiled pattern may take; the least that is enough says what it weighs.
const BYTES: [usize; 5] = [1 << 11, 1 << 13, 1 << 15, 1 << 17, 1 << 18];

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    /// Bytes that it takes at most.
    bytes: usize,
}

impl Pattern {
    /// Compiles it; the error says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut problem = String::new();
        for bytes in BYTES {
            match RegexBuilder::new(text).size_limit(bytes).build() {
                Ok(regex) => return Ok(Self { regex, bytes }),
                Err(error) => problem = error.to_string(),
            }
        }
        Err(format!("{:?} is not a pattern that can be used: {problem}", cut(text)))
    }

    /// Bytes that it takes at most, those for searching included: where each of its groups is, for each of its states.
    pub fn memory(&self) -> usize {
        self.bytes * self.regex.captures_len()
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether it is found in a text.
    pub fn is_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// How much work it is to look for it: each of its states may be alive at each byte.
    pub fn work(&self, text: &str) -> usize {
        (text.len() + 1) * (self.bytes / BYTES[0])
    }
}
