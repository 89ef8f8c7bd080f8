//! JSON schemas made finite, so that an answer always ends.
//!
//! A small model, told to write a list, may write it forever. Before a schema is compiled to a grammar:
//!
//! - every array without `maxItems` gets one (8, fewer where strings would become too short), every string without
//!   `maxLength` its share of the tokens there are (3 characters a token, 16 to 4,000);
//! - a number has at most 15 digits before its point, and no exponent;
//! - an object with `properties` has no others; one without has at most 4, with short names and scalar values; what
//!   may be anything is a scalar;
//! - `$ref` is written out; after [`DEPTH_MAX`] levels a recursion ends;
//! - `oneOf` is `anyOf`, and `allOf` is merged; keywords that grammars can't say (`uniqueItems`, `not`, `if`) are
//!   left out: who asked checks the answer anyway.
//!
//! That keeps answers short but isn't proof. The proof is [`Bounded::closing_tokens`]: an upper bound of the tokens
//! that it takes, from anywhere inside an answer, to close everything that is open in the shortest way. When no more
//! than those are left, generation takes that way (see `grammar`). An answer is thus always whole.

use serde_json::{Map, Value, json};

/// Levels of a schema, references written out, after which nothing more may be nested.
pub const DEPTH_MAX: usize = 12;
/// Schemas of more nodes, references written out, are refused.
const NODES_MAX: usize = 2_000;
/// Tokens of so many ASCII characters are preferred where a string has to become longer before it may end.
pub const LONG_TOKEN_BYTES: usize = 4;
/// Beyond those: three short tokens where `maxLength` leaves no room for a long one, the rest of a character of 4 bytes, of
/// an escape, and both quotes.
const STRING_TOKENS: usize = 9;
const ITEMS: [usize; 3] = [8, 4, 2];
const CHARACTERS_PER_TOKEN: usize = 3;
const LENGTH_MIN: usize = 16;
const LENGTH_MAX: usize = 4_000;
/// Numbers are no larger: 15 digits, which every reader of JSON takes as they are.
const NUMBER_MAX: f64 = 999_999_999_999_999.0;
/// That a number takes at most until something else may follow: sign, digit, point, digit, exponent, sign, digit.
const NUMBER_TOKENS: usize = 8;
/// The same for one that has to be in a range, whose digits are as many as the range's.
const RANGED_NUMBER_TOKENS: usize = 24;

/// A schema whose answers end.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounded {
    /// For the grammar's compiler.
    pub schema: Value,
    /// Tokens that closing takes, from anywhere, at most.
    pub closing_tokens: usize,
}

/// Why a schema can't be used. Final.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundsError {
    /// Only `#/..` is followed.
    #[error("the schema's reference {reference:?} leads nowhere")]
    Reference {
        /// As written.
        reference: String,
    },
    /// Written out it is too large.
    #[error("the schema has more than {NODES_MAX} nodes, references written out")]
    TooLarge,
    /// Even its shortest answer may not fit.
    #[error("the schema may need {needed} tokens, and {given} are allowed")]
    TooFewTokens {
        /// Its shortest answer, at most.
        needed: usize,
        /// `output_tokens_max`.
        given: usize,
    },
}

/// Makes a schema finite for an answer of `tokens`; `count` says how many tokens a text has.
pub fn bound(schema: &Value, tokens: usize, count: &dyn Fn(&str) -> usize) -> Result<Bounded, BoundsError> {
    let mut inliner = Inliner { root: schema, nodes: 0 };
    let plain = inliner.inline(schema, 0)?;
    let closing_tokens = closing(&plain, count);
    if closing_tokens >= tokens {
        return Err(BoundsError::TooFewTokens { needed: closing_tokens + 1, given: tokens });
    }
    let characters = (tokens - closing_tokens) * CHARACTERS_PER_TOKEN;
    let fits = |items: &&usize| strings(&plain, **items).saturating_mul(LENGTH_MIN * 2) <= characters;
    let items = *ITEMS.iter().find(fits).unwrap_or(&ITEMS[2]);
    let length = (characters / strings(&plain, items).max(1)).clamp(LENGTH_MIN, LENGTH_MAX);
    let mut schema = limited(plain, items, length);
    if let Value::Object(members) = &mut schema {
        // No blanks between the parts, no escapes of odd characters, and unknown keywords are left to validation.
        let options = json!({ "whitespace_flexible": false, "json_allowed_escapes": "nrt\\\"", "lenient": true });
        members.insert("x-guidance".to_owned(), options);
    }
    Ok(Bounded { schema, closing_tokens })
}

