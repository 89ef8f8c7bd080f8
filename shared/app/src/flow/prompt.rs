//! From a task and its inputs to what a model is asked.
//!
//! As in `CrewAI`, the system message says who the agent is (role, backstory, goal), the user message what the task is,
//! what is expected, and the context. Everything is bounded by the model's context: what is too wide or too long is left
//! out visibly. How long a text is in tokens is guessed, on the safe side.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use convoke_domain::path::ArtifactPath;
use minijinja::value::Serde;
use serde_json::{Value, json};

use super::digest;
use super::evaluate::{TaskError, safe_path, write_scope};
use super::inputs::Inputs;
use super::spec::{AgentSpec, Capability, CompiledFlow, ReadKind, TaskSpec};
use super::template::Template;
use super::tools::{Scope, file_tools, is_own_file};
use crate::model::{Message, ModelProfile, OutputSchema, ToolSpec};
use crate::ports::FileRef;

/// Bytes of a token, at least: what a text of so many bytes takes is not underestimated for prose and code.
const BYTES_PER_TOKEN: usize = 3;
/// Tokens of a prompt for a model that isn't capable.
const SMALL_PROMPT_TOKENS: u32 = 900;
/// Tokens of an answer of such a model where the task doesn't say.
const SMALL_OUTPUT_TOKENS: u32 = 400;
/// Tokens that are kept free for what the provider adds.
const MARGIN_TOKENS: u32 = 128;
/// Fewest tokens that a prompt needs.
const PROMPT_TOKENS_MIN: u32 = 256;
/// Most of a prompt that its description may take, in per cent, where that has to be cut.
const DESCRIPTION_PERCENT: usize = 70;
/// Most files that a prompt lists.
const LISTED_MAX: usize = 200;

/// What a model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// System and user message.
    pub messages: Vec<Message>,
    /// The schema of the answer; text where there is none.
    pub schema: Option<OutputSchema>,
    /// Tools it may call.
    pub tools: Vec<ToolSpec>,
    /// Bound of each answer.
    pub output_tokens_max: u32,
    /// Sampling temperature; the provider's default where there is none.
    pub temperature: Option<f32>,
    /// Where the tools may write.
    pub scope: Scope,
}

/// Asks for `spec`'s work. Pure: the same inputs and model give the same prompt.
///
/// Errors are of the definition or of the model's size, never of an answer: they fail the step without a call.
pub fn prompt(
    flow: &CompiledFlow,
    spec: &TaskSpec,
    inputs: &Inputs,
    profile: &ModelProfile,
) -> Result<Prompt, TaskError> {
    let agent = spec.agent().ok_or_else(|| TaskError::Missing(format!("agent {}", spec.id)))?;
    let scope = write_scope(spec, inputs)?;
    let values = minijinja::Value::from(Serde(inputs.scope(&spec.bindings)));
    output_path(spec, agent, &values)?;
    let small = flow.capability == Capability::Small;
    let output_tokens_max = output_tokens(agent, profile, flow.capability);
    let room = prompt_bytes(spec, profile, output_tokens_max, flow.capability)?;
    let fill = |template: &Template, place: &'static str| fill(template, &values, spec, place);
    let persona = &agent.persona;
    let system = format!(
        "You are {}. {}\n\nYour goal: {}",
        fill(&persona.role, "role")?.trim(),
        fill(&persona.backstory, "backstory")?.trim(),
        fill(&persona.goal, "goal")?.trim()
    );
    let system = digest::text(&system, room / 4);
    let tools = if small { Vec::new() } else { tools(spec, &scope) };
    let schema = agent.output.as_ref().map(|schema| OutputSchema {
        name: spec.id.clone(),
        schema: if small { with_paths(schema.value(), &scope) } else { schema.value().clone() },
    });
    let closing = closing(schema.is_some(), &tools, &scope, small);
    let expected = digest::text(fill(&agent.expected_output, "expected_output")?.trim(), room / 4);
    let fixed = system.len() + expected.len() + closing.len() + 40;
    let rest = room.saturating_sub(fixed);
    let description = digest::text(fill(&agent.description, "description")?.trim(), rest * DESCRIPTION_PERCENT / 100);
    let rest = rest.saturating_sub(description.len());
    let supplement = supplement(spec, &scope, inputs, (rest, small));
    let user = format!("{description}\n\nExpected: {expected}\n{supplement}\n{closing}");
    Ok(Prompt {
        messages: vec![Message::System { text: system }, Message::User { text: user }],
        schema,
        tools,
        output_tokens_max,
        temperature: agent.temperature,
        scope,
    })
}

