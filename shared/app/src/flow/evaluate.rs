//! Conditions, loops' ends, maps' lists, joins.

use std::collections::BTreeMap;

use convoke_domain::graph::ORDERED_ITEMS_MAX;
use convoke_domain::path::{ArtifactPath, PathError};
use serde_json::{Map, Value};

use super::expr::{Expr, ExprError};
use super::finding::Finding;
use super::inputs::Inputs;
use super::spec::{CompiledFlow, MapSpec, TaskBody, TaskSpec};
use super::template::TemplateError;
use super::tools::Scope;

/// Most warnings of a loop.
pub const WARNINGS_MAX: usize = 12;
/// Longest warning, in characters.
const WARNING_CHARS_MAX: usize = 300;

/// Why a step can't be asked or decided, whatever the model says. Final: the same step over the same data fails again.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A template of the definition can't be filled in.
    #[error("the {place} of {task:?} can't be filled in")]
    Template {
        /// The task.
        task: String,
        /// Which text.
        place: &'static str,
        /// Why.
        #[source]
        source: TemplateError,
    },
    /// An expression of the definition has no value.
    #[error("{place} of {task:?} can't be evaluated")]
    Expression {
        /// The task or node.
        task: String,
        /// Which expression.
        place: &'static str,
        /// Why.
        #[source]
        source: ExprError,
    },
    /// An expression's value isn't what is needed in its place.
    #[error("{place} of {task:?} has to be {expected}, and is {found}")]
    Type {
        /// The task or node.
        task: String,
        /// Which expression.
        place: &'static str,
        /// What is needed.
        expected: &'static str,
        /// What it is, abridged.
        found: String,
    },
    /// A path that the definition makes isn't safe.
    #[error("{place} of {task:?} makes the path {path:?}")]
    Path {
        /// The task.
        task: String,
        /// Which text or expression.
        place: &'static str,
        /// The path, abridged.
        path: String,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// A path that the definition makes is that of a file which every job delivers by itself.
    #[error("{place} of {task:?} makes the path {path:?}, which is Convoke's own")]
    OwnFile {
        /// The task.
        task: String,
        /// Which text or expression.
        place: &'static str,
        /// The path.
        path: String,
    },
    /// The definition has no such node, or one of another kind: it was compiled from something else.
    #[error("there is no {0} in the flow")]
    Missing(String),
    /// The model's context holds neither the prompt's fixed part nor an answer.
    #[error("the model's context of {context_tokens} tokens is too small for {task:?}")]
    ContextTooSmall {
        /// The task.
        task: String,
        /// Of the model.
        context_tokens: u32,
    },
}

/// Why a map's list can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The definition can't be evaluated over this data.
    #[error("the list can't be made")]
    Task(#[source] TaskError),
    /// The list doesn't hold: too long, keys that are not unique, items that wait for what isn't there or each other.
    #[error("the list doesn't hold: {}", super::finding::summary(.0))]
    Findings(Vec<Finding>),
}

/// A map's list.
#[derive(Clone, Debug, PartialEq)]
pub struct Items {
    /// The items.
    pub items: Vec<Value>,
    /// A key for each; its index where the definition has none.
    pub keys: Vec<String>,
    /// For each the indices of those that have to be done before; `None` where the map isn't ordered. Acyclic.
    pub needs: Option<Vec<Vec<u8>>>,
}

/// Whether the loop of that node is done; asked after the step of [`until_after`](super::LoopSpec::until_after).
pub fn evaluate_until(flow: &CompiledFlow, node: usize, inputs: &Inputs) -> Result<bool, TaskError> {
    let name = || node_name(flow, node);
    let spec = flow.loop_of(node).ok_or_else(|| TaskError::Missing(format!("loop {}", name())))?;
    truth(&spec.until, &inputs.scope(&spec.bindings), &name(), "until")
}

