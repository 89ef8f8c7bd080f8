//! From a model's answer to a result, or to what is wrong with it.

use std::collections::BTreeSet;

use bytes::Bytes;
use convoke_domain::path::ArtifactPath;
use minijinja::value::Serde;
use serde_json::{Map, Value, json};

use super::evaluate::{TaskError, write_scope};
use super::finding::Finding;
use super::guardrail::Guardrail;
use super::inputs::Inputs;
use super::json_text::{complete, extract};
use super::plan;
use super::prompt::output_path;
use super::schema::Schema;
use super::spec::{AgentSpec, Capability, CompiledFlow, TaskSpec};
use super::tools::{NewFile, Scope, bound_errors};

/// What a step comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Its output. A small model's files stand in it as `{path, size}` instead of their content.
    pub output: Value,
    /// Its artifacts, with unique paths.
    pub files: Vec<NewFile>,
}

/// Checks an answer: the text of the last turn and what its tools wrote. Pure.
///
/// Findings are for the model ([`feedback`](super::feedback)), a bounded number of times; then [`repair`] may still help.
pub fn accept(
    flow: &CompiledFlow,
    spec: &TaskSpec,
    inputs: &Inputs,
    text: &str,
    written: &[NewFile],
) -> Result<Accepted, Vec<Finding>> {
    let step = Step::new(flow, spec, inputs)?;
    let (output, mut files) = step.read(text)?;
    files.extend_from_slice(written);
    step.check(&output, &files)?;
    step.accepted(output, files)
}

/// The best that can be made of an answer that stays wrong, without asking again: a text that was cut off is closed,
/// over-long texts and lists are cut to their schema, a plan loses what doesn't hold, files that may not be written or are
/// empty are left out. The result passes all checks of [`accept`]; `None` where nothing such is left.
pub fn repair(
    flow: &CompiledFlow,
    spec: &TaskSpec,
    inputs: &Inputs,
    text: &str,
    written: &[NewFile],
) -> Option<Accepted> {
    let step = Step::new(flow, spec, inputs).ok()?;
    let (output, mut files) = step.read_repaired(text)?;
    files.extend_from_slice(written);
    let output = if step.agent.guardrails.contains(&Guardrail::Plan) {
        plan::repair(&output, plan::tasks_max(&inputs.input))?
    } else {
        output
    };
    let mut seen = BTreeSet::new();
    let reserved = step.output_file.as_ref().map(|path| path.as_str().to_lowercase());
    files.retain(|file| {
        let name = file.path.as_str().to_lowercase();
        let fits = step.scope.allows(&file.path) && !is_blank(file) && Some(&name) != reserved.as_ref();
        fits && seen.insert(name)
    });
    step.check(&output, &files).ok()?;
    step.accepted(output, files).ok()
}

struct Step<'s> {
    agent: &'s AgentSpec,
    inputs: &'s Inputs,
    capability: Capability,
    scope: Scope,
    output_file: Option<ArtifactPath>,
}

impl<'s> Step<'s> {
    fn new(flow: &CompiledFlow, spec: &'s TaskSpec, inputs: &'s Inputs) -> Result<Self, Vec<Finding>> {
        let definition = |error: TaskError| vec![Finding::new("", error.to_string())];
        let missing = || vec![Finding::new("", format!("{} is no agent's task", spec.id))];
        let agent = spec.agent().ok_or_else(missing)?;
        let values = minijinja::Value::from(Serde(inputs.scope(&spec.bindings)));
        let output_file = output_path(spec, agent, &values).map_err(definition)?;
        let scope = write_scope(spec, inputs).map_err(definition)?;
        Ok(Self { agent, inputs, capability: flow.capability, scope, output_file })
    }

    /// The output, and the files that stand in it.
    fn read(&self, text: &str) -> Result<(Value, Vec<NewFile>), Vec<Finding>> {
        let Some(schema) = &self.agent.output else { return plain(text) };
        let value = extract(text).map_err(|message| vec![Finding::new("", message)])?;
        let findings = schema.findings(&value);
        if !findings.is_empty() {
            return Err(findings);
        }
        let (files, findings) = self.files_in(&value);
        if findings.is_empty() { Ok((value, files)) } else { Err(findings) }
    }

    fn read_repaired(&self, text: &str) -> Option<(Value, Vec<NewFile>)> {
        let Some(schema) = &self.agent.output else { return plain(text).ok() };
        let fitting = |value| Some(fitted(value, schema)).filter(|value| schema.is_valid(value));
        let value = extract(text).ok().and_then(fitting).or_else(|| complete(text, fitting))?;
        let (files, _) = self.files_in(&value);
        Some((value, files))
    }

