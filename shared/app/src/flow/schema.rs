//! JSON Schema as flows use it: compiled once, with the author's own words, and defaults for inputs.

use std::fmt;
use std::sync::Arc;

use convoke_api::flow::FlowIssue;
use convoke_schema::{SchemaError, Violation};
use serde_json::{Map, Value};

use super::finding::Finding;

/// Most errors that are reported at once.
const ERRORS_MAX: usize = 16;
/// A message that shows more of the value than this doesn't show it at all.
const MESSAGE_BYTES_MAX: usize = 240;

/// A compiled schema; cheap to clone.
#[derive(Clone)]
pub struct Schema {
    value: Arc<Value>,
    compiled: Arc<convoke_schema::Schema>,
}

impl Schema {
    /// Compiles a schema; the error says what is wrong with it, and where. `$ref` may point inside of it only.
    pub fn compile(value: &Value) -> Result<Self, SchemaError> {
        let compiled = convoke_schema::Schema::compile(value)?;
        Ok(Self { value: Arc::new(value.clone()), compiled: Arc::new(compiled) })
    }

    /// The schema itself.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Whether `instance` is valid.
    pub fn is_valid(&self, instance: &Value) -> bool {
        self.compiled.is_valid(instance)
    }

    /// What keeps `instance` from being valid; empty where nothing does.
    pub fn findings(&self, instance: &Value) -> Vec<Finding> {
        let violations = self.compiled.violations(instance, ERRORS_MAX).first;
        violations
            .into_iter()
            .map(|violation| Finding::new(violation.place.clone(), self.message(&violation)))
            .collect()
    }

    /// The author's own words (`x-message` beside the keyword that failed), or the validator's.
    fn message(&self, violation: &Violation<'_>) -> String {
        if violation.is_limit {
            return shown(violation);
        }
        let schema = match self.value.pointer(&violation.schema) {
            // `false` has no words of its own; the schema that has it for a keyword's value may.
            Some(Value::Bool(_)) => {
                violation.schema.rsplit_once('/').and_then(|(parent, _)| self.value.pointer(parent))
            }
            schema => schema,
        };
        let own = schema.and_then(|schema| schema.get("x-message")).and_then(Value::as_str);
        own.map_or_else(|| shown(violation), str::to_owned)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.value)
    }
}

fn shown(violation: &Violation<'_>) -> String {
    let text = violation.to_string();
    if text.len() <= MESSAGE_BYTES_MAX { text } else { violation.masked() }
}

/// An input with the schema's defaults filled in, if it is valid; any object is where there is no schema.
pub(crate) fn validated_input(schema: Option<&Schema>, input: &Value) -> Result<Value, Vec<FlowIssue>> {
    let mut input = if input.is_null() { Value::Object(Map::new()) } else { input.clone() };
    if !input.is_object() {
        return Err(vec![FlowIssue::new("input", "the input has to be an object", "write {\"name\": value}")]);
    }
    let Some(schema) = schema else { return Ok(input) };
    fill_defaults(&mut input, schema.value());
    let findings = schema.findings(&input);
    if findings.is_empty() {
        return Ok(input);
    }
    let place = |pointer: &str| format!("input{}", pointer.replace('/', "."));
    Err(findings.into_iter().map(|finding| FlowIssue::new(place(&finding.place), finding.message, "")).collect())
}

fn fill_defaults(value: &mut Value, schema: &Value) {
    let (Some(fields), Some(properties)) = (value.as_object_mut(), schema.get("properties").and_then(Value::as_object))
    else {
        return;
    };
    for (name, property) in properties {
        match (fields.get_mut(name), property.get("default")) {
            (Some(present), _) => fill_defaults(present, property),
            (None, Some(default)) => drop(fields.insert(name.clone(), default.clone())),
            (None, None) => {}
        }
    }
}

/// What a schema says of a field.
pub(crate) enum Field<'s> {
    /// This is its schema.
    Schema(&'s Value),
    /// The schema says nothing that rules it out.
    Unknown,
    /// The schema lists its fields, and it isn't among them.
    Missing(Vec<&'s str>),
}

/// Looks a field up (`[]` for an item of a list), as far as plain `properties` and `items` go.
pub(crate) fn field<'s>(schema: &'s Value, name: &str) -> Field<'s> {
    let Some(object) = schema.as_object() else { return Field::Unknown };
    let combines =
        ["$ref", "anyOf", "oneOf", "allOf", "if", "patternProperties"].iter().any(|key| object.contains_key(*key));
    if combines {
        return Field::Unknown;
    }
    if name == "[]" {
        return object.get("items").map_or(Field::Unknown, Field::Schema);
    }
    let Some(properties) = object.get("properties").and_then(Value::as_object) else {
        let scalar =
            matches!(object.get("type").and_then(Value::as_str), Some("string" | "number" | "integer" | "boolean"));
        return if scalar { Field::Missing(Vec::new()) } else { Field::Unknown };
    };
    let is_open = object.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false));
    match properties.get(name) {
        Some(property) => Field::Schema(property),
        None if is_open => Field::Unknown,
        None => Field::Missing(properties.keys().map(String::as_str).collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input_schema() -> Schema {
        let schema = json!({
            "type": "object",
            "properties": {
                "prompt": {"type": "string", "minLength": 1},
                "rounds": {"type": "integer", "default": 3, "maximum": 5},
                "deep": {"type": "object", "default": {}, "properties": {"x": {"default": 1}}},
                "review": {"const": false, "default": false, "x-message": "reviews come later"},
            },
            "required": ["prompt"],
            "additionalProperties": false,
        });
        Schema::compile(&schema).expect("a schema")
    }

    #[test]
    fn input_gets_its_defaults() {
        let cases = [
            (json!({"prompt": "p"}), json!({"prompt": "p", "rounds": 3, "deep": {}, "review": false})),
            (
                json!({"prompt": "p", "rounds": 1, "deep": {}}),
                json!({"prompt": "p", "rounds": 1, "deep": {"x": 1}, "review": false}),
            ),
        ];
        for (input, expected) in cases {
            assert_eq!(validated_input(Some(&input_schema()), &input), Ok(expected));
        }
        assert_eq!(validated_input(None, &json!({"any": 1})), Ok(json!({"any": 1})));
        assert_eq!(validated_input(None, &Value::Null), Ok(json!({})));
    }

    #[test]
    fn bad_input_is_refused_with_its_place() {
        let cases = [
            (json!([]), "input", "the input has to be an object"),
            (json!({}), "input", "\"prompt\" is a required property"),
            (json!({"prompt": ""}), "input.prompt", "shorter than 1"),
            (json!({"prompt": "p", "rounds": 9}), "input.rounds", "maximum of 5"),
            (json!({"prompt": "p", "nope": 1}), "input", "nope"),
            (json!({"prompt": "p", "review": true}), "input.review", "reviews come later"),
        ];
        for (input, path, message) in cases {
            let issues = validated_input(Some(&input_schema()), &input).expect_err("refused");
            assert!(issues.iter().any(|i| i.path == path && i.message.contains(message)), "{input}: {issues:?}");
        }
    }

    #[test]
    fn schemas_that_are_none_and_remote_references_are_refused() {
        for schema in
            [json!({"type": "strnig"}), json!({"$ref": "https://example.com/x.json"}), json!({"pattern": "("})]
        {
            assert!(Schema::compile(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn large_values_are_not_repeated_in_messages() {
        let schema = Schema::compile(&json!({"type": "object"})).expect("a schema");
        let findings = schema.findings(&json!("x".repeat(10_000)));
        assert!(findings[0].message.len() < 300, "{findings:?}");
    }
}