/// What whoever gets the result should know of a loop that has ended; asked where `until` was asked last. At most
/// [`WARNINGS_MAX`], each a line.
pub fn evaluate_warnings(flow: &CompiledFlow, node: usize, inputs: &Inputs) -> Result<Vec<String>, TaskError> {
    let name = || node_name(flow, node);
    let spec = flow.loop_of(node).ok_or_else(|| TaskError::Missing(format!("loop {}", name())))?;
    let Some(expr) = &spec.warnings else { return Ok(Vec::new()) };
    let list = value(expr, &inputs.scope(&spec.bindings), &name(), "warnings")?;
    let texts: Option<Vec<&str>> = list.as_array().and_then(|texts| texts.iter().map(Value::as_str).collect());
    let texts = texts.ok_or_else(|| wrong_type(&name(), "warnings", "a list of texts", &list))?;
    let mut warnings: Vec<String> = texts.iter().take(WARNINGS_MAX).map(|text| line(text)).collect();
    if texts.len() > WARNINGS_MAX {
        warnings.push(format!("and {} more of {}", texts.len() - WARNINGS_MAX, name()));
    }
    Ok(warnings)
}

/// How the condition comes out.
pub fn evaluate_condition(spec: &TaskSpec, inputs: &Inputs) -> Result<bool, TaskError> {
    let TaskBody::Condition(condition) = &spec.body else {
        return Err(TaskError::Missing(format!("condition {}", spec.id)));
    };
    truth(condition, &inputs.scope(&spec.bindings), &spec.id, "if")
}

/// What a join passes on: an object of the outputs of those of its needs that ran, by name.
pub fn evaluate_join(spec: &TaskSpec, inputs: &Inputs) -> Value {
    let present = spec.bindings.iter().filter_map(|binding| Some((binding, inputs.outputs.get(&binding.read.task)?)));
    Value::Object(present.map(|(binding, output)| (binding.name.clone(), output.clone())).collect())
}

/// The list that the map of that node runs over.
pub fn evaluate_over(flow: &CompiledFlow, node: usize, inputs: &Inputs) -> Result<Items, ListError> {
    let name = node_name(flow, node);
    let spec = flow.map(node).ok_or_else(|| ListError::Task(TaskError::Missing(format!("map {name}"))))?;
    let scope = inputs.scope(&spec.bindings);
    let list = value(&spec.over, &scope, &name, "over").map_err(ListError::Task)?;
    let Value::Array(items) = list else {
        return Err(ListError::Task(wrong_type(&name, "over", "a list", &list)));
    };
    if items.len() > spec.items_max as usize {
        let message = format!("the list has {} items, and {:?} takes at most {}", items.len(), name, spec.items_max);
        return Err(ListError::Findings(vec![Finding::new("", message)]));
    }
    let keys = keys(spec, &scope, &items).map_err(ListError::Findings)?;
    let needs = spec.after.as_ref().map(|after| needs(after, &scope, &items, &keys)).transpose();
    let needs = needs.map_err(ListError::Findings)?;
    Ok(Items { items, keys, needs })
}

/// Where the step may write.
pub fn write_scope(spec: &TaskSpec, inputs: &Inputs) -> Result<Scope, TaskError> {
    let Some(writes) = spec.agent().and_then(|agent| agent.writes.as_ref()) else { return Ok(Scope::Nowhere) };
    let Some(expr) = &writes.scope else { return Ok(Scope::Anywhere) };
    let list = value(expr, &inputs.scope(&spec.bindings), &spec.id, "writes.scope")?;
    let texts: Option<Vec<&str>> = list.as_array().and_then(|paths| paths.iter().map(Value::as_str).collect());
    let texts = texts.ok_or_else(|| wrong_type(&spec.id, "writes.scope", "a list of paths", &list))?;
    for text in &texts {
        safe_path(text.strip_suffix('/').unwrap_or(text), &spec.id, "writes.scope")?;
    }
    Ok(Scope::Paths(texts.into_iter().map(str::to_owned).collect()))
}

pub(crate) fn safe_path(text: &str, task: &str, place: &'static str) -> Result<ArtifactPath, TaskError> {
    ArtifactPath::new(text).map_err(|source| TaskError::Path {
        task: task.to_owned(),
        place,
        path: text.chars().take(100).collect(),
        source,
    })
}

