//! Tools for a model that was never taught any: one JSON object that names a tool or holds the answer.

use convoke_app::model::{ToolCall, ToolSpec};
use serde_json::{Value, json};

/// Told to the model after who it is; the tools' list follows.
const PREFACE: &str = include_str!("../../prompts/embedded_tools.txt");

/// The list of tools as the model reads it: names, arguments, descriptions.
pub fn preface(tools: &[ToolSpec]) -> String {
    let lines: Vec<String> = tools.iter().map(line).collect();
    format!("{}\n{}", PREFACE.trim_end(), lines.join("\n"))
}

fn line(tool: &ToolSpec) -> String {
    let arguments: Vec<&str> = tool
        .parameters
        .get("properties")
        .and_then(Value::as_object)
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default();
    format!("- {}({}): {}", tool.name, arguments.join(", "), tool.description)
}

/// The schema of `{tool, arguments}` for each tool, or `{final}`.
pub fn schema(tools: &[ToolSpec], last: Option<&Value>) -> Value {
    let root = |path: &str, schema: &Value| moved(schema, path);
    let calls = tools.iter().enumerate().map(|(at, tool)| {
        let arguments = root(&format!("/anyOf/{at}/properties/arguments"), &tool.parameters);
        let properties = json!({ "tool": { "const": tool.name }, "arguments": arguments });
        json!({ "type": "object", "properties": properties, "required": ["tool", "arguments"] })
    });
    let path = format!("/anyOf/{}/properties/final", tools.len());
    let last = last.map_or_else(|| json!({ "type": "string" }), |schema| root(&path, schema));
    let answer = json!({ "type": "object", "properties": { "final": last }, "required": ["final"] });
    json!({ "anyOf": calls.chain([answer]).collect::<Vec<Value>>() })
}

/// The schema with its references pointing to where it stands now.
fn moved(schema: &Value, path: &str) -> Value {
    match schema {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(reference)) => {
                    let reference =
                        reference.strip_prefix('#').map_or_else(|| reference.clone(), |at| format!("#{path}{at}"));
                    (key.clone(), Value::String(reference))
                }
                _ => (key.clone(), moved(value, path)),
            })
            .collect(),
        Value::Array(values) => values.iter().map(|value| moved(value, path)).collect(),
        scalar => scalar.clone(),
    }
}

/// What the model decided.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// A tool.
    Call(ToolCall),
    /// The answer's text; JSON where a schema was asked for.
    Final(String),
}

/// Reads an answer of [`schema`]; `None` if it is none, because it was cut.
pub fn decision(text: &str) -> Option<Decision> {
    let value: Value = serde_json::from_str(text).ok()?;
    if let Some(name) = value.get("tool").and_then(Value::as_str) {
        let arguments = value.get("arguments").cloned().unwrap_or_else(|| json!({}));
        return Some(Decision::Call(ToolCall { id: "call_0".to_owned(), name: name.to_owned(), arguments }));
    }
    let last = value.get("final")?;
    Some(Decision::Final(last.as_str().map_or_else(|| last.to_string(), str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Vec<ToolSpec> {
        let parameters = json!({ "type": "object", "properties": { "path": { "$ref": "#/$defs/path" } },
            "$defs": { "path": { "type": "string" } } });
        vec![ToolSpec { name: "read_file".into(), description: "Reads a file".into(), parameters }]
    }

    #[test]
    fn tools_are_listed_with_their_arguments() {
        assert!(preface(&tools()).ends_with("\n- read_file(path): Reads a file"));
    }

    #[test]
    fn one_schema_holds_calls_and_answer() {
        let schema = schema(&tools(), Some(&json!({ "type": "integer" })));
        assert_eq!(schema["anyOf"][0]["properties"]["tool"]["const"], "read_file");
        let reference = schema["anyOf"][0]["properties"]["arguments"]["properties"]["path"]["$ref"].as_str();
        let pointer = reference.and_then(|reference| reference.strip_prefix('#')).expect("a reference");
        assert_eq!(schema.pointer(pointer), Some(&json!({ "type": "string" })));
        assert_eq!(schema["anyOf"][1]["properties"]["final"]["type"], "integer");
    }

    #[test]
    fn decisions_are_read() {
        let call = decision(r#"{"tool":"now","arguments":{"zone":"UTC"}}"#);
        let expected = ToolCall { id: "call_0".into(), name: "now".into(), arguments: json!({ "zone": "UTC" }) };
        assert_eq!(call, Some(Decision::Call(expected)));
        assert_eq!(decision(r#"{"final":"done"}"#), Some(Decision::Final("done".into())));
        assert_eq!(decision(r#"{"final":{"a":1}}"#), Some(Decision::Final(r#"{"a":1}"#.into())));
        assert_eq!(decision(r#"{"final":"do"#), None);
    }
}
