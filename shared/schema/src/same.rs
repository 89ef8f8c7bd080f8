//! When two values are the same one: `1` is `1.0`, and the order of an object's names says nothing.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::number;

/// Whether two values are the same one.
pub fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => number::is_same(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_there = |(name, one): (&String, &Value)| other.get(name).is_some_and(|other| is_same(one, other));
            one.len() == other.len() && one.iter().all(is_there)
        }
        _ => one == other,
    }
}

/// How much there is of a value: what comparing it takes at most.
pub fn size(value: &Value) -> usize {
    1 + match value {
        Value::String(text) => text.len() / 8,
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| 1 + name.len() / 8 + size(value)).sum(),
        Value::Number(_) | Value::Bool(_) | Value::Null => 0,
    }
}

/// Whether no value is there twice; in the time that it takes to read them.
pub fn are_unique(values: &[Value]) -> bool {
    let mut met = HashSet::new();
    values.iter().all(|value| {
        let mut text = String::new();
        write_canonical(value, &mut text);
        met.insert(text)
    })
}

/// A text that two values share where they are the same one.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) => text.push_str(&number::canonical(number)),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            text.push('{');
            for name in names {
                let _ = write!(text, "{name:?}:");
                write_canonical(&fields[name], text);
                text.push(',');
            }
            text.push('}');
        }
        Value::String(string) => drop(write!(text, "{string:?}")),
        Value::Bool(_) | Value::Null => drop(write!(text, "{value}")),
    }
}
