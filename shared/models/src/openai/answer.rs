//! What came back, read as leniently as can be.

use convoke_app::model::{Finish, ToolCall, Usage};
use convoke_domain::money::{MicroUsd, tokens_bound};
use serde_json::{Map, Value};

use super::failure::error_of;
use crate::structured::envelope::Draft;

/// Why there is no answer although the status was 200.
pub(super) enum ReadError {
    /// Cut, too long, or no JSON.
    Unreadable(String),
    /// The provider tells of an error in the body.
    Told {
        /// Its code, where that is a status; else 500.
        status: u16,
        /// The error object.
        error: Value,
        /// Whether some of the answer had come before, which is then billed.
        body_begun: bool,
    },
}

impl ReadError {
    pub(super) fn told(body: &Value, body_begun: bool) -> Self {
        let error = error_of(body).clone();
        let code = &error["code"];
        let number = code.as_u64().or_else(|| code.as_str().and_then(|code| code.parse().ok()));
        let status = number.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code));
        let named = if code == "rate_limit_exceeded" { 429 } else { 500 };
        Self::Told { status: status.unwrap_or(named), error, body_begun }
    }
}

/// An answer as it was read.
pub(super) struct Reading {
    pub(super) draft: Draft,
    /// `None` where the provider reports none.
    pub(super) usage: Option<Usage>,
    /// Bytes of what the model thought, which is billed but not kept.
    pub(super) thought: String,
}

impl Reading {
    /// An upper bound of the tokens of all that was written.
    pub(super) fn written_tokens_bound(&self) -> u64 {
        self.draft.tokens_bound() + tokens_bound(&self.thought)
    }
}

/// Reads a whole answer.
pub(super) fn read(bytes: &[u8]) -> Result<Reading, ReadError> {
    let body: Value = serde_json::from_slice(bytes)
        .map_err(|error| ReadError::Unreadable(format!("the answer is no JSON: {error}")))?;
    let choice = &body["choices"][0];
    let message = &choice["message"];
    if !message.is_object() {
        let is_error = body.get("error").is_some_and(|error| !error.is_null());
        let nothing = || ReadError::Unreadable("the answer holds no message".into());
        return Err(if is_error { ReadError::told(&body, false) } else { nothing() });
    }
    let mut parts = Parts::default();
    parts.add(message);
    parts.stopped(&choice["finish_reason"]);
    Ok(parts.into_reading(usage(&body["usage"])))
}

/// The pieces of an answer as they come.
#[derive(Default)]
pub(super) struct Parts {
    text: String,
    thought: String,
    refused: bool,
    calls: Vec<PartialCall>,
    finish_reason: Option<String>,
}

#[derive(Default)]
struct PartialCall {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

/// What a piece added.
#[derive(Default)]
pub(super) struct Added {
    pub(super) text: String,
    /// Name of the tool and the piece of its arguments.
    pub(super) arguments: Vec<(String, String)>,
}

impl Parts {
    /// Adds a message, or a piece of one.
    pub(super) fn add(&mut self, message: &Value) -> Added {
        let mut added = Added { text: content(&message["content"]), ..Added::default() };
        if let Some(refusal) = message["refusal"].as_str().filter(|refusal| !refusal.is_empty()) {
            self.refused = true;
            added.text.push_str(refusal);
        }
        self.text.push_str(&added.text);
        for thought in ["reasoning_content", "reasoning"] {
            self.thought.push_str(message[thought].as_str().unwrap_or_default());
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            added.arguments.push(self.add_call(call));
        }
        if message["function_call"].is_object() {
            added.arguments.push(self.add_call(&Value::Object(Map::from_iter([
                ("index".to_owned(), Value::from(0)),
                ("function".to_owned(), message["function_call"].clone()),
            ]))));
        }
        added
    }