struct Inliner<'a> {
    root: &'a Value,
    nodes: usize,
}

impl Inliner<'_> {
    /// The schema without references, with one type (or alternatives) at each node.
    fn inline(&mut self, schema: &Value, depth: usize) -> Result<Value, BoundsError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(BoundsError::TooLarge);
        }
        if depth > DEPTH_MAX {
            return Ok(Value::Bool(false));
        }
        let Value::Object(members) = schema else {
            return Ok(if schema == &Value::Bool(false) { Value::Bool(false) } else { any_scalar() });
        };
        let members = self.merged(members, 0)?;
        if members.contains_key("const") || members.contains_key("enum") {
            let literal = members.iter().filter(|(key, _)| matches!(key.as_str(), "const" | "enum"));
            return Ok(Value::Object(literal.map(|(key, value)| (key.clone(), value.clone())).collect()));
        }
        if let Some(Value::Array(options)) = members.get("anyOf").or_else(|| members.get("oneOf")) {
            let rest = without(&members, &["anyOf", "oneOf"]);
            return self.alternatives(options.iter().map(|option| overlaid(&rest, option)), depth);
        }
        match types(&members).as_slice() {
            [] => Ok(any_scalar()),
            [one] => self.typed(&members, one, depth),
            many => self.alternatives(many.iter().map(|one| overlaid(&members, &json!({ "type": one }))), depth),
        }
    }

    fn alternatives(&mut self, options: impl Iterator<Item = Value>, depth: usize) -> Result<Value, BoundsError> {
        let options = options.map(|option| self.inline(&option, depth + 1));
        let mut possible = Vec::new();
        for option in options {
            let option = option?;
            if option != Value::Bool(false) {
                possible.push(option);
            }
        }
        Ok(if possible.is_empty() { Value::Bool(false) } else { json!({ "anyOf": possible }) })
    }

    /// References and `allOf` resolved into the schema itself.
    fn merged(&mut self, members: &Map<String, Value>, hops: usize) -> Result<Map<String, Value>, BoundsError> {
        let mut merged = without(members, &["$ref", "allOf", "$defs", "definitions"]);
        if let Some(Value::String(reference)) = members.get("$ref") {
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            let target = target.filter(|_| hops < DEPTH_MAX);
            let target = target.ok_or_else(|| BoundsError::Reference { reference: reference.clone() })?;
            if let Value::Object(target) = target {
                let target = self.merged(target, hops + 1)?;
                merge(&mut merged, target);
            }
        }
        if let Some(Value::Array(parts)) = members.get("allOf") {
            for part in parts.iter().filter_map(Value::as_object) {
                let part = self.merged(part, hops + 1)?;
                merge(&mut merged, part);
            }
        }
        Ok(merged)
    }

    fn typed(&mut self, members: &Map<String, Value>, kind: &str, depth: usize) -> Result<Value, BoundsError> {
        let kept: &[&str] = match kind {
            "object" => return self.object(members, depth),
            "array" => return self.array(members, depth),
            "string" => &["minLength", "maxLength", "pattern", "format"],
            "integer" | "number" => &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
            _ => &[],
        };
        let mut typed = Map::from_iter([("type".to_owned(), json!(kind))]);
        typed.extend(
            members.iter().filter(|(key, _)| kept.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())),
        );
        Ok(Value::Object(typed))
    }

    fn object(&mut self, members: &Map<String, Value>, depth: usize) -> Result<Value, BoundsError> {
        let required = members.get("required").cloned().unwrap_or_else(|| json!([]));
        let is_required = |key: &str| required.as_array().is_some_and(|keys| keys.iter().any(|one| one == key));
        let Some(properties) = members.get("properties").and_then(Value::as_object).filter(|all| !all.is_empty())
        else {
            return self.dictionary(members, depth);
        };
        let mut inlined = Map::new();
        for (key, schema) in properties {
            let schema = self.inline(schema, depth + 1)?;
            match (schema, is_required(key)) {
                (Value::Bool(false), true) => return Ok(Value::Bool(false)),
                (Value::Bool(false), false) => {}
                (schema, _) => drop(inlined.insert(key.clone(), schema)),
            }
        }
        let known: Vec<&Value> = required
            .as_array()
            .map(|all| all.iter().filter(|key| key.as_str().is_some_and(|key| inlined.contains_key(key))).collect())
            .unwrap_or_default();
        let object = json!({ "type": "object", "required": known, "additionalProperties": false });
        Ok(with(object, "properties", Value::Object(inlined)))
    }

    /// An object of free keys: up to 4 properties with names made up by the model.
    fn dictionary(&mut self, members: &Map<String, Value>, depth: usize) -> Result<Value, BoundsError> {
        let free = match members.get("additionalProperties") {
            Some(Value::Object(schema)) => self.inline(&Value::Object(schema.clone()), depth + 1)?,
            Some(Value::Bool(false)) => Value::Bool(false),
            _ => any_scalar(),
        };
        if free == Value::Bool(false) {
            return Ok(json!({ "type": "object", "additionalProperties": false }));
        }
        let names = json!({ "^[a-z][a-z0-9_]{0,23}$": free });
        Ok(json!({ "type": "object", "patternProperties": names, "additionalProperties": false, "maxProperties": 4 }))
    }

    fn array(&mut self, members: &Map<String, Value>, depth: usize) -> Result<Value, BoundsError> {
        let mut array = Map::from_iter([("type".to_owned(), json!("array"))]);
        for key in ["minItems", "maxItems"] {
            if let Some(limit) = members.get(key) {
                array.insert(key.to_owned(), limit.clone());
            }
        }
        if let Some(Value::Array(prefix)) = members.get("prefixItems") {
            let prefix: Result<Vec<Value>, BoundsError> =
                prefix.iter().map(|one| self.inline(one, depth + 1)).collect();
            array.insert("prefixItems".to_owned(), Value::Array(prefix?));
        }
        let items = members.get("items").map_or_else(|| Ok(any_scalar()), |items| self.inline(items, depth + 1))?;
        if items == Value::Bool(false) {
            array.insert("maxItems".to_owned(), json!(number(&Value::Object(array.clone()), "minItems").unwrap_or(0)));
        }
        array.insert("items".to_owned(), items);
        Ok(Value::Object(array))
    }
}

