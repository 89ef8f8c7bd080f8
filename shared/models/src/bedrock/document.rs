//! JSON between serde's type and Smithy's.

use aws_smithy_types::{Document, Number};
use serde_json::Value;

/// JSON as a document. The order of keys is lost: Smithy keeps none.
pub(super) fn to_document(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(flag) => Document::Bool(*flag),
        Value::Number(number) => Document::Number(to_number(number)),
        Value::String(text) => Document::String(text.clone()),
        Value::Array(items) => Document::Array(items.iter().map(to_document).collect()),
        Value::Object(fields) => {
            Document::Object(fields.iter().map(|(name, value)| (name.clone(), to_document(value))).collect())
        }
    }
}

fn to_number(number: &serde_json::Number) -> Number {
    if let Some(positive) = number.as_u64() {
        Number::PosInt(positive)
    } else if let Some(negative) = number.as_i64() {
        Number::NegInt(negative)
    } else {
        Number::Float(number.as_f64().unwrap_or_default())
    }
}

/// A document as JSON, its keys in alphabetical order so that equal documents are equal texts.
pub(super) fn to_value(document: &Document) -> Value {
    match document {
        Document::Bool(flag) => Value::Bool(*flag),
        Document::Number(number) => match *number {
            Number::PosInt(positive) => positive.into(),
            Number::NegInt(negative) => negative.into(),
            Number::Float(float) => float.into(),
        },
        Document::String(text) => Value::String(text.clone()),
        Document::Array(items) => items.iter().map(to_value).collect(),
        Document::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            Value::Object(sorted.into_iter().map(|(name, value)| (name.clone(), to_value(value))).collect())
        }
        Document::Null => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_the_way_there_and_back() {
        let value = json!({"a": null, "b": [true, 1, -2, 0.5, u64::MAX, i64::MIN], "c": {"": "é\u{0}"}, "d": []});
        assert_eq!(to_value(&to_document(&value)), value);
        assert_eq!(to_value(&to_document(&value)).to_string(), value.to_string());
    }
}
