//! Structured answers: finding the JSON in what a model wrote, holding it against its schema, and saying what to mend.
//!
//! Nothing here calls a model: how often an answer is sent back is its user's business.

pub(crate) mod envelope;
mod extract;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use convoke_schema::{Schema, Violation};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use extract::extract_json;

/// Findings that are told at most; the rest is counted.
pub const FINDINGS_MAX: usize = 8;

/// Compiled schemas that are kept: some MB each at worst.
const COMPILED_MAX: usize = 32;

/// Bytes of one finding's text.
const FINDING_BYTES_MAX: usize = 200;

const REPAIR: &str = include_str!("../prompts/repair.txt");
const NOT_JSON: &str = include_str!("../prompts/not_json.txt");

/// A schema that is none. Final: its author has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the JSON Schema is invalid at {pointer:?}: {problem}")]
pub struct SchemaError {
    /// JSON pointer into the schema; empty for its root.
    pub pointer: String,
    /// What is wrong there.
    pub problem: String,
}

/// One place where an answer doesn't hold its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// JSON pointer into the answer; empty for its root.
    pub pointer: String,
    /// What is wrong there, without the value itself.
    pub problem: String,
}

/// Why an answer can't be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The schema itself can't be used. Final.
    #[error("the answer can't be checked")]
    Schema(#[source] SchemaError),
    /// No JSON was found in the text. Send [`AnswerError::repair_message`] back.
    #[error("the answer is not JSON")]
    NotJson,
    /// It doesn't hold the schema. Send [`AnswerError::repair_message`] back.
    #[error("the answer does not hold its schema ({findings})")]
    Invalid {
        /// Where and why.
        findings: Findings,
    },
}

impl AnswerError {
    /// What to tell the model as the next turn; `None` where no answer could do better.
    pub fn repair_message(&self) -> Option<String> {
        match self {
            Self::Schema(_) => None,
            Self::NotJson => Some(NOT_JSON.trim_end().to_owned()),
            Self::Invalid { findings } => Some(REPAIR.trim_end().replace("{findings}", &findings.list())),
        }
    }
}

/// What is wrong with an answer: the first [`FINDINGS_MAX`] places, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// The first ones.
    pub first: Vec<Finding>,
    /// Number of those that are left out.
    pub more: usize,
}

impl Findings {
    fn list(&self) -> String {
        let mut lines: Vec<String> = self.first.iter().map(|finding| format!("- {finding}")).collect();
        if self.more > 0 {
            lines.push(format!("- and {} more", self.more));
        }
        lines.join("\n")
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> = self.first.iter().map(Finding::to_string).collect();
        f.write_str(&told.join("; "))?;
        if self.more > 0 { write!(f, "; and {} more", self.more) } else { Ok(()) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "(root)" } else { &self.pointer };
        write!(f, "{pointer}: {}", self.problem)
    }
}

/// Compiles schemas once and keeps them, at most 256. References to other documents are refused, patterns run in
/// linear time.
#[derive(Default)]
pub struct Validators {
    compiled: Mutex<HashMap<[u8; 32], Arc<Schema>>>,
}

impl Validators {
    /// With nothing compiled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a schema can be used at all.
    pub fn check_schema(&self, schema: &Value) -> Result<(), SchemaError> {
        self.validator(schema).map(|_| ())
    }

    /// Holds a value against a schema.
    pub fn check(&self, schema: &Value, value: &Value) -> Result<(), AnswerError> {
        let validator = self.validator(schema).map_err(AnswerError::Schema)?;
        match findings(&validator, value) {
            None => Ok(()),
            Some(findings) => Err(AnswerError::Invalid { findings }),
        }
    }

    /// Finds the JSON in a model's text and holds it against a schema.
    ///
    /// A text in quotes is read once more where only its content holds the schema: some models encode twice.
    pub fn read(&self, schema: &Value, text: &str) -> Result<Value, AnswerError> {
        let value = extract_json(text).ok_or(AnswerError::NotJson)?;
        match self.check(schema, &value) {
            Ok(()) => Ok(value),
            Err(error) => {
                let inner = value.as_str().and_then(extract_json);
                inner.filter(|inner| self.check(schema, inner).is_ok()).ok_or(error)
            }
        }
    }

