//! Operators and functions of expressions over JSON.

use std::cmp::Ordering;

use cel::common::ast::operators;
use serde_json::{Number, Value};

use super::ExprError;
use super::eval::{Meter, size};

/// Applies an operator or function; a method's target is its first operand.
pub(super) fn apply(name: &str, operands: &[&Value], meter: &mut Meter) -> Result<Value, ExprError> {
    match operands {
        [operand] => unary(name, operand, meter),
        [left, right] => binary(name, [left, right], meter),
        _ => Err(ExprError::UnknownFunction(name.to_owned())),
    }
}

/// "`+` doesn't take a string and a list".
pub(super) fn mismatch(operation: &str, operands: &[&Value]) -> ExprError {
    let operands: Vec<&str> = operands.iter().map(|operand| kind(operand)).collect();
    ExprError::Type { operation: operation.replace('_', " ").trim().to_owned(), operands: operands.join(" and ") }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "double",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

fn unary(name: &str, operand: &Value, meter: &mut Meter) -> Result<Value, ExprError> {
    meter.look(operand)?;
    match (name, operand) {
        (operators::LOGICAL_NOT, Value::Bool(value)) => Ok(Value::Bool(!value)),
        (operators::NEGATE, Value::Number(number)) => negated(number),
        ("size", Value::String(text)) => Ok(text.chars().count().into()),
        ("size", Value::Array(items)) => Ok(items.len().into()),
        ("size", Value::Object(fields)) => Ok(fields.len().into()),
        ("string", Value::String(_)) | ("bool", Value::Bool(_)) => Ok(operand.clone()),
        ("string", Value::Number(_) | Value::Bool(_)) => Ok(operand.to_string().into()),
        ("int", Value::Number(number)) => integer(number).map(Value::from),
        ("int", Value::String(text)) => {
            text.trim().parse::<i64>().map(Value::from).map_err(|_| mismatch(name, &[operand]))
        }
        ("double", Value::Number(number)) => double(float(number)),
        ("double", Value::String(text)) => text.trim().parse().map_err(|_| mismatch(name, &[operand])).and_then(double),
        ("bool", Value::String(text)) => text.parse().map(Value::Bool).map_err(|_| mismatch(name, &[operand])),
        ("type", _) => Ok(kind(operand).into()),
        ("lowerAscii", Value::String(text)) => made(text.to_ascii_lowercase(), meter),
        ("trim", Value::String(text)) => made(text.trim().to_owned(), meter),
        _ => Err(mismatch(name, &[operand])),
    }
}

fn binary(name: &str, [left, right]: [&Value; 2], meter: &mut Meter) -> Result<Value, ExprError> {
    meter.look(left)?;
    meter.look(right)?;
    let answer = match (name, left, right) {
        (operators::EQUALS, ..) => equal(left, right),
        (operators::NOT_EQUALS, ..) => !equal(left, right),
        (operators::IN, _, Value::Array(items)) => items.iter().any(|item| equal(item, left)),
        (operators::IN, Value::String(key), Value::Object(fields)) => fields.contains_key(key),
        (operators::LESS, ..) => ordered(name, left, right)? == Ordering::Less,
        (operators::LESS_EQUALS, ..) => ordered(name, left, right)? != Ordering::Greater,
        (operators::GREATER, ..) => ordered(name, left, right)? == Ordering::Greater,
        (operators::GREATER_EQUALS, ..) => ordered(name, left, right)? != Ordering::Less,
        ("contains", Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        ("startsWith", Value::String(text), Value::String(part)) => text.starts_with(part.as_str()),
        ("endsWith", Value::String(text), Value::String(part)) => text.ends_with(part.as_str()),
        _ => return combined(name, [left, right], meter),
    };
    Ok(Value::Bool(answer))
}

/// Operators that make something new.
fn combined(name: &str, [left, right]: [&Value; 2], meter: &mut Meter) -> Result<Value, ExprError> {
    match (name, left, right) {
        (_, Value::Number(a), Value::Number(b)) => arithmetic(name, a, b),
        (operators::ADD, Value::String(a), Value::String(b)) => {
            meter.make((a.len() + b.len()) as u64)?;
            Ok([a.as_str(), b].concat().into())
        }
        (operators::ADD, Value::Array(a), Value::Array(b)) => {
            meter.make(size(left) + size(right))?;
            Ok(a.iter().chain(b).cloned().collect())
        }
        ("split", Value::String(text), Value::String(separator)) if !separator.is_empty() => {
            let parts: Vec<&str> = text.split(separator.as_str()).collect();
            meter.make((text.len() + parts.len() * size_of::<Value>()) as u64)?;
            Ok(parts.into())
        }
        ("join", Value::Array(items), Value::String(separator)) => {
            let parts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            let parts = parts.ok_or_else(|| mismatch("join", &[left, right]))?;
            meter.make(size(left) + (separator.len() * parts.len()) as u64)?;
            Ok(parts.join(separator).into())
        }
        _ => Err(mismatch(name, &[left, right])),
    }
}

fn made(text: String, meter: &mut Meter) -> Result<Value, ExprError> {
    meter.make(text.len() as u64)?;
    Ok(Value::String(text))
}

fn arithmetic(name: &str, a: &Number, b: &Number) -> Result<Value, ExprError> {
    let failed = ExprError::Arithmetic("an arithmetic operation");
    if a.is_f64() || b.is_f64() {
        let (a, b) = (float(a), float(b));
        return double(match name {
            operators::ADD => a + b,
            operators::SUBSTRACT => a - b,
            operators::MULTIPLY => a * b,
            operators::DIVIDE => a / b,
            _ => return Err(failed),
        });
    }
    let (a, b) = (integer(a)?, integer(b)?);
    let result = match name {
        operators::ADD => a.checked_add(b),
        operators::SUBSTRACT => a.checked_sub(b),
        operators::MULTIPLY => a.checked_mul(b),
        operators::DIVIDE => a.checked_div(b),
        operators::MODULO => a.checked_rem(b),
        _ => None,
    };
    result.map(Value::from).ok_or(failed)
}

fn negated(number: &Number) -> Result<Value, ExprError> {
    if number.is_f64() {
        return double(-float(number));
    }
    integer(number)?.checked_neg().map(Value::from).ok_or(ExprError::Arithmetic("a negation"))
}

fn double(value: f64) -> Result<Value, ExprError> {
    Number::from_f64(value).map(Value::Number).ok_or(ExprError::Arithmetic("an operation on doubles"))
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_possible_truncation, reason = "doubles outside of the range are refused before the cast")]
fn integer(number: &Number) -> Result<i64, ExprError> {
    let in_range = |value: f64| (value.abs() < 9.2e18).then_some(value as i64);
    number.as_i64().or_else(|| in_range(float(number))).ok_or(ExprError::Arithmetic("a conversion to int"))
}

/// Equality; 1 and 1.0 are equal.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

fn ordered(name: &str, a: &Value, b: &Value) -> Result<Ordering, ExprError> {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => compare_numbers(x, y),
        (Value::String(x), Value::String(y)) => Some(x.cmp(y)),
        (Value::Bool(x), Value::Bool(y)) => Some(x.cmp(y)),
        _ => None,
    }
    .ok_or_else(|| mismatch(name, &[a, b]))
}

fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => float(a).partial_cmp(&float(b)),
    }
}