fn any_scalar() -> Value {
    json!({ "anyOf": [{ "type": "string" }, { "type": "number" }, { "type": "boolean" }, { "type": "null" }] })
}

fn with(mut schema: Value, key: &str, value: Value) -> Value {
    if let Value::Object(members) = &mut schema {
        members.insert(key.to_owned(), value);
    }
    schema
}

fn without(members: &Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    members.iter().filter(|(key, _)| !keys.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn overlaid(under: &Map<String, Value>, over: &Value) -> Value {
    let mut both = under.clone();
    both.extend(over.as_object().cloned().unwrap_or_default());
    Value::Object(both)
}

/// Adds what `from` says: properties and required names to those there are, other keywords where there are none.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (key.as_str(), into.get_mut(&key), value) {
            ("properties", Some(Value::Object(have)), Value::Object(more)) => merge(have, more),
            ("required", Some(Value::Array(have)), Value::Array(more)) => have.extend(more),
            (_, Some(_), _) => {}
            (_, None, value) => drop(into.insert(key, value)),
        }
    }
}

/// What a schema says, or implies by its keywords, that its values are.
fn types(members: &Map<String, Value>) -> Vec<String> {
    let has = |keys: &[&str]| keys.iter().any(|key| members.contains_key(*key));
    match members.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ if has(&["properties", "required", "additionalProperties"]) => vec!["object".to_owned()],
        _ if has(&["items", "prefixItems", "minItems", "maxItems"]) => vec!["array".to_owned()],
        _ if has(&["minLength", "maxLength", "pattern", "format"]) => vec!["string".to_owned()],
        _ if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]) => vec!["number".to_owned()],
        _ => Vec::new(),
    }
}

fn number(schema: &Value, key: &str) -> Option<usize> {
    schema.get(key)?.as_u64().and_then(|number| usize::try_from(number).ok())
}