    fn validator(&self, schema: &Value) -> Result<Arc<Schema>, SchemaError> {
        let key: [u8; 32] = Sha256::digest(schema.to_string()).into();
        if let Some(known) = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(compile(schema)?);
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= COMPILED_MAX {
            compiled.clear();
        }
        compiled.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

fn compile(schema: &Value) -> Result<Schema, SchemaError> {
    let compiled = Schema::compile(schema);
    compiled.map_err(|error| SchemaError { pointer: error.pointer, problem: short(&error.problem) })
}

fn findings(schema: &Schema, value: &Value) -> Option<Findings> {
    let violations = schema.violations(value, FINDINGS_MAX);
    if violations.is_empty() {
        return None;
    }
    let told =
        |violation: &Violation<'_>| Finding { pointer: violation.place.clone(), problem: short(&violation.masked()) };
    Some(Findings { first: violations.first.iter().map(told).collect(), more: violations.more })
}

fn short(text: &str) -> String {
    crate::text::short(text, FINDING_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan() -> Value {
        json!({
            "type": "object",
            "properties": {"tasks": {"type": "array", "items": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "after": {"type": "array", "items": {"type": "string"}}},
                "required": ["id"], "additionalProperties": false
            }}},
            "required": ["tasks"]
        })
    }

    #[test]
    fn a_valid_answer_is_read_out_of_its_fence() {
        let text = "Here you go:\n```json\n{\"tasks\": [{\"id\": \"a\"}]}\n```\nGood luck!";
        assert_eq!(Validators::new().read(&plan(), text).expect("valid"), json!({"tasks": [{"id": "a"}]}));
    }

    #[test]
    fn a_wrong_answer_is_told_by_its_places() {
        let error =
            Validators::new().read(&plan(), r#"{"tasks": [{"after": "b"}, {"id": 7, "x": 1}]}"#).expect_err("wrong");
        let message = error.repair_message().expect("repairable");
        for place in ["/tasks/0:", "/tasks/0/after:", "/tasks/1:", "/tasks/1/id:"] {
            assert!(message.contains(&format!("- {place} ")), "{place} in {message}");
        }
        assert!(message.contains("\"id\" is a required property"), "{message}");
    }

    #[test]
    fn at_most_eight_findings_are_told_and_no_value_is_repeated() {
        let long = "x".repeat(10_000);
        let tasks: Vec<Value> = (0..20).map(|_| json!({"id": [long]})).collect();
        let error = Validators::new().check(&plan(), &json!({"tasks": tasks})).expect_err("wrong");
        let message = error.repair_message().expect("repairable");
        assert_eq!(message.lines().filter(|line| line.starts_with("- /")).count(), FINDINGS_MAX);
        assert!(message.ends_with("- and 12 more"), "{message}");
        assert!(message.len() < 3_000 && error.to_string().len() < 3_000);
    }

    #[test]
    fn prose_is_not_json_and_a_doubly_encoded_answer_is() {
        let validators = Validators::new();
        assert_eq!(validators.read(&plan(), "I can't do that."), Err(AnswerError::NotJson));
        assert!(AnswerError::NotJson.repair_message().is_some());
        let twice = json!(r#"{"tasks": []}"#).to_string();
        assert_eq!(validators.read(&plan(), &twice).expect("valid"), json!({"tasks": []}));
        assert_eq!(validators.read(&json!({"type": "string"}), &twice).expect("valid"), json!(r#"{"tasks": []}"#));
    }

    #[test]
    fn a_schema_that_is_none_is_final() {
        let validators = Validators::new();
        for bad in
            [json!({"type": "objekt"}), json!({"$ref": "https://example.com/x.json"}), json!({"pattern": "(?=a)b"})]
        {
            let error = validators.check(&bad, &json!({})).expect_err("refused");
            assert!(matches!(error, AnswerError::Schema(_)) && error.repair_message().is_none(), "{bad}");
        }
    }

    #[test]
    fn schemas_are_compiled_once() {
        let validators = Validators::new();
        for _ in 0..3 {
            validators.check(&plan(), &json!({"tasks": []})).expect("valid");
        }
        assert_eq!(validators.compiled.lock().expect("unpoisoned").len(), 1);
        for n in 0..COMPILED_MAX + 5 {
            validators.check(&json!({"minimum": n}), &json!("text")).expect("valid");
        }
        assert!(validators.compiled.lock().expect("unpoisoned").len() <= COMPILED_MAX);
    }
}
