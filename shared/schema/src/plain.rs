//! The rules that ask about a value by itself.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use crate::node::{Ask, Bound, Count, Type};
use crate::text::{brief, cut};
use crate::violation::Said;
use crate::{number, same};

/// How many violations of a rule a value is. Most rules ask about one type and are kept by all others.
pub fn violations(ask: &Ask, value: &Value) -> usize {
    let is_kept = match (ask, value) {
        (Ask::Required(names), Value::Object(object)) => return missing(object, names).count(),
        (Ask::Type(types), value) => types.iter().any(|of| is_of(*of, value)),
        (Ask::Const(only, _), value) => same::is_same(only, value),
        (Ask::Enum(options, _), value) => options.iter().any(|option| same::is_same(option, value)),
        (Ask::MultipleOf(of), Value::Number(number)) => number::is_multiple(number, of),
        (Ask::Bound(bound, limit), Value::Number(number)) => beyond(*bound, limit, number).is_none(),
        (Ask::AtMost(of, limit), value) => count(*of, value).is_none_or(|count| count <= *limit),
        (Ask::AtLeast(of, limit), value) => count(*of, value).is_none_or(|count| count >= *limit),
        (Ask::Pattern(pattern), Value::String(text)) => pattern.is_in(text),
        (Ask::UniqueItems, Value::Array(items)) => same::are_unique(items),
        _ => true,
    };
    usize::from(!is_kept)
}

/// What is said of a rule that isn't kept: a sentence for each violation.
pub fn said(ask: &Ask, value: &Value) -> Vec<Said> {
    let said = match (ask, value) {
        (Ask::Required(names), Value::Object(object)) => {
            return missing(object, names).map(|name| required(name)).collect();
        }
        (Ask::Type(types), _) => not_of(types),
        (Ask::Const(only, _), _) => Said::sentence(format!("{} was expected", brief(only))),
        (Ask::Enum(options, _), _) => Said::none_of(options),
        (Ask::MultipleOf(of), _) => Said::around("", &format!(" is not a multiple of {of}")),
        (Ask::Bound(bound, limit), Value::Number(number)) => {
            Said::around("", &format!(" is {} of {limit}", beyond(*bound, limit, number).unwrap_or_default()))
        }
        (Ask::AtMost(Count::Characters, limit), _) => Said::length("longer", *limit),
        (Ask::AtMost(Count::Items, limit), _) => Said::more_than(*limit, "item"),
        (Ask::AtMost(Count::Properties, limit), _) => Said::more_than(*limit, "property"),
        (Ask::AtLeast(Count::Characters, limit), _) => Said::length("shorter", *limit),
        (Ask::AtLeast(Count::Items, limit), _) => Said::less_than(*limit, "item"),
        (Ask::AtLeast(Count::Properties, limit), _) => Said::less_than(*limit, "property"),
        (Ask::Pattern(pattern), _) => Said::around("", &format!(" does not match \"{}\"", cut(pattern.text()))),
        (Ask::UniqueItems, _) => Said::around("", " has non-unique elements"),
        _ => return Vec::new(),
    };
    vec![said]
}

/// How much work it is to ask that, beyond what every rule is.
pub fn work(ask: &Ask, value: &Value) -> usize {
    let is_made_of_others = value.is_array() || value.is_object();
    match (ask, value) {
        (Ask::Pattern(pattern), Value::String(text)) => pattern.work(text),
        (Ask::UniqueItems, Value::Array(_)) => same::size(value),
        (Ask::Const(_, size) | Ask::Enum(_, size), _) if is_made_of_others => *size,
        (Ask::Const(..), Value::String(text)) => text.len() / 16,
        (Ask::Enum(options, _), Value::String(text)) => options.len() * (1 + text.len() / 16),
        (Ask::Enum(options, _), _) => options.len(),
        (Ask::Required(names), _) => names.iter().map(|name| 1 + name.len() / 16).sum(),
        (Ask::AtMost(Count::Characters, _) | Ask::AtLeast(Count::Characters, _), Value::String(text)) => {
            text.len() / 16
        }
        _ => 0,
    }
}

/// The names that an object doesn't have.
pub fn missing<'n>(object: &Map<String, Value>, names: &'n [String]) -> impl Iterator<Item = &'n String> {
    names.iter().filter(|name| !object.contains_key(*name))
}

/// What is said of a name that is missing.
pub fn required(name: &str) -> Said {
    Said::sentence(format!("{:?} is a required property", cut(name)))
}

fn is_of(of: Type, value: &Value) -> bool {
    match (of, value) {
        (Type::Integer, Value::Number(number)) => number::is_integer(number),
        (Type::Array, Value::Array(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Null, Value::Null)
        | (Type::Number, Value::Number(_))
        | (Type::Object, Value::Object(_))
        | (Type::String, Value::String(_)) => true,
        _ => false,
    }
}

fn not_of(types: &[Type]) -> Said {
    let names: Vec<String> = types.iter().map(|of| format!("\"{}\"", of.name())).collect();
    let what = if names.len() == 1 { "type" } else { "types" };
    Said::around("", &format!(" is not of {what} {}", names.join(", ")))
}

/// On which wrong side of its bound a number is.
fn beyond(bound: Bound, limit: &Number, number: &Number) -> Option<&'static str> {
    let order = number::compare(number, limit);
    match bound {
        Bound::Maximum if order == Ordering::Greater => Some("greater than the maximum"),
        Bound::ExclusiveMaximum if order != Ordering::Less => Some("greater than or equal to the maximum"),
        Bound::Minimum if order == Ordering::Less => Some("less than the minimum"),
        Bound::ExclusiveMinimum if order != Ordering::Greater => Some("less than or equal to the minimum"),
        _ => None,
    }
}

fn count(of: Count, value: &Value) -> Option<u64> {
    let count = match (of, value) {
        (Count::Characters, Value::String(text)) => text.chars().count(),
        (Count::Items, Value::Array(items)) => items.len(),
        (Count::Properties, Value::Object(object)) => object.len(),
        _ => return None,
    };
    u64::try_from(count).ok()
}
