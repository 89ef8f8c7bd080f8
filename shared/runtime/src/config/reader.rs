//! Reading settings one by one, and collecting what is wrong with them.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{Mistakes, Strings};

/// Reads settings and collects what is wrong with them.
pub struct Reader<'a> {
    strings: &'a dyn Strings,
    mistakes: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Reads from these settings.
    pub const fn new(strings: &'a dyn Strings) -> Self {
        Self { strings, mistakes: Vec::new() }
    }

    /// The setting, which has to be there; `what` says what to set it to.
    pub fn required(&mut self, name: &str, what: &str) -> String {
        self.strings.get(name).unwrap_or_else(|| {
            self.wrong(name, format_args!("is missing: set it to {what}"));
            String::new()
        })
    }

    /// The setting as text, if it is there.
    pub fn text(&self, name: &str) -> Option<String> {
        self.strings.get(name)
    }

    /// The setting as `T`, if it is there; `expected` says what it looks like.
    pub fn optional<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let value = self.strings.get(name)?.trim().parse().ok();
        if value.is_none() {
            self.wrong(name, format_args!("can't be read: set it to {expected}, or take it away"));
        }
        value
    }

    /// The setting as a number of that range, if it is there.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.strings.get(name)?.trim().parse().ok().filter(|value| range.contains(value));
        if value.is_none() {
            let (least, most) = range.into_inner();
            self.wrong(name, format_args!("is no number from {least} to {most}: change it, or take it away"));
        }
        value
    }

    /// Notes what is wrong with a setting, and what to do.
    pub fn wrong(&mut self, name: &str, what: impl std::fmt::Display) {
        self.mistakes.push(format!("{name} {what}"));
    }

    /// `value`, if nothing was wrong; else all mistakes.
    pub fn end<T>(self, value: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() { Ok(value) } else { Err(Mistakes(self.mistakes)) }
    }
}
