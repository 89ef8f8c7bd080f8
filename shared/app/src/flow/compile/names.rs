//! Which names an expression or template may use where, and what stands behind them.

use std::collections::BTreeMap;

use convoke_api::flow::{AgentNode, FlowDoc, NodeDoc};
use serde_json::Value;

use crate::flow::schema::{Field, field};
use crate::flow::spec::{Binding, Capability, Read, ReadKind};

/// Names that mean the same everywhere.
pub(super) const BUILT_IN: [&str; 7] = ["input", "item", "index", "round", "job", "after", "conflicts"];
/// Words of CEL and of the templates that can't be names.
const KEYWORDS: [&str; 29] = [
    "true",
    "false",
    "null",
    "none",
    "in",
    "is",
    "not",
    "and",
    "or",
    "if",
    "else",
    "for",
    "as",
    "loop",
    "break",
    "const",
    "continue",
    "function",
    "import",
    "let",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "True",
    "False",
    "None",
];

/// What a step leaves as its output, as far as it is known.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Text,
    Json(Value),
    Bool,
    Any,
}

/// A task of a node's thread.
#[derive(Clone, Debug)]
pub(super) struct TaskInfo {
    pub(super) id: String,
    pub(super) shape: Shape,
    pub(super) writes: bool,
}

/// What a node offers to those who name it.
#[derive(Clone, Debug)]
pub(super) struct NodeInfo {
    pub(super) id: String,
    pub(super) tasks: Vec<TaskInfo>,
    pub(super) is_map: bool,
    /// Whether its thread is a loop.
    pub(super) looped: bool,
    /// Whether it is a map whose items wait for each other.
    pub(super) ordered: bool,
}

/// All names of a flow.
pub(super) struct Names {
    pub(super) nodes: Vec<NodeInfo>,
    /// Name to node; task ids of loops, too.
    index: BTreeMap<String, usize>,
    /// For each node, those that have ended when it starts.
    ancestors: Vec<Vec<bool>>,
    input: Option<Value>,
}

/// Where an expression or template stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Index of the node.
    pub(super) node: usize,
    /// Whether it is evaluated per item of the node's map.
    pub(super) per_item: bool,
    /// Whether the tasks of the node's thread are in scope.
    pub(super) in_thread: bool,
    /// Schema of an item, where it is known.
    pub(super) item: Option<&'a Value>,
}

/// What is wrong with a reference: message and hint.
pub(super) type Wrong = (String, String);