    fn add_call(&mut self, piece: &Value) -> (String, String) {
        let function = &piece["function"];
        let arguments = match &function["arguments"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let call = self.call_of(piece);
        if let Some(id) = piece["id"].as_str().filter(|_| call.id.is_empty()) {
            id.clone_into(&mut call.id);
        }
        if let Some(name) = function["name"].as_str().filter(|_| call.name.is_empty()) {
            name.clone_into(&mut call.name);
        }
        call.arguments.push_str(&arguments);
        (call.name.clone(), arguments)
    }

    /// The call that a piece belongs to: by its index, else by its id, else the last one.
    fn call_of(&mut self, piece: &Value) -> &mut PartialCall {
        let index = piece["index"].as_u64();
        let id = piece["id"].as_str().filter(|id| !id.is_empty());
        let known = match (index, id) {
            (Some(_), _) => self.calls.iter().position(|call| call.index == index),
            (None, Some(id)) => self.calls.iter().position(|call| call.id == id),
            // A piece without both that brings a name begins a call; one without continues it.
            (None, None) if piece["function"]["name"].is_string() => None,
            (None, None) => self.calls.len().checked_sub(1),
        };
        let at = known.unwrap_or_else(|| {
            self.calls.push(PartialCall { index, ..PartialCall::default() });
            self.calls.len() - 1
        });
        &mut self.calls[at]
    }

    /// Notes why it stopped, where that is said.
    pub(super) fn stopped(&mut self, finish_reason: &Value) {
        if let Some(reason) = finish_reason.as_str() {
            self.finish_reason = Some(reason.to_owned());
        }
    }

    /// Whether the provider has said why it stopped.
    pub(super) const fn has_stopped(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// Whether anything of an answer has come.
    pub(super) fn has_begun(&self) -> bool {
        !self.text.is_empty() || !self.calls.is_empty() || !self.thought.is_empty()
    }

    pub(super) fn into_reading(self, usage: Option<Usage>) -> Reading {
        let finish = self.finish();
        let calls = self.calls.into_iter().filter(|call| !call.name.is_empty()).enumerate();
        let tool_calls = calls.map(|(position, call)| call.into_call(position)).collect();
        Reading { draft: Draft { text: self.text, tool_calls, finish }, usage, thought: self.thought }
    }

    /// Unknown reasons and none count by what came: calls want to be answered, text was done.
    fn finish(&self) -> Finish {
        let by_content = if self.calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
        match self.finish_reason.as_deref() {
            _ if self.refused => Finish::Filtered,
            Some("length" | "max_tokens") => Finish::Length,
            Some("content_filter") => Finish::Filtered,
            _ => by_content,
        }
    }
}

impl PartialCall {
    fn into_call(self, position: usize) -> ToolCall {
        let id = if self.id.is_empty() { format!("call_{position}") } else { self.id };
        let arguments = match self.arguments.trim() {
            "" => Value::Object(Map::new()),
            text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
        ToolCall { id, name: self.name, arguments }
    }
}

/// Text, or a list of parts of which the texts count.
fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// The usage where it is reported; all zeros is no report.
pub(super) fn usage(usage: &Value) -> Option<Usage> {
    let count = |names: &[&str]| names.iter().find_map(|name| whole(&usage[name]));
    let input_tokens = count(&["prompt_tokens", "input_tokens"])?;
    let total = count(&["total_tokens"]).unwrap_or(0);
    // Some leave what was thought out of the answer's count, but not out of the total.
    let output_tokens =
        count(&["completion_tokens", "output_tokens"]).unwrap_or(0).max(total.saturating_sub(input_tokens));
    if input_tokens == 0 && output_tokens == 0 {
        return None;
    }
    Some(Usage { input_tokens, output_tokens, reported_usd: reported_usd(usage) })
}

/// `OpenRouter`'s cost in dollars, and with a key of one's own what the provider behind it charges on top.
fn reported_usd(usage: &Value) -> Option<MicroUsd> {
    let own = if usage["is_byok"] == true { &usage["cost_details"]["upstream_inference_cost"] } else { &Value::Null };
    let dollars = usage["cost"].as_f64()? + own.as_f64().unwrap_or(0.0);
    micro_usd(dollars)
}

/// Rounded up to a whole millionth, but for the noise of binary fractions.
fn micro_usd(dollars: f64) -> Option<MicroUsd> {
    let nanos = whole(&Value::from((dollars * 1e9).round()))?;
    Some(MicroUsd(nanos.div_ceil(1_000)))
}

/// A count, also where it is written as `12.0`.
fn whole(number: &Value) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64().filter(|float| float.is_finite() && (0.0..1e15).contains(float))?;
        format!("{float:.0}").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reading(body: &Value) -> Reading {
        read(body.to_string().as_bytes()).unwrap_or_else(|_| panic!("not read: {body}"))
    }

    fn message(message: &Value, finish: &Value) -> Draft {
        reading(&json!({"choices": [{"message": message, "finish_reason": finish}]})).draft
    }

    #[test]
    fn what_servers_really_send_is_read() {
        for (content, text) in [
            (json!("hi"), "hi"),
            (Value::Null, ""),
            (json!([{"type": "text", "text": "h"}, {"type": "image"}, {"text": "i"}]), "hi"),
            (json!(7), ""),
        ] {
            assert_eq!(message(&json!({"content": content}), &json!("stop")).text, text);
        }
        for (reason, finish) in [
            (json!("stop"), Finish::Stop),
            (json!("eos"), Finish::Stop),
            (Value::Null, Finish::Stop),
            (json!("tool_calls"), Finish::Stop),
            (json!("length"), Finish::Length),
            (json!("content_filter"), Finish::Filtered),
        ] {
            assert_eq!(message(&json!({"content": "x"}), &reason).finish, finish, "{reason}");
        }
        let refusal = message(&json!({"content": null, "refusal": "I won't."}), &json!("stop"));
        assert_eq!((refusal.text.as_str(), refusal.finish), ("I won't.", Finish::Filtered));
    }

    #[test]
    fn calls_are_read_in_all_their_forms() {
        let draft = message(
            &json!({"tool_calls": [
                {"id": "a", "function": {"name": "look", "arguments": "{\"at\": 1}"}},
                {"function": {"name": "look", "arguments": {"at": 2}}},
                {"function": {"name": "look", "arguments": ""}},
                {"id": "d", "function": {"name": "look", "arguments": "not json"}},
                {"id": "e", "function": {"arguments": "{}"}},
            ]}),
            &json!("stop"),
        );
        assert_eq!(draft.finish, Finish::ToolCalls);
        let calls: Vec<_> = draft.tool_calls.iter().map(|call| (call.id.as_str(), call.arguments.clone())).collect();
        let expected =
            [("a", json!({"at": 1})), ("call_1", json!({"at": 2})), ("call_2", json!({})), ("d", json!("not json"))];
        assert_eq!(calls, expected);
        let old = message(&json!({"function_call": {"name": "look", "arguments": "{}"}}), &json!("function_call"));
        assert_eq!(old.tool_calls.len(), 1);
    }

    #[test]
    fn pieces_of_calls_find_their_call() {
        let mut parts = Parts::default();
        for piece in [
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "x", "arguments": ""}}]}),
            json!({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "y", "arguments": "{\"n\""}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"m\": 1}"}}]}),
            json!({"tool_calls": [{"index": 1, "function": {"name": null, "arguments": ": 2}"}}]}),
        ] {
            parts.add(&piece);
        }
        let calls = parts.into_reading(None).draft.tool_calls;
        assert_eq!((&calls[0].arguments, &calls[1].arguments), (&json!({"m": 1}), &json!({"n": 2})));
    }

    #[test]
    fn usage_is_taken_where_there_is_some() {
        let tokens = |value: Value| usage(&value).map(|usage| (usage.input_tokens, usage.output_tokens));
        assert_eq!(tokens(json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7})), Some((3, 4)));
        assert_eq!(tokens(json!({"prompt_tokens": 3.0, "total_tokens": 10})), Some((3, 7)));
        assert_eq!(tokens(json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 10})), Some((3, 7)));
        for none in
            [json!(null), json!({}), json!({"prompt_tokens": 0, "completion_tokens": 0}), json!({"prompt_tokens": -1})]
        {
            assert_eq!(tokens(none), None);
        }
        let cost = |value: Value| usage(&value).and_then(|usage| usage.reported_usd);
        assert_eq!(cost(json!({"prompt_tokens": 1, "cost": 0.000_123})), Some(MicroUsd(123)));
        assert_eq!(cost(json!({"prompt_tokens": 1, "cost": 0.000_000_01})), Some(MicroUsd(1)));
        assert_eq!(cost(json!({"prompt_tokens": 1, "cost": -4})), None);
        let byok =
            json!({"prompt_tokens": 1, "cost": 0.5, "is_byok": true, "cost_details": {"upstream_inference_cost": 1}});
        assert_eq!(cost(byok), Some(MicroUsd(1_500_000)));
    }
}
