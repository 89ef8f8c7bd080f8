//! What `Converse` is asked.

use aws_sdk_bedrockruntime::error::BuildError;
use aws_sdk_bedrockruntime::types::{
    AnyToolChoice, ContentBlock, ConversationRole, InferenceConfiguration, JsonSchemaDefinition, Message as Turn,
    OutputConfig, OutputFormat, OutputFormatStructure, OutputFormatType, SpecificToolChoice, SystemContentBlock, Tool,
    ToolChoice, ToolConfiguration, ToolInputSchema, ToolResultBlock, ToolResultContentBlock, ToolResultStatus,
    ToolSpecification, ToolUseBlock,
};
use convoke_app::model::{Message, ModelError, ModelRequest, ToolCall};
use serde_json::Value;

use super::Manner;
use super::document::to_document;
use crate::structured::envelope::{ANSWER_TOOL_DESCRIPTION, Envelope, SchemaMode, object_arguments};

/// What both operations take.
pub(super) struct Call {
    pub(super) system: Option<Vec<SystemContentBlock>>,
    pub(super) messages: Vec<Turn>,
    pub(super) inference: InferenceConfiguration,
    pub(super) tools: Option<ToolConfiguration>,
    pub(super) output: Option<OutputConfig>,
}

impl Call {
    /// A request in one manner.
    pub(super) fn of(
        request: &ModelRequest,
        envelope: Option<&Envelope>,
        manner: Manner,
        output_tokens_max: u32,
    ) -> Result<Self, ModelError> {
        Self::build(request, envelope, manner, output_tokens_max)
            .map_err(|error| ModelError::Refused { detail: format!("the request can't be built: {error}") })
    }

    fn build(
        request: &ModelRequest,
        envelope: Option<&Envelope>,
        manner: Manner,
        output_tokens_max: u32,
    ) -> Result<Self, BuildError> {
        let tokens_max = i32::try_from(request.output_tokens_max.min(output_tokens_max)).unwrap_or(i32::MAX);
        let inference = InferenceConfiguration::builder()
            .max_tokens(tokens_max)
            .set_temperature(request.temperature.filter(|_| manner.temperature))
            .build();
        let tools = tools(request, envelope.filter(|_| manner.schema == SchemaMode::ForcedTool))?;
        let native = envelope.filter(|_| manner.schema == SchemaMode::Native);
        let instructed = envelope.filter(|_| manner.schema == SchemaMode::Instructed);
        let system = system(request, instructed);
        Ok(Self {
            messages: turns(&request.messages, tools.is_some())?,
            system: (!system.is_empty()).then_some(system),
            inference,
            tools,
            output: native.map(output).transpose()?,
        })
    }
}

fn output(envelope: &Envelope) -> Result<OutputConfig, BuildError> {
    let schema = JsonSchemaDefinition::builder().name(&envelope.name).schema(envelope.schema.to_string()).build()?;
    let format = OutputFormat::builder()
        .r#type(OutputFormatType::JsonSchema)
        .structure(OutputFormatStructure::JsonSchema(schema))
        .build()?;
    Ok(OutputConfig::builder().text_format(format).build())
}

fn system(request: &ModelRequest, instructed: Option<&Envelope>) -> Vec<SystemContentBlock> {
    let texts = request.messages.iter().filter_map(|message| match message {
        Message::System { text } if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    });
    texts.chain(instructed.map(Envelope::instruction)).map(SystemContentBlock::Text).collect()
}

fn tools(request: &ModelRequest, forced: Option<&Envelope>) -> Result<Option<ToolConfiguration>, BuildError> {
    let tool = |name: &str, description: &str, parameters: &Value| -> Result<Tool, BuildError> {
        let spec = ToolSpecification::builder()
            .name(name)
            // An empty description is refused.
            .description(if description.trim().is_empty() { name } else { description })
            .input_schema(ToolInputSchema::Json(to_document(parameters)))
            .build()?;
        Ok(Tool::ToolSpec(spec))
    };
    let mut tools = Vec::new();
    for spec in &request.tools {
        tools.push(tool(&spec.name, &spec.description, &spec.parameters)?);
    }
    let Some(envelope) = forced else {
        let config = || ToolConfiguration::builder().set_tools(Some(tools)).build();
        return if request.tools.is_empty() { Ok(None) } else { config().map(Some) };
    };
    tools.push(tool(&envelope.tool, ANSWER_TOOL_DESCRIPTION.trim_end(), &envelope.schema)?);
    let choice = if request.tools.is_empty() {
        ToolChoice::Tool(SpecificToolChoice::builder().name(&envelope.tool).build()?)
    } else {
        ToolChoice::Any(AnyToolChoice::builder().build())
    };
    ToolConfiguration::builder().set_tools(Some(tools)).tool_choice(choice).build().map(Some)
}

/// The conversation in turns: `Converse` wants both sides to alternate, so what stands side by side is one turn.
fn turns(messages: &[Message], has_tools: bool) -> Result<Vec<Turn>, BuildError> {
    let mut sides: Vec<(ConversationRole, Vec<ContentBlock>)> = Vec::new();
    for message in messages {
        let Some((role, blocks)) = blocks(message, has_tools)? else { continue };
        match sides.last_mut() {
            Some((last, content)) if *last == role => content.extend(blocks),
            _ => sides.push((role, blocks)),
        }
    }
    let turn = |(role, blocks)| Turn::builder().role(role).set_content(Some(blocks)).build();
    sides.into_iter().map(turn).collect()
}

/// A message's content; `None` where nothing is left, as blank text is refused. Without tools in the request their
/// calls and results are refused, too, and are told as text.
fn blocks(message: &Message, has_tools: bool) -> Result<Option<(ConversationRole, Vec<ContentBlock>)>, BuildError> {
    let (role, blocks) = match message {
        Message::System { .. } => return Ok(None),
        Message::User { text } => (ConversationRole::User, text_block(text)),
        Message::Assistant { text, tool_calls } => {
            let mut blocks = text_block(text);
            for call in tool_calls {
                blocks.push(if has_tools { tool_use(call)? } else { ContentBlock::Text(told_call(call)) });
            }
            (ConversationRole::Assistant, blocks)
        }
        Message::Tool { call_id, content, is_error, .. } if has_tools => {
            (ConversationRole::User, vec![tool_result(call_id, content, *is_error)?])
        }
        Message::Tool { name, content, .. } => (ConversationRole::User, text_block(&format!("{name}: {content}"))),
    };
    Ok((!blocks.is_empty()).then_some((role, blocks)))
}

fn text_block(text: &str) -> Vec<ContentBlock> {
    if text.trim().is_empty() { Vec::new() } else { vec![ContentBlock::Text(text.to_owned())] }
}

fn told_call(call: &ToolCall) -> String {
    format!("{}({})", call.name, call.arguments)
}

fn tool_use(call: &ToolCall) -> Result<ContentBlock, BuildError> {
    let input = to_document(&object_arguments(&call.arguments));
    let block = ToolUseBlock::builder().tool_use_id(&call.id).name(&call.name).input(input).build()?;
    Ok(ContentBlock::ToolUse(block))
}

fn tool_result(call_id: &str, content: &str, is_error: bool) -> Result<ContentBlock, BuildError> {
    let status = if is_error { ToolResultStatus::Error } else { ToolResultStatus::Success };
    let text = if content.trim().is_empty() { "(empty)" } else { content };
    let block = ToolResultBlock::builder()
        .tool_use_id(call_id)
        .content(ToolResultContentBlock::Text(text.to_owned()))
        .status(status)
        .build()?;
    Ok(ContentBlock::ToolResult(block))
}