fn children<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn values<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    schema.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// Tokens of the shortest way to close a value of an inlined schema, from its beginning or from anywhere in it.
fn closing(schema: &Value, count: &dyn Fn(&str) -> usize) -> usize {
    if let Some(literal) = schema.get("const") {
        return count(&literal.to_string()) + 1;
    }
    if schema.get("enum").is_some() {
        return children(schema, "enum").map(|one| count(&one.to_string()) + 1).max().unwrap_or(0);
    }
    if schema.get("anyOf").is_some() {
        return children(schema, "anyOf").map(|option| closing(option, count)).max().unwrap_or(0);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {
            let named = values(schema, "properties")
                .map(|(key, value)| count(&json!(key).to_string()) + 3 + closing(value, count));
            let free = values(schema, "patternProperties").map(|(_, value)| 27 + closing(value, count));
            named.chain(free).fold(2, usize::saturating_add)
        }
        Some("array") => {
            let item = schema.get("items").map_or(0, |items| closing(items, count) + 1);
            let prefix = children(schema, "prefixItems").map(|one| closing(one, count) + 1);
            // Those that have to be there, and one more that has just begun.
            let items = item.saturating_mul(number(schema, "minItems").unwrap_or(0).saturating_add(1));
            prefix.fold(2_usize.saturating_add(items), usize::saturating_add)
        }
        // Whatever a pattern or format wants is taken to be 64.
        Some("string") if schema.get("pattern").is_some() || schema.get("format").is_some() => 66,
        Some("string") => match number(schema, "minLength").unwrap_or(0) {
            0 => 3,
            least => least.div_ceil(LONG_TOKEN_BYTES).saturating_add(STRING_TOKENS),
        },
        Some("integer" | "number") => {
            let is_free = schema.as_object().is_some_and(|members| members.len() == 1);
            if is_free { NUMBER_TOKENS } else { RANGED_NUMBER_TOKENS }
        }
        _ => 3,
    }
}

/// How many strings of unknown length an answer holds, if arrays without a limit hold `items`.
fn strings(schema: &Value, items: usize) -> usize {
    let inner = |key: &str| values(schema, key).map(|(_, value)| strings(value, items)).fold(0, usize::saturating_add);
    if schema.get("anyOf").is_some() {
        return children(schema, "anyOf").map(|option| strings(option, items)).max().unwrap_or(0);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => inner("properties").saturating_add(inner("patternProperties").saturating_mul(4)),
        Some("array") => {
            let times = number(schema, "maxItems").unwrap_or(items).max(number(schema, "minItems").unwrap_or(0));
            let prefix = children(schema, "prefixItems").map(|one| strings(one, items)).fold(0, usize::saturating_add);
            let item = schema.get("items").map_or(0, |one| strings(one, items));
            item.saturating_mul(times).saturating_add(prefix)
        }
        Some("string") => usize::from(schema.get("maxLength").is_none()),
        _ => 0,
    }
}

/// Puts limits where there are none.
fn limited(mut schema: Value, items: usize, length: usize) -> Value {
    let minimum = |key: &str| number(&schema, key).unwrap_or(0);
    let (items_at_least, length_at_least) = (minimum("minItems").max(items), minimum("minLength").max(length));
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Value::Object(members) = &mut schema else { return schema };
    match kind.as_str() {
        "array" => drop(members.entry("maxItems").or_insert_with(|| json!(items_at_least))),
        "string" if !members.contains_key("format") => {
            members.entry("maxLength").or_insert_with(|| json!(length_at_least));
        }
        "integer" | "number" => limit_number(members),
        _ => {}
    }
    for key in ["properties", "patternProperties"] {
        if let Some(Value::Object(all)) = members.get_mut(key) {
            for value in all.values_mut() {
                *value = limited(value.take(), items, length);
            }
        }
    }
    for key in ["anyOf", "prefixItems"] {
        if let Some(Value::Array(all)) = members.get_mut(key) {
            for value in all {
                *value = limited(value.take(), items, length);
            }
        }
    }
    if let Some(one) = members.get_mut("items") {
        *one = limited(one.take(), items, length);
    }
    schema
}

/// A model that writes digits, or an exponent, at length would make a number that nobody can read; the grammar's compiler
/// can't either.
fn limit_number(members: &mut Map<String, Value>) {
    for (names, default) in
        [(["minimum", "exclusiveMinimum"], -NUMBER_MAX), (["maximum", "exclusiveMaximum"], NUMBER_MAX)]
    {
        let mut is_limited = false;
        for name in names {
            if let Some(limit) = members.get(name).and_then(Value::as_f64) {
                is_limited = true;
                if limit.abs() > NUMBER_MAX {
                    members.insert(name.to_owned(), json!(limit.clamp(-NUMBER_MAX, NUMBER_MAX)));
                }
            }
        }
        if !is_limited {
            members.insert(names[0].to_owned(), json!(default));
        }
    }
}

#[cfg(test)]
#[path = "bounds_tests.rs"]
mod tests;