/// The artifact that the answer becomes with these inputs, if the task says so and its path can be made.
pub(crate) fn answer_path(spec: &TaskSpec, inputs: &Inputs) -> Option<ArtifactPath> {
    let values = minijinja::Value::from(Serde(inputs.scope(&spec.bindings)));
    output_path(spec, spec.agent()?, &values).ok().flatten()
}

/// The artifact that the answer becomes, if the task says so.
pub(crate) fn output_path(
    spec: &TaskSpec,
    agent: &AgentSpec,
    values: &minijinja::Value,
) -> Result<Option<ArtifactPath>, TaskError> {
    let Some(template) = &agent.output_file else { return Ok(None) };
    let text = fill(template, values, spec, "output_file")?;
    let path = safe_path(text.trim(), &spec.id, "output_file")?;
    if is_own_file(&path) {
        return Err(TaskError::OwnFile { task: spec.id.clone(), place: "output_file", path: path.to_string() });
    }
    Ok(Some(path))
}

pub(crate) fn fill(
    template: &Template,
    values: &minijinja::Value,
    spec: &TaskSpec,
    place: &'static str,
) -> Result<String, TaskError> {
    template.render(values).map_err(|source| TaskError::Template { task: spec.id.clone(), place, source })
}

fn output_tokens(agent: &AgentSpec, profile: &ModelProfile, capability: Capability) -> u32 {
    let own = match capability {
        Capability::Capable => agent.output_tokens_max,
        Capability::Small => agent.output_tokens_max.or(Some(SMALL_OUTPUT_TOKENS)),
    };
    own.unwrap_or(profile.output_tokens_max).min(profile.output_tokens_max)
}

fn prompt_bytes(
    spec: &TaskSpec,
    profile: &ModelProfile,
    output_tokens_max: u32,
    capability: Capability,
) -> Result<usize, TaskError> {
    let free = profile.context_tokens.saturating_sub(output_tokens_max).saturating_sub(MARGIN_TOKENS);
    if free < PROMPT_TOKENS_MIN {
        return Err(TaskError::ContextTooSmall { task: spec.id.clone(), context_tokens: profile.context_tokens });
    }
    let tokens = match capability {
        // Tool results and repairs need room, too.
        Capability::Capable => free * 3 / 5,
        Capability::Small => free.min(SMALL_PROMPT_TOKENS),
    };
    Ok(tokens as usize * BYTES_PER_TOKEN)
}

fn tools(spec: &TaskSpec, scope: &Scope) -> Vec<ToolSpec> {
    if *scope == Scope::Nowhere && spec.files.is_empty() { Vec::new() } else { file_tools(scope) }
}

/// The schema with the paths that may be written as the only ones, where they can be listed.
fn with_paths(schema: &Value, scope: &Scope) -> Value {
    let mut schema = schema.clone();
    let paths = scope.listed().filter(|paths| !paths.is_empty());
    let path = schema.pointer_mut("/properties/files/items/properties/path");
    if let (Some(paths), Some(path)) = (paths, path) {
        *path = json!({"type": "string", "enum": paths});
    }
    schema
}

/// How to answer.
fn closing(has_schema: bool, tools: &[ToolSpec], scope: &Scope, small: bool) -> String {
    let mut text = String::new();
    let writes = *scope != Scope::Nowhere;
    if writes && !tools.is_empty() {
        let _ = writeln!(
            text,
            "Write each file whole with write_file, several in one turn where you can. You may write: {scope}."
        );
    } else if !tools.is_empty() {
        text.push_str("Read the files you need with read_file, several in one turn.\n");
    }
    text.push_str(match (has_schema, writes && !small) {
        (true, true) => "When all files are written, answer with one JSON object and nothing else.",
        (true, false) => "Answer with one JSON object and nothing else.",
        (false, true) => "When all files are written, say in a few sentences what you made.",
        (false, false) => "Answer with the result itself, without preface.",
    });
    text
}

