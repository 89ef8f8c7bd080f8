//! Reading and writing items: every attribute that is missing or of another type is [`PortError::Corrupt`], with its name.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use convoke_app::ports::PortError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::schema::{BODY, PK, SK, V};

/// An item, or a map inside of one.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Version of all shapes that this code writes, and the only one there is so far.
pub(crate) const VERSION: u32 = 1;

/// A string.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number.
pub(crate) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A map.
pub(crate) fn map<K: Display>(entries: impl IntoIterator<Item = (K, AttributeValue)>) -> AttributeValue {
    AttributeValue::M(entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
}

/// The key of an item.
pub(crate) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::from([(PK.to_owned(), text(pk)), (SK.to_owned(), text(sk))])
}

/// A new item with its version.
pub(crate) fn item(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    let mut item = key(pk, sk);
    item.put(V, number(VERSION));
    item
}

/// A new item whose content is one JSON text. Text, because it comes back as it went in: the table's own maps forget the
/// order of keys, and its numbers the difference between `1` and `1.0`.
pub(crate) fn document<T: Serialize>(pk: String, sk: String, content: &T) -> Result<Item, PortError> {
    let json = serde_json::to_string(content)
        .map_err(|error| PortError::Corrupt { what: format!("{pk} {sk}"), detail: error.to_string() })?;
    let mut item = item(pk, sk);
    item.put(BODY, text(json));
    Ok(item)
}

/// Sets attributes.
pub(crate) trait Put {
    /// Sets one.
    fn put(&mut self, name: &str, value: AttributeValue);
}

impl Put for Item {
    fn put(&mut self, name: &str, value: AttributeValue) {
        self.insert(name.to_owned(), value);
    }
}

/// An item to be read.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    item: &'a Item,
    what: String,
}

impl<'a> Fields<'a> {
    /// An item of the table; one of a version that this code doesn't know is corrupt to it.
    pub(crate) fn of(item: &'a Item) -> Result<Self, PortError> {
        let part = |name| item.get(name).and_then(|value| value.as_s().ok()).map_or("?", String::as_str);
        let fields = Self { item, what: format!("{} {}", part(PK), part(SK)) };
        match fields.number::<u32>(V)? {
            VERSION => Ok(fields),
            other => Err(fields.corrupt(V, format_args!("version {other} of the shape is unknown"))),
        }
    }

    /// What an index projects of an item: no version.
    pub(crate) fn of_index(item: &'a Item) -> Self {
        Self { item, what: "a row of an index".to_owned() }
    }

    /// A map inside of this item.
    pub(crate) fn map(&self, name: &str) -> Result<Self, PortError> {
        self.opt_map(name)?.ok_or_else(|| self.corrupt(name, "missing"))
    }

    /// A map that may be absent.
    pub(crate) fn opt_map(&self, name: &str) -> Result<Option<Self>, PortError> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::M(item)) => Ok(Some(Self { item, what: format!("{}.{name}", self.what) })),
            Some(_) => Err(self.corrupt(name, "no map")),
        }
    }

    /// A string.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, PortError> {
        self.opt_text(name)?.ok_or_else(|| self.corrupt(name, "missing"))
    }

    /// A string that may be absent.
    pub(crate) fn opt_text(&self, name: &str) -> Result<Option<&'a str>, PortError> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(self.corrupt(name, "no string")),
        }
    }

    /// A string in a form of its own.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, PortError> {
        self.text(name)?.parse().map_err(|error| self.corrupt(name, error))
    }

    /// A number.
    pub(crate) fn number<N: FromStr<Err: Display>>(&self, name: &str) -> Result<N, PortError> {
        self.opt_number(name)?.ok_or_else(|| self.corrupt(name, "missing"))
    }

    /// A number that may be absent.
    pub(crate) fn opt_number<N: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<N>, PortError> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(digits)) => digits.parse().map(Some).map_err(|error| self.corrupt(name, error)),
            Some(_) => Err(self.corrupt(name, "no number")),
        }
    }

    /// A closed set's word, as serde spells it.
    pub(crate) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<T, PortError> {
        let word = serde_json::Value::from(self.text(name)?);
        serde_json::from_value(word).map_err(|error| self.corrupt(name, error))
    }

    /// The content of a [`document`].
    pub(crate) fn content<T: DeserializeOwned>(&self) -> Result<T, PortError> {
        serde_json::from_str(self.text(BODY)?).map_err(|error| self.corrupt(BODY, error))
    }

    /// The names of all attributes, parsed.
    pub(crate) fn keys<K: FromStr<Err: Display>>(&self) -> impl Iterator<Item = Result<(K, &'a str), PortError>> {
        self.item.keys().map(|name| match name.parse() {
            Ok(key) => Ok((key, name.as_str())),
            Err(error) => Err(self.corrupt(name, error)),
        })
    }

    /// What is wrong with an attribute.
    pub(crate) fn corrupt(&self, name: &str, detail: impl Display) -> PortError {
        PortError::Corrupt { what: self.what.clone(), detail: format!("{name}: {detail}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_of_another_type_is_named() {
        let mut stored = item("T#a", "J");
        stored.put("last", number(1));
        let fields = Fields::of(&stored).expect("a version");
        for (error, detail) in [
            (fields.text("last").map(drop).expect_err("a number"), "last: no string"),
            (fields.number::<u64>("ver").map(drop).expect_err("nothing"), "ver: missing"),
            (fields.map("last").map(drop).expect_err("a number"), "last: no map"),
        ] {
            assert_eq!(error.to_string(), format!("T#a J is stored in a form that can't be read: {detail}"));
        }
    }

    #[test]
    fn a_later_version_is_not_guessed_at() {
        let mut stored = item("T#a", "J");
        stored.put(V, number(2));
        assert!(matches!(Fields::of(&stored), Err(PortError::Corrupt { .. })));
    }
}