fn keys(spec: &MapSpec, scope: &Map<String, Value>, items: &[Value]) -> Result<Vec<String>, Vec<Finding>> {
    let mut keys: Vec<String> = Vec::with_capacity(items.len());
    let mut seen = BTreeMap::new();
    let mut findings = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let key = match &spec.key {
            None => index.to_string(),
            Some(expr) => match expr.eval(scope, &[("item", item), ("index", &index.into())]) {
                Ok(Value::String(key)) => key,
                Ok(other) => other.to_string(),
                Err(error) => {
                    findings.push(Finding::new(format!("/{index}"), format!("the item has no key: {error}")));
                    continue;
                }
            },
        };
        if let Some(first) = seen.insert(key.clone(), index) {
            findings
                .push(Finding::new(format!("/{index}"), format!("the key {key:?} is already that of item {first}")));
        }
        keys.push(key);
    }
    if findings.is_empty() { Ok(keys) } else { Err(findings) }
}

fn needs(
    after: &Expr,
    scope: &Map<String, Value>,
    items: &[Value],
    keys: &[String],
) -> Result<Vec<Vec<u8>>, Vec<Finding>> {
    debug_assert!(items.len() <= ORDERED_ITEMS_MAX as usize, "the compiler bounds ordered maps");
    let positions: BTreeMap<&str, u8> = (0..).zip(keys).map(|(position, key)| (key.as_str(), position)).collect();
    let mut needs = Vec::with_capacity(items.len());
    let mut findings = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = format!("/{index}");
        let mut own = Vec::new();
        match after.eval(scope, &[("item", item), ("index", &index.into())]) {
            Ok(Value::Array(list)) => {
                for key in list.iter().map(|key| key.as_str().map_or_else(|| key.to_string(), str::to_owned)) {
                    match positions.get(key.as_str()) {
                        Some(&position) if !own.contains(&position) => own.push(position),
                        Some(_) => {}
                        None => findings
                            .push(Finding::new(&place, format!("it waits for {key:?}, which isn't in the list"))),
                    }
                }
            }
            Ok(_) => findings.push(Finding::new(&place, "what it waits for has to be a list of keys")),
            Err(error) => findings.push(Finding::new(&place, format!("what it waits for is unknown: {error}"))),
        }
        needs.push(own);
    }
    let cycle = on_cycle(&needs);
    if !cycle.is_empty() {
        let names: Vec<&str> = cycle.iter().map(|&index| keys[index].as_str()).collect();
        findings.push(Finding::new("", format!("these items wait for each other: {}", names.join(", "))));
    }
    if findings.is_empty() { Ok(needs) } else { Err(findings) }
}

/// Indices that never become free.
pub(crate) fn on_cycle(needs: &[Vec<u8>]) -> Vec<usize> {
    let mut done = vec![false; needs.len()];
    loop {
        let free = |index: &usize| !done[*index] && needs[*index].iter().all(|&need| done[usize::from(need)]);
        let Some(index) = (0..needs.len()).find(free) else { break };
        done[index] = true;
    }
    (0..needs.len()).filter(|&index| !done[index]).collect()
}

fn value(expr: &Expr, scope: &Map<String, Value>, task: &str, place: &'static str) -> Result<Value, TaskError> {
    expr.eval(scope, &[]).map_err(|source| TaskError::Expression { task: task.to_owned(), place, source })
}

pub(crate) fn truth(
    expr: &Expr,
    scope: &Map<String, Value>,
    task: &str,
    place: &'static str,
) -> Result<bool, TaskError> {
    let value = value(expr, scope, task, place)?;
    value.as_bool().ok_or_else(|| wrong_type(task, place, "true or false", &value))
}

/// A text in one line, cut visibly where it is too long.
fn line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(WARNING_CHARS_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn wrong_type(task: &str, place: &'static str, expected: &'static str, value: &Value) -> TaskError {
    let found = value.to_string().chars().take(100).collect();
    TaskError::Type { task: task.to_owned(), place, expected, found }
}

fn node_name(flow: &CompiledFlow, node: usize) -> String {
    flow.graph.nodes.get(node).map_or_else(|| format!("node {node}"), |node| node.id.clone())
}