    /// A small model writes its files into its answer.
    fn files_in(&self, output: &Value) -> (Vec<NewFile>, Vec<Finding>) {
        let (mut files, mut findings) = (Vec::new(), Vec::new());
        if self.capability == Capability::Capable || self.scope == Scope::Nowhere {
            return (files, findings);
        }
        for (index, file) in output.get("files").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let text = |field: &str| file.get(field).and_then(Value::as_str);
            let (Some(path), Some(content)) = (text("path"), text("content")) else { continue };
            match ArtifactPath::new(path) {
                Ok(path) => files.push(NewFile::new(path, content.to_owned())),
                Err(error) => findings.push(Finding::new(format!("/files/{index}/path"), error.to_string())),
            }
        }
        (files, findings)
    }

    fn check(&self, output: &Value, files: &[NewFile]) -> Result<(), Vec<Finding>> {
        let mut findings: Vec<Finding> = bound_errors(files).into_iter().map(|error| Finding::new("", error)).collect();
        let outside = files.iter().filter(|file| !self.scope.allows(&file.path));
        findings.extend(outside.map(|file| {
            Finding::new(file.path.as_str(), format!("this file may not be written here; allowed: {}", self.scope))
        }));
        if let Some(path) = &self.output_file
            && files.iter().any(|file| file.path.as_str().eq_ignore_ascii_case(path.as_str()))
        {
            findings.push(Finding::new(path.as_str(), "the answer itself becomes this file: don't write it"));
        }
        for guardrail in &self.agent.guardrails {
            match guardrail {
                Guardrail::Plan => findings.extend(plan::check(output, plan::tasks_max(&self.inputs.input))),
                Guardrail::NonemptyFiles => findings.extend(empty_files(files)),
                Guardrail::SafePaths => unsafe_paths(output, "", &mut findings),
                // Held for every step that writes, above.
                Guardrail::FilesInScope => {}
            }
        }
        if findings.is_empty() { Ok(()) } else { Err(findings) }
    }

    fn accepted(&self, mut output: Value, mut files: Vec<NewFile>) -> Result<Accepted, Vec<Finding>> {
        if self.capability == Capability::Small && self.scope != Scope::Nowhere {
            name_files(&mut output, &files);
        }
        if let Some(path) = &self.output_file {
            files.push(NewFile::new(path.clone(), document(&output)?));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Accepted { output, files })
    }
}

fn plain(text: &str) -> Result<(Value, Vec<NewFile>), Vec<Finding>> {
    let text = text.trim();
    if text.is_empty() {
        return Err(vec![Finding::new("", "the answer is empty")]);
    }
    Ok((Value::from(text), Vec::new()))
}

fn document(output: &Value) -> Result<Bytes, Vec<Finding>> {
    let mut text = match output {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).map_err(|error| vec![Finding::new("", error.to_string())])?,
    };
    text.push('\n');
    Ok(text.into())
}

/// Replaces contents by sizes: the files are artifacts of their own.
fn name_files(output: &mut Value, files: &[NewFile]) {
    if let Some(list) = output.get_mut("files") {
        *list = files.iter().map(|file| json!({"path": file.path.as_str(), "size": file.bytes.len()})).collect();
    }
}

fn empty_files(files: &[NewFile]) -> Vec<Finding> {
    if files.is_empty() {
        return vec![Finding::new("", "no file was written")];
    }
    let empty = files.iter().filter(|file| is_blank(file));
    empty.map(|file| Finding::new(file.path.as_str(), "the file is empty: write its content")).collect()
}

fn is_blank(file: &NewFile) -> bool {
    file.bytes.iter().all(u8::is_ascii_whitespace)
}

/// Values of fields called `path`, `file`, `paths` or `files` that are no safe paths.
fn unsafe_paths(value: &Value, place: &str, findings: &mut Vec<Finding>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                unsafe_paths(item, &format!("{place}/{index}"), findings);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let place = format!("{place}/{name}");
                if matches!(name.as_str(), "path" | "file" | "paths" | "files" | "shared_files") {
                    let list = field.as_array().map_or(std::slice::from_ref(field), Vec::as_slice);
                    for path in list.iter().filter_map(Value::as_str) {
                        if let Err(error) = ArtifactPath::new(path) {
                            findings.push(Finding::new(&place, error.to_string()));
                        }
                    }
                }
                unsafe_paths(field, &place, findings);
            }
        }
        _ => {}
    }
}

/// The value cut to what its schema bounds: texts to `maxLength`, lists to `maxItems`, unknown fields dropped where none
/// are allowed, missing lists and defaults filled in.
fn fitted(value: Value, schema: &Schema) -> Value {
    fit(value, schema.value())
}

fn fit(value: Value, schema: &Value) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|max| usize::try_from(max).ok());
    match value {
        Value::String(text) => match bound("maxLength") {
            Some(max) => text.chars().take(max).collect::<String>().into(),
            None => text.into(),
        },
        Value::Array(items) => {
            let items = items.into_iter().take(bound("maxItems").unwrap_or(usize::MAX)).enumerate();
            let first = schema.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let inner = |index: usize| first.get(index).or_else(|| schema.get("items"));
            items.map(|(index, item)| inner(index).map_or(item.clone(), |inner| fit(item, inner))).collect()
        }
        Value::Object(fields) => Value::Object(fit_fields(fields, schema)),
        other => other,
    }
}

fn fit_fields(fields: Map<String, Value>, schema: &Value) -> Map<String, Value> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return fields };
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let kept = fields.into_iter().filter(|(name, _)| !is_closed || properties.contains_key(name));
    let mut fitted: Map<String, Value> = kept
        .map(|(name, field)| {
            let field = properties.get(&name).map_or(field.clone(), |schema| fit(field, schema));
            (name, field)
        })
        .collect();
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        let Some(property) = properties.get(name).filter(|_| !fitted.contains_key(name)) else { continue };
        if let Some(filler) = filler(property) {
            fitted.insert(name.to_owned(), filler);
        }
    }
    fitted
}

/// What may stand for a value that was cut off: its default, the only value that it can have, or an empty list or text where that is valid.
fn filler(schema: &Value) -> Option<Value> {
    if let Some(default) = schema.get("default") {
        return Some(default.clone());
    }
    let demands = |name: &str| schema.get(name).and_then(Value::as_u64).is_some_and(|min| min > 0);
    if let Some([only]) = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice) {
        return Some(only.clone());
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") if !demands("minItems") => Some(json!([])),
        Some("string") if !demands("minLength") && schema.get("enum").is_none() => Some(json!("")),
        _ => None,
    }
}