pub(super) fn is_name(id: &str) -> bool {
    let mut chars = id.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
    first && id.len() <= 40 && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub(super) fn is_reserved(id: &str) -> bool {
    BUILT_IN.contains(&id) || KEYWORDS.contains(&id)
}

impl Names {
    pub(super) fn new(doc: &FlowDoc, needs: &[Vec<usize>], order: &[usize], capability: Capability) -> Self {
        let nodes: Vec<NodeInfo> = doc.nodes.iter().map(|node| node_info(node, capability)).collect();
        let mut index = BTreeMap::new();
        for (position, node) in nodes.iter().enumerate() {
            for task in &node.tasks {
                index.entry(task.id.clone()).or_insert(position);
            }
        }
        for (position, node) in nodes.iter().enumerate() {
            index.insert(node.id.clone(), position);
        }
        Self { nodes, index, ancestors: ancestors(needs, order), input: doc.input.clone() }
    }

    /// Resolves `name` as of the start of a path, a context entry or a list of files.
    pub(super) fn binding(&self, name: &str, place: Place<'_>) -> Result<Binding, Wrong> {
        let node = self.visible(name, place)?;
        let info = &self.nodes[node];
        let own = node == place.node;
        let kind = match (own, info.is_map) {
            (true, true) => ReadKind::SameItem,
            (true, false) => ReadKind::SameLoop,
            (false, true) => ReadKind::Map,
            (false, false) => ReadKind::Thread,
        };
        // A loop's own name stands for its last task.
        let last = info.tasks.last().map_or(name, |task| task.id.as_str());
        let task = if !info.is_map && name == info.id { last } else { name };
        Ok(Binding { name: name.to_owned(), read: Read { node, task: task.to_owned(), kind } })
    }

    /// Reads behind the name `after`: the tasks of an item that write.
    pub(super) fn after(&self, place: Place<'_>) -> Vec<Read> {
        let info = &self.nodes[place.node];
        let writing = info.tasks.iter().filter(|task| task.writes);
        writing.map(|task| Read { node: place.node, task: task.id.clone(), kind: ReadKind::After }).collect()
    }

    /// Whether `after` means something at `place`.
    pub(super) fn has_after(&self, place: Place<'_>) -> bool {
        place.per_item && place.in_thread && self.nodes[place.node].ordered
    }

    /// Checks a path and says what it reads: nothing for built-in names.
    pub(super) fn path(&self, path: &[String], place: Place<'_>) -> Result<Option<Binding>, Wrong> {
        let (name, fields) = path.split_first().ok_or_else(|| ("an empty reference".to_owned(), String::new()))?;
        if BUILT_IN.contains(&name.as_str()) {
            return self.built_in(name, fields, place).map(|()| None);
        }
        let binding = self.binding(name, place)?;
        self.check_fields(&binding, fields)?;
        Ok(Some(binding))
    }

    fn visible(&self, name: &str, place: Place<'_>) -> Result<usize, Wrong> {
        let Some(&node) = self.index.get(name) else {
            return Err((format!("unknown name {name:?}"), self.suggestion(name, place)));
        };
        let info = &self.nodes[node];
        let is_task = info.tasks.iter().any(|task| task.id == name);
        if node == place.node {
            let hint = "tasks of the same loop can be named, and what the node needs";
            return if place.in_thread && is_task && info.looped {
                Ok(node)
            } else {
                Err((format!("{name:?} isn't done when this is evaluated"), hint.to_owned()))
            };
        }
        if !self.ancestors[place.node][node] {
            let hint = format!("add {:?} to needs of {:?}", info.id, self.nodes[place.node].id);
            return Err((format!("{name:?} isn't among what {:?} needs", self.nodes[place.node].id), hint));
        }
        if info.is_map && name != info.id {
            let hint = format!("write {}.output and take .{name} of an item", info.id);
            return Err((format!("{name:?} runs once per item of {:?}", info.id), hint));
        }
        Ok(node)
    }

    fn built_in(&self, name: &str, fields: &[String], place: Place<'_>) -> Result<(), Wrong> {
        match name {
            "input" => match &self.input {
                Some(schema) => check_json(schema, fields, "input"),
                None => Ok(()),
            },
            "item" | "index" if !place.per_item => {
                Err((format!("{name} exists only inside a map"), "name an output or input instead".to_owned()))
            }
            "item" => place.item.map_or(Ok(()), |schema| check_json(schema, fields, "item")),
            "round" if !(place.in_thread && self.nodes[place.node].looped) => {
                Err(("round exists only inside a loop".to_owned(), "leave it out".to_owned()))
            }
            "job" => check_known("job", fields, &["id", "model"]),
            "after" if !self.has_after(place) => {
                Err(("after exists only inside a map with after".to_owned(), "leave it out".to_owned()))
            }
            "after" => check_known("after", fields, &["files"]),
            _ => Ok(()),
        }
    }

    fn check_fields(&self, binding: &Binding, fields: &[String]) -> Result<(), Wrong> {
        let Binding { name, read } = binding;
        let node = &self.nodes[read.node];
        let of_map = read.kind == ReadKind::Map;
        let known: &[&str] = if of_map { &["output", "files", "count", "omitted"] } else { &["output", "files"] };
        if fields.is_empty() {
            return Err((format!("{name:?} alone is no value"), format!("write {name}.output")));
        }
        check_known(name, &fields[..1], known)?;
        if fields[0] != "output" {
            return Ok(());
        }
        let at = format!("{name}.output");
        if !of_map {
            let task = node.tasks.iter().find(|task| task.id == read.task);
            return task.map_or(Ok(()), |task| check_shape(&task.shape, &fields[1..], &at));
        }
        match &fields[1..] {
            [] => Ok(()),
            [item, rest @ ..] if item == "[]" => check_item(node, rest, &at),
            [other, ..] => Err((format!("{at} is a list and has no field {other:?}"), "take an item of it".to_owned())),
        }
    }

    fn suggestion(&self, name: &str, place: Place<'_>) -> String {
        let visible = self.index.keys().filter(|key| self.visible(key, place).is_ok()).map(String::as_str);
        let names: Vec<&str> = visible.chain(BUILT_IN).collect();
        nearest(name, &names).map_or_else(
            || format!("known here: {}", names.iter().take(12).copied().collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean {near:?}?"),
        )
    }

    /// Schema of the items of a map, where `over` is a plain path to a list with a known schema.
    pub(super) fn items(&self, over: &[String], place: Place<'_>) -> Option<&Value> {
        let (schema, fields) = match over {
            [name, fields @ ..] if name == "input" => (self.input.as_ref()?, fields),
            [name, output, fields @ ..] if output == "output" => {
                let read = self.binding(name, place).ok()?.read;
                let task = self.nodes[read.node].tasks.iter().find(|task| task.id == read.task)?;
                match &task.shape {
                    Shape::Json(schema) if read.kind != ReadKind::Map => (schema, fields),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let mut schema = schema;
        for name in fields.iter().map(String::as_str).chain(["[]"]) {
            match field(schema, name) {
                Field::Schema(inner) => schema = inner,
                Field::Unknown | Field::Missing(_) => return None,
            }
        }
        Some(schema)
    }
}

fn check_item(node: &NodeInfo, fields: &[String], at: &str) -> Result<(), Wrong> {
    let at = format!("{at}[]");
    match (node.looped, fields) {
        (_, []) => Ok(()),
        (true, [task, rest @ ..]) => {
            let Some(info) = node.tasks.iter().find(|info| info.id == *task) else {
                let tasks: Vec<&str> = node.tasks.iter().map(|task| task.id.as_str()).collect();
                return Err((format!("{at} has no task {task:?}"), format!("there are {}", tasks.join(", "))));
            };
            check_shape(&info.shape, rest, &format!("{at}.{task}"))
        }
        (false, fields) => node.tasks.first().map_or(Ok(()), |task| check_shape(&task.shape, fields, &at)),
    }
}

fn check_shape(shape: &Shape, fields: &[String], at: &str) -> Result<(), Wrong> {
    match (shape, fields.first()) {
        (_, None) | (Shape::Any, _) => Ok(()),
        (Shape::Json(schema), Some(_)) => check_json(schema, fields, at),
        (Shape::Text, Some(name)) => {
            Err((format!("{at} is a text and has no field {name:?}"), "give its task an output schema".to_owned()))
        }
        (Shape::Bool, Some(name)) => Err((format!("{at} is true or false and has no field {name:?}"), String::new())),
    }
}

fn check_json(schema: &Value, fields: &[String], at: &str) -> Result<(), Wrong> {
    let mut schema = schema;
    let mut at = at.to_owned();
    for name in fields {
        match field(schema, name) {
            Field::Schema(inner) => schema = inner,
            Field::Unknown => return Ok(()),
            Field::Missing(known) => {
                let hint = match nearest(name, &known) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None if known.is_empty() => String::new(),
                    None => format!("its schema has {}", known.join(", ")),
                };
                return Err((format!("{at} has no field {name:?}"), hint));
            }
        }
        at = if name == "[]" { format!("{at}[]") } else { format!("{at}.{name}") };
    }
    Ok(())
}

fn check_known(name: &str, fields: &[String], known: &[&str]) -> Result<(), Wrong> {
    match fields.first() {
        Some(field) if !known.contains(&field.as_str()) => {
            let hint = format!("there is {}", known.join(", "));
            Err((format!("{name} has no field {field:?}"), hint))
        }
        _ => Ok(()),
    }
}

fn node_info(node: &NodeDoc, capability: Capability) -> NodeInfo {
    let (tasks, is_map, looped, ordered) = match node {
        NodeDoc::Agent(agent) => (vec![agent_info(agent, &agent.id, capability)], false, false, false),
        NodeDoc::Condition(condition) => (vec![info(&condition.id, Shape::Bool)], false, false, false),
        NodeDoc::Join(join) => (vec![info(&join.id, Shape::Any)], false, false, false),
        NodeDoc::Review(review) => (vec![review_info(&review.id)], false, false, false),
        NodeDoc::Loop(body) => (thread_infos(&body.nodes, capability), false, true, false),
        NodeDoc::Map(map) => match &*map.node {
            NodeDoc::Loop(body) => (thread_infos(&body.nodes, capability), true, true, map.after.is_some()),
            NodeDoc::Agent(agent) => (vec![agent_info(agent, &map.id, capability)], true, false, map.after.is_some()),
            _ => (Vec::new(), true, false, map.after.is_some()),
        },
    };
    NodeInfo { id: node.id().to_owned(), tasks, is_map, looped, ordered }
}

fn thread_infos(nodes: &[NodeDoc], capability: Capability) -> Vec<TaskInfo> {
    let infos = nodes.iter().map(|node| match node {
        NodeDoc::Agent(agent) => agent_info(agent, &agent.id, capability),
        NodeDoc::Condition(condition) => info(&condition.id, Shape::Bool),
        NodeDoc::Review(review) => review_info(&review.id),
        other => info(other.id(), Shape::Any),
    });
    infos.collect()
}

fn info(id: &str, shape: Shape) -> TaskInfo {
    TaskInfo { id: id.to_owned(), shape, writes: false }
}

fn review_info(id: &str) -> TaskInfo {
    info(id, Shape::Json(super::review::output()))
}

fn agent_info(agent: &AgentNode, id: &str, capability: Capability) -> TaskInfo {
    let schema = super::task::effective_output(&agent.task, capability);
    let shape = schema.map_or(Shape::Text, |schema| Shape::Json(schema.into_owned()));
    TaskInfo { id: id.to_owned(), shape, writes: agent.task.writes.is_some() }
}

fn ancestors(needs: &[Vec<usize>], order: &[usize]) -> Vec<Vec<bool>> {
    let mut ancestors = vec![vec![false; needs.len()]; needs.len()];
    for &node in order {
        let mut own = std::mem::take(&mut ancestors[node]);
        for &need in &needs[node] {
            own[need] = true;
            for (mine, theirs) in own.iter_mut().zip(&ancestors[need]) {
                *mine |= theirs;
            }
        }
        ancestors[node] = own;
    }
    ancestors
}

/// The candidate that is spelled most nearly like `name`, if one is near.
pub(super) fn nearest<'c>(name: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let limit = ((name.len() + 1) / 3).clamp(1, 3);
    let distances = candidates.iter().map(|candidate| (distance(name, candidate), *candidate));
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(60).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(60).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
