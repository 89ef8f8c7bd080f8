//! How a schema is put to a provider, and how the answer comes back out of it.

use convoke_app::model::{Finish, ModelRequest, ToolCall};
use convoke_domain::money::tokens_bound;
use serde_json::{Map, Value, json};

use super::extract_json;

/// What the forced tool is called, unless a tool of the request has that name.
const ANSWER_TOOL: &str = "final_answer";

/// What the forced tool says of itself.
pub const ANSWER_TOOL_DESCRIPTION: &str = include_str!("../../prompts/answer_tool.txt");

const INSTRUCT: &str = include_str!("../../prompts/instruct.txt");

/// The ways to get JSON out of a model, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaMode {
    /// The provider's own JSON-schema mode.
    Native,
    /// A tool that has to be called, whose arguments are the answer.
    ForcedTool,
    /// Asked for in words, found by parsing.
    Instructed,
}

impl SchemaMode {
    /// The next way to try.
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Native => Some(Self::ForcedTool),
            Self::ForcedTool => Some(Self::Instructed),
            Self::Instructed => None,
        }
    }
}

/// A schema in the form that providers take: its root is an object.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Name of the schema.
    pub name: String,
    /// Name of the tool whose arguments are the answer.
    pub tool: String,
    /// The schema, wrapped where its root is no object.
    pub schema: Value,
    wrapped: bool,
}

impl Envelope {
    /// The envelope of a request's schema, if it has one.
    pub fn of(request: &ModelRequest) -> Option<Self> {
        let wanted = request.schema.as_ref()?;
        let mut tool = ANSWER_TOOL.to_owned();
        while request.tools.iter().any(|other| other.name == tool) {
            tool.push('_');
        }
        let wrapped = !is_object_schema(&wanted.schema);
        let schema = if wrapped { wrap(&wanted.schema) } else { wanted.schema.clone() };
        Some(Self { name: wanted.name.clone(), tool, schema, wrapped })
    }

    /// The request for JSON in words.
    pub fn instruction(&self) -> String {
        INSTRUCT.trim_end().replace("{schema}", &self.schema.to_string())
    }

    /// Takes the answer out of what a model said. `false` where it is prose, so that the mode that was used
    /// doesn't work with this model.
    pub fn open(&self, draft: &mut Draft) -> bool {
        self.take_answer_call(draft);
        if !draft.tool_calls.is_empty() {
            return true;
        }
        let clean = serde_json::from_str::<Value>(&draft.text).ok();
        let is_clean = clean.is_some();
        let Some(value) = clean.or_else(|| extract_json(&draft.text)) else {
            return draft.text.is_empty() || draft.may_hold_json();
        };
        match value {
            Value::Object(mut fields) if self.wrapped && fields.len() == 1 && fields.contains_key("value") => {
                draft.text = fields.remove("value").unwrap_or_default().to_string();
            }
            value if !is_clean => draft.text = value.to_string(),
            _ => {}
        }
        true
    }

    /// The call of the answer's tool becomes the text; beside calls of other tools it came too early and is dropped.
    fn take_answer_call(&self, draft: &mut Draft) {
        let (answers, others): (Vec<_>, Vec<_>) = draft.tool_calls.drain(..).partition(|call| call.name == self.tool);
        draft.tool_calls = others;
        let Some(answer) = answers.into_iter().next() else { return };
        if draft.tool_calls.is_empty() {
            draft.text = match answer.arguments {
                Value::String(text) => text,
                arguments => arguments.to_string(),
            };
            if draft.finish == Finish::ToolCalls {
                draft.finish = Finish::Stop;
            }
        }
    }
}

/// What a provider said, before the envelope is opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The text so far.
    pub text: String,
    /// The calls so far.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped.
    pub finish: Finish,
}

impl Draft {
    /// Whether more of this text could have been JSON: it was cut, or held back.
    fn may_hold_json(&self) -> bool {
        match self.finish {
            Finish::Stop | Finish::ToolCalls => false,
            Finish::Length => self.text.contains(['{', '[']),
            Finish::Filtered => true,
        }
    }

    /// An upper bound of the tokens that were written.
    pub fn tokens_bound(&self) -> u64 {
        let call = |call: &ToolCall| tokens_bound(&call.name) + tokens_bound(&call.arguments.to_string());
        tokens_bound(&self.text) + self.tool_calls.iter().map(call).sum::<u64>()
    }
}

/// Arguments as the object that servers insist on, also where a model once wrote something else.
pub fn object_arguments(arguments: &Value) -> Value {
    if arguments.is_object() { arguments.clone() } else { json!({ "input": arguments }) }
}