/// Context and files, within `rest` bytes.
fn supplement(spec: &TaskSpec, scope: &Scope, inputs: &Inputs, (rest, small): (usize, bool)) -> String {
    let Some(agent) = spec.agent() else { return String::new() };
    let entries = context(spec, agent, inputs);
    let shows_base = if small { *scope != Scope::Nowhere } else { *scope != Scope::Nowhere || !spec.files.is_empty() };
    let base = if shows_base { inputs.base.as_slice() } else { &[] };
    let files = files(spec, inputs, base);
    let file_share = match (files.is_empty(), small, entries.is_empty()) {
        (true, ..) => 0,
        (false, true, true) => rest,
        (false, true, false) => rest / 2,
        (false, false, _) => rest / 5,
    };
    let listing = if small { contents(&files, inputs, file_share) } else { listing(&files, file_share) };
    let mut text = String::new();
    let shares = shares(&entries, rest.saturating_sub(listing.len()));
    for ((name, output), share) in entries.iter().zip(shares) {
        let digest = match output {
            Value::Array(items) => digest::list(items, share),
            other => digest::text(&digest::plain(other), share),
        };
        let _ = writeln!(text, "\n## {name}\n{}", digest.trim());
    }
    text + &listing
}

fn context<'i>(spec: &TaskSpec, agent: &'i AgentSpec, inputs: &'i Inputs) -> Vec<(&'i str, &'i Value)> {
    let output = |name: &String| {
        let binding = spec.bindings.iter().find(|binding| binding.name == *name)?;
        inputs.outputs.get(&binding.read.task)
    };
    agent.context.iter().filter_map(|name| Some((name.as_str(), output(name)?))).collect()
}

/// Each entry gets what it needs or a fair part; what short ones leave goes to long ones.
fn shares(entries: &[(&str, &Value)], mut rest: usize) -> Vec<usize> {
    let needs: Vec<usize> = entries.iter().map(|(name, value)| digest::plain(value).len() + name.len() + 8).collect();
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by_key(|&index| needs[index]);
    let mut shares = vec![0; needs.len()];
    for (position, &index) in order.iter().enumerate() {
        let fair = rest / (needs.len() - position);
        let share = needs[index].min(fair);
        rest -= share;
        shares[index] = share;
    }
    shares
}

/// The files that the task may read, without duplicates, as the steps left them; below all those of `base`.
fn files<'i>(spec: &TaskSpec, inputs: &'i Inputs, base: &'i [FileRef]) -> Vec<&'i FileRef> {
    let awaited = if spec.files.iter().any(|read| read.kind == ReadKind::After) { &*inputs.after_files } else { &[] };
    let own = spec.files.iter().filter(|read| read.kind != ReadKind::After);
    let own = own.filter_map(|read| inputs.files.get(&read.task)).flatten();
    // Later ones replace earlier ones of the same path.
    let by_path: BTreeMap<&str, &FileRef> =
        base.iter().chain(awaited).chain(own).map(|file| (file.path.as_str(), file)).collect();
    by_path.into_values().collect()
}

fn listing(files: &[&FileRef], bytes_max: usize) -> String {
    if files.is_empty() {
        return String::new();
    }
    let mut text = "\n## Files that you can read\n".to_owned();
    for (index, file) in files.iter().enumerate() {
        if index >= LISTED_MAX || text.len() > bytes_max {
            let _ = writeln!(text, "[... {} more files, see list_files]", files.len() - index);
            break;
        }
        let size = digest::size(usize::try_from(file.bytes).unwrap_or(usize::MAX));
        let _ = writeln!(text, "{} ({size})", file.path);
    }
    text
}

fn contents(files: &[&FileRef], inputs: &Inputs, bytes_max: usize) -> String {
    let mut text = String::new();
    let share = bytes_max / files.len().max(1);
    for (index, file) in files.iter().enumerate() {
        if text.len() + share > bytes_max.max(share) {
            let _ = writeln!(text, "[... {} more files omitted]", files.len() - index);
            break;
        }
        let content = inputs.texts.get(&file.path).map_or("[not shown]", String::as_str);
        let _ =
            writeln!(text, "\n## File {}\n{}", file.path, digest::text(content, share.saturating_sub(60)).trim_end());
    }
    text
}
