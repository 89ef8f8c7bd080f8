//! The JSON that is sent.

use convoke_app::model::{Message, ModelProfile, ModelRequest, ToolCall};
use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use super::{Asked, Endpoint, Flavor};
use crate::structured::envelope::{ANSWER_TOOL_DESCRIPTION, Envelope, SchemaMode, is_strict, object_arguments};

/// The body of a request in one dialect.
pub(super) fn body(endpoint: &Endpoint, profile: &ModelProfile, asked: Asked<'_>, is_stream: bool) -> Value {
    let Asked { request, envelope, dialect } = asked;
    let mut body = Map::new();
    body.insert("model".into(), endpoint.model.clone().into());
    body.insert("messages".into(), messages(request, envelope, dialect.schema).into());
    let tokens_max = request.output_tokens_max.min(profile.output_tokens_max);
    body.insert(dialect.token_field.name().into(), tokens_max.into());
    sampling(&mut body, request, dialect);
    let tools = tools(endpoint.flavor, asked);
    if !tools.is_empty() {
        body.insert("tools".into(), tools.into());
    }
    if let Some(envelope) = envelope {
        schema(&mut body, endpoint.flavor, asked, envelope);
    }
    if is_stream {
        body.insert("stream".into(), true.into());
        if dialect.stream_usage {
            body.insert("stream_options".into(), json!({"include_usage": true}));
        }
    }
    if endpoint.flavor == Flavor::OpenRouter {
        body.insert("usage".into(), json!({"include": true}));
    }
    Value::Object(body)
}

fn sampling(body: &mut Map<String, Value>, request: &ModelRequest, dialect: Dialect) {
    if let Some(temperature) = request.temperature.filter(|_| dialect.temperature) {
        // By its decimal text: 0.2 as an f32 is 0.20000000298 as an f64.
        let exact: f64 = temperature.to_string().parse().unwrap_or_else(|_| f64::from(temperature));
        body.insert("temperature".into(), exact.into());
    }
    if let Some(seed) = request.seed.filter(|_| dialect.seed) {
        // Servers read it as a signed number.
        body.insert("seed".into(), (seed & (u64::MAX >> 1)).into());
    }
}

fn schema(body: &mut Map<String, Value>, flavor: Flavor, asked: Asked<'_>, envelope: &Envelope) {
    match asked.dialect.schema {
        SchemaMode::Native => {
            let strict = is_strict(&envelope.schema);
            let json_schema = json!({"name": envelope.name, "strict": strict, "schema": envelope.schema});
            body.insert("response_format".into(), json!({"type": "json_schema", "json_schema": json_schema}));
            if flavor == Flavor::OpenRouter {
                // Else it drops what an endpoint doesn't know, without a word.
                body.insert("provider".into(), json!({"require_parameters": true}));
            }
        }
        SchemaMode::ForcedTool if asked.request.tools.is_empty() => {
            let choice = json!({"type": "function", "function": {"name": envelope.tool}});
            body.insert("tool_choice".into(), choice);
        }
        SchemaMode::ForcedTool => {
            body.insert("tool_choice".into(), "required".into());
        }
        SchemaMode::Instructed => {}
    }
}

fn tools(flavor: Flavor, asked: Asked<'_>) -> Vec<Value> {
    let tool = |name: &str, description: &str, parameters: &Value| {
        let mut function = json!({"name": name, "description": description, "parameters": parameters});
        if matches!(flavor, Flavor::OpenAi | Flavor::Azure) && is_strict(parameters) {
            function["strict"] = true.into();
        }
        json!({"type": "function", "function": function})
    };
    let mut tools: Vec<Value> =
        asked.request.tools.iter().map(|spec| tool(&spec.name, &spec.description, &spec.parameters)).collect();
    if let (Some(name), Some(envelope)) = (asked.answer_tool(), asked.envelope) {
        tools.push(tool(name, ANSWER_TOOL_DESCRIPTION.trim_end(), &envelope.schema));
    }
    tools
}

fn messages(request: &ModelRequest, envelope: Option<&Envelope>, mode: SchemaMode) -> Vec<Value> {
    let mut messages: Vec<Value> = request.messages.iter().map(message).collect();
    if let Some(envelope) = envelope.filter(|_| mode == SchemaMode::Instructed) {
        instruct(&mut messages, &envelope.instruction());
    }
    messages
}

/// Adds to the first system message: many chat templates take only one, at the beginning.
fn instruct(messages: &mut Vec<Value>, instruction: &str) {
    match messages.first_mut().filter(|first| first["role"] == "system") {
        Some(system) => {
            let text = format!("{}\n\n{instruction}", system["content"].as_str().unwrap_or_default());
            system["content"] = text.into();
        }
        None => messages.insert(0, json!({"role": "system", "content": instruction})),
    }
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { text } => json!({"role": "system", "content": text}),
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Assistant { text, tool_calls } if tool_calls.is_empty() => {
            json!({"role": "assistant", "content": text})
        }
        Message::Assistant { text, tool_calls } => {
            let content = if text.is_empty() { Value::Null } else { text.as_str().into() };
            let calls: Vec<Value> = tool_calls.iter().map(call).collect();
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
        Message::Tool { call_id, content, is_error, .. } => {
            let content = if *is_error { format!("error: {content}") } else { content.clone() };
            json!({"role": "tool", "tool_call_id": call_id, "content": content})
        }
    }
}

fn call(call: &ToolCall) -> Value {
    let arguments = object_arguments(&call.arguments).to_string();
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}