/// Whether every object of a schema names all its properties as required and forbids others, which the strict modes of
/// providers demand.
pub fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let closed = !is_object_schema(schema) || is_closed(fields);
            closed && fields.values().all(is_strict)
        }
        Value::Array(items) => items.iter().all(is_strict),
        _ => true,
    }
}

fn is_closed(fields: &Map<String, Value>) -> bool {
    let empty = Map::new();
    let properties = fields.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let required = fields.get("required").and_then(Value::as_array);
    let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|n| n.as_str() == Some(name)));
    fields.get("additionalProperties") == Some(&Value::Bool(false)) && properties.keys().all(is_required)
}

fn is_object_schema(schema: &Value) -> bool {
    match schema.get("type") {
        Some(kind) => kind == "object",
        None => schema.get("properties").is_some_and(Value::is_object),
    }
}

/// `{"value": schema}`, with the definitions where references look for them.
fn wrap(schema: &Value) -> Value {
    let mut inner = schema.clone();
    let mut outer = json!({"type": "object", "required": ["value"], "additionalProperties": false});
    for definitions in ["$defs", "definitions"] {
        if let Some(found) = inner.as_object_mut().and_then(|fields| fields.remove(definitions)) {
            outer[definitions] = found;
        }
    }
    outer["properties"] = json!({ "value": inner });
    outer
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use convoke_app::model::{OutputSchema, ToolSpec};
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn request(schema: Value, tools: &[&str]) -> ModelRequest {
        ModelRequest {
            messages: Vec::new(),
            tools: tools
                .iter()
                .map(|name| ToolSpec { name: (*name).into(), description: String::new(), parameters: json!({}) })
                .collect(),
            schema: Some(OutputSchema { name: "plan".into(), schema }),
            output_tokens_max: 10,
            temperature: None,
            seed: None,
            timeout: Duration::from_secs(1),
            cancel: CancellationToken::new(),
        }
    }

    fn draft(text: &str, calls: &[(&str, Value)]) -> Draft {
        let call = |(name, arguments): &(&str, Value)| ToolCall {
            id: (*name).into(),
            name: (*name).into(),
            arguments: arguments.clone(),
        };
        let finish = if calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
        Draft { text: text.into(), tool_calls: calls.iter().map(call).collect(), finish }
    }

    #[test]
    fn a_list_is_wrapped_and_comes_back_bare() {
        let schema = json!({"type": "array", "items": {"$ref": "#/$defs/x"}, "$defs": {"x": {"type": "string"}}});
        let envelope = Envelope::of(&request(schema, &[])).expect("a schema");
        assert_eq!(envelope.schema["$defs"]["x"]["type"], "string");
        assert_eq!(envelope.schema["properties"]["value"]["type"], "array");
        let mut said = draft(r#"{"value": ["a"]}"#, &[]);
        assert!(envelope.open(&mut said));
        assert_eq!(said.text, r#"["a"]"#);
    }

    #[test]
    fn the_forced_call_is_the_answer_unless_others_come_with_it() {
        let envelope = Envelope::of(&request(json!({"type": "object"}), &["final_answer", "look"])).expect("a schema");
        assert_eq!(envelope.tool, "final_answer_");
        let mut said = draft("thinking", &[("final_answer_", json!({"z": 1, "a": 2}))]);
        assert!(envelope.open(&mut said));
        assert_eq!(said, draft(r#"{"z":1,"a":2}"#, &[]));
        let mut early = draft("", &[("look", json!({})), ("final_answer_", json!({}))]);
        assert!(envelope.open(&mut early));
        assert_eq!(early, draft("", &[("look", json!({}))]));
    }

    #[test]
    fn prose_says_that_the_mode_fails_but_a_cut_answer_does_not() {
        let envelope = Envelope::of(&request(json!({"type": "object"}), &[])).expect("a schema");
        assert!(!envelope.open(&mut draft("Certainly! Let me explain.", &[])));
        assert!(envelope.open(&mut Draft { finish: Finish::Length, ..draft("{\"a\": ", &[]) }));
        assert!(!envelope.open(&mut Draft { finish: Finish::Length, ..draft("Certainly! Let me", &[]) }));
        let mut fenced = draft("```json\n{\"a\": 1}\n```", &[]);
        assert!(envelope.open(&mut fenced));
        assert_eq!(fenced.text, r#"{"a":1}"#);
    }

    #[test]
    fn strict_schemas_close_every_object() {
        let closed = json!({"type": "object", "properties": {"a": {"type": "object", "properties": {}, "additionalProperties": false}},
            "required": ["a"], "additionalProperties": false});
        assert!(is_strict(&closed));
        let mut open = closed.clone();
        open["properties"]["a"]["additionalProperties"] = json!(true);
        assert!(!is_strict(&open));
        let mut optional = closed;
        optional["required"] = json!([]);
        assert!(!is_strict(&optional));
    }
}
