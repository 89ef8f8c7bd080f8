//! What `Converse` and `ConverseStream` answer.

use std::collections::BTreeMap;

use aws_sdk_bedrockruntime::operation::converse::ConverseOutput;
use aws_sdk_bedrockruntime::primitives::event_stream::EventReceiver;
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ContentBlockDelta, ContentBlockStart, ConverseStreamOutput, StopReason, TokenUsage, ToolUseBlockStart,
};
use convoke_app::model::{DeltaSink, Finish, ToolCall, Usage};
use serde_json::{Map, Value};

use super::document::to_value;
use super::failure::Failure;
use crate::structured::envelope::Draft;

/// An answer as it was read.
pub(super) struct Reading {
    pub(super) draft: Draft,
    /// `None` where none was reported.
    pub(super) usage: Option<Usage>,
}

/// Reads a whole answer.
pub(super) fn whole(output: &ConverseOutput) -> Result<Reading, Failure> {
    let finish = finish(&output.stop_reason)?;
    let usage = output.usage.as_ref().map(usage);
    let message = output.output.as_ref().and_then(|output| output.as_message().ok());
    let message = message.ok_or_else(|| Failure::broken("the answer holds no message"))?;
    let mut draft = Draft { text: String::new(), tool_calls: Vec::new(), finish };
    for block in &message.content {
        match block {
            ContentBlock::Text(text) => draft.text.push_str(text),
            ContentBlock::ToolUse(call) => draft.tool_calls.push(ToolCall {
                id: call.tool_use_id.clone(),
                name: call.name.clone(),
                arguments: to_value(&call.input),
            }),
            // Thoughts, citations and what else may come beside the answer.
            _ => {}
        }
    }
    Ok(Reading { draft, usage })
}

/// Reads a stream to its end: the usage comes after the reason of stopping.
pub(super) async fn stream(
    mut events: EventReceiver<ConverseStreamOutput, ConverseStreamOutputError>,
    answer_tool: Option<&str>,
    sink: &DeltaSink,
) -> Result<Reading, Failure> {
    let mut parts = Parts::default();
    loop {
        match events.recv().await {
            Ok(Some(event)) => parts.add(event, answer_tool, sink),
            Ok(None) => return parts.into_reading(),
            Err(error) if parts.has_begun() => return Err(Failure::midway(&error)),
            Err(error) => return Err(Failure::of(error)),
        }
    }
}

/// The pieces of an answer as they come.
#[derive(Default)]
struct Parts {
    text: String,
    calls: BTreeMap<i32, PartialCall>,
    stop: Option<StopReason>,
    usage: Option<Usage>,
}

struct PartialCall {
    id: String,
    name: String,
    input: String,
}

impl Parts {
    fn add(&mut self, event: ConverseStreamOutput, answer_tool: Option<&str>, sink: &DeltaSink) {
        match event {
            ConverseStreamOutput::ContentBlockStart(event) => {
                if let Some(ContentBlockStart::ToolUse(ToolUseBlockStart { tool_use_id, name, .. })) = event.start {
                    let call = PartialCall { id: tool_use_id, name, input: String::new() };
                    self.calls.insert(event.content_block_index, call);
                }
            }
            ConverseStreamOutput::ContentBlockDelta(event) => match event.delta {
                Some(ContentBlockDelta::Text(text)) => {
                    sink(&text);
                    self.text.push_str(&text);
                }
                Some(ContentBlockDelta::ToolUse(piece)) => {
                    self.add_input(event.content_block_index, &piece.input, answer_tool, sink);
                }
                _ => {}
            },
            ConverseStreamOutput::MessageStop(event) => self.stop = Some(event.stop_reason),
            ConverseStreamOutput::Metadata(event) => self.usage = event.usage.as_ref().map(usage).or(self.usage),
            _ => {}
        }
    }

    fn add_input(&mut self, index: i32, input: &str, answer_tool: Option<&str>, sink: &DeltaSink) {
        let Some(call) = self.calls.get_mut(&index) else { return };
        call.input.push_str(input);
        if Some(call.name.as_str()) == answer_tool {
            sink(input);
        }
    }

    fn has_begun(&self) -> bool {
        !self.text.is_empty() || !self.calls.is_empty()
    }

    fn into_reading(self) -> Result<Reading, Failure> {
        let stop = self.stop.ok_or_else(|| Failure::broken("the stream ended before the answer did"))?;
        let finish = finish(&stop)?;
        let tool_calls = self.calls.into_values().map(PartialCall::into_call).collect();
        Ok(Reading { draft: Draft { text: self.text, tool_calls, finish }, usage: self.usage })
    }
}

impl PartialCall {
    fn into_call(self) -> ToolCall {
        let arguments = match self.input.trim() {
            "" => Value::Object(Map::new()),
            text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
        ToolCall { id: self.id, name: self.name, arguments }
    }
}

fn finish(reason: &StopReason) -> Result<Finish, Failure> {
    match reason {
        StopReason::ToolUse => Ok(Finish::ToolCalls),
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => Ok(Finish::Length),
        StopReason::ContentFiltered | StopReason::GuardrailIntervened => Ok(Finish::Filtered),
        StopReason::MalformedModelOutput | StopReason::MalformedToolUse => {
            Err(Failure::broken(&format!("the model's output is malformed ({})", reason.as_str())))
        }
        _ => Ok(Finish::Stop),
    }
}

/// What was read from and written to the prompt cache is input, too.
fn usage(usage: &TokenUsage) -> Usage {
    let count = |tokens: i32| u64::try_from(tokens).unwrap_or(0);
    let cached = [usage.cache_read_input_tokens, usage.cache_write_input_tokens];
    let cached: u64 = cached.into_iter().flatten().map(count).sum();
    Usage {
        input_tokens: count(usage.input_tokens) + cached,
        output_tokens: count(usage.output_tokens),
        reported_usd: None,
    }
}
