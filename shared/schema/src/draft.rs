//! The drafts, and what differs between them.

use serde_json::Value;

use crate::SchemaError;
use crate::text::brief;

/// A draft of JSON Schema, older before newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Draft {
    /// Draft 4.
    Four,
    /// Draft 6.
    Six,
    /// Draft 7.
    Seven,
    /// Draft 2019-09.
    Y2019,
    /// Draft 2020-12.
    Y2020,
}

impl Draft {
    /// The draft that a document names, or the newest.
    pub fn of(document: &Value) -> Result<Self, SchemaError> {
        let Some(named) = document.get("$schema") else { return Ok(Self::Y2020) };
        let uri = named.as_str().unwrap_or_default().trim_end_matches('#');
        let uri = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://")).unwrap_or(uri);
        Ok(match uri {
            "json-schema.org/draft-04/schema" => Self::Four,
            "json-schema.org/draft-06/schema" => Self::Six,
            "json-schema.org/draft-07/schema" => Self::Seven,
            "json-schema.org/draft/2019-09/schema" => Self::Y2019,
            "json-schema.org/draft/2020-12/schema" | "json-schema.org/schema" => Self::Y2020,
            _ => {
                let problem =
                    format!("{} is no draft that is known: write draft 4, 6, 7, 2019-09 or 2020-12", brief(named));
                return Err(SchemaError { pointer: "/$schema".to_owned(), problem });
            }
        })
    }

    /// The keyword that names a schema.
    pub fn id(self) -> &'static str {
        if self == Self::Four { "id" } else { "$id" }
    }

    /// Whether a `$ref` is all that counts of its schema.
    pub fn ref_stands_alone(self) -> bool {
        self <= Self::Seven
    }

    /// Whether a keyword means something. Those that all drafts have, or that no other draft uses for something else,
    /// always do.
    pub fn knows(self, keyword: &str) -> bool {
        match keyword {
            "prefixItems" | "$dynamicRef" => self == Self::Y2020,
            "$recursiveRef" => self == Self::Y2019,
            "additionalItems" => self <= Self::Y2019,
            "dependentRequired" | "dependentSchemas" | "unevaluatedItems" | "unevaluatedProperties" => {
                self >= Self::Y2019
            }
            "if" => self >= Self::Seven,
            "const" | "contains" | "propertyNames" => self >= Self::Six,
            _ => true,
        }
    }
}
