//! Checks a flow and compiles it. Everything that can be known to be wrong before a job runs is said here, all at once,
//! each with a path to the place and a hint.

mod graph;
mod names;
mod review;
#[cfg(test)]
mod review_tests;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use convoke_api::flow::{AgentDoc, FlowDoc, FlowIssue, LoopNode, MapNode, NodeDoc, RoundsDoc};
use convoke_domain::graph::{ITEMS_MAX, ORDERED_ITEMS_MAX};
use serde_json::Value;

use self::names::{Names, Place};
use super::expr::{Expr, Path};
use super::schema::Schema;
use super::spec::{Binding, Capability, CompiledFlow, LoopSpec, MapSpec, Parts, Persona, Read, TaskSpec};
use super::template::Template;

/// Most issues that are reported at once.
pub const ISSUES_MAX: usize = 50;
/// Longest value that a template prints for a capable model, in bytes; more is left out visibly.
const VALUE_BYTES_MAX: usize = 24 << 10;
/// The same for a model that isn't.
const SMALL_VALUE_BYTES_MAX: usize = 800;

/// Checks and compiles a flow for models of that kind. The same document and kind always give the same flow.
///
/// Errors are all that is wrong, at most [`ISSUES_MAX`], in the order of the document.
pub fn compile(doc: &FlowDoc, capability: Capability) -> Result<CompiledFlow, Vec<FlowIssue>> {
    let mut issues = Vec::new();
    graph::check_ids(doc, &mut issues);
    let built = graph::build(doc, capability, &mut issues);
    let order = built.order();
    graph::check_cycles(&built, &order, &mut issues);
    if !issues.is_empty() {
        return Err(bounded(issues));
    }
    graph::check_reach(&built, &order, &mut issues);
    let needs: Vec<Vec<usize>> = built.nodes.iter().map(|node| node.needs.clone()).collect();
    let names = Names::new(doc, &needs, &order, capability);
    let mut compiler = Compiler::new(doc, capability, &names, issues);
    compiler.agents();
    let input = compiler.input();
    for (index, node) in doc.nodes.iter().enumerate() {
        compiler.node(index, node);
    }
    let Compiler { issues, tasks, maps, loops, .. } = compiler;
    if !issues.is_empty() {
        return Err(bounded(issues));
    }
    let parts = Parts { input, tasks, maps, loops };
    Ok(CompiledFlow { name: doc.name.as_str().into(), graph: Arc::new(built), capability, parts: Arc::new(parts) })
}

fn bounded(mut issues: Vec<FlowIssue>) -> Vec<FlowIssue> {
    issues.dedup();
    issues.truncate(ISSUES_MAX);
    issues
}

struct Compiler<'d> {
    doc: &'d FlowDoc,
    capability: Capability,
    names: &'d Names,
    personas: BTreeMap<&'d str, Persona>,
    issues: Vec<FlowIssue>,
    tasks: BTreeMap<String, TaskSpec>,
    maps: BTreeMap<usize, MapSpec>,
    loops: BTreeMap<usize, LoopSpec>,
}

/// What is compiled in one place, and what it turns out to read.
struct Site<'p> {
    place: Place<'p>,
    bindings: BTreeSet<Binding>,
    after: bool,
    conflicts: bool,
}

impl<'p> Site<'p> {
    const fn new(place: Place<'p>) -> Self {
        Self { place, bindings: BTreeSet::new(), after: false, conflicts: false }
    }

    fn reads(&self) -> Vec<Read> {
        let reads: BTreeSet<&Read> = self.bindings.iter().map(|binding| &binding.read).collect();
        reads.into_iter().cloned().collect()
    }
}

impl<'d> Compiler<'d> {
    const fn new(doc: &'d FlowDoc, capability: Capability, names: &'d Names, issues: Vec<FlowIssue>) -> Self {
        Self {
            doc,
            capability,
            names,
            personas: BTreeMap::new(),
            issues,
            tasks: BTreeMap::new(),
            maps: BTreeMap::new(),
            loops: BTreeMap::new(),
        }
    }

    fn issue(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.issues.push(FlowIssue::new(path, message, hint));
    }

    fn agents(&mut self) {
        let doc = self.doc;
        for (name, agent) in &doc.agents {
            if let Some(persona) = self.persona(agent, &format!("agents.{name}")) {
                self.personas.insert(name, persona);
            }
        }
    }

    fn persona(&mut self, agent: &AgentDoc, path: &str) -> Option<Persona> {
        let role = self.parsed(&agent.role, &format!("{path}.role"));
        let goal = self.parsed(&agent.goal, &format!("{path}.goal"));
        let backstory = self.parsed(&agent.backstory, &format!("{path}.backstory"));
        Some(Persona { role: role?, goal: goal?, backstory: backstory? })
    }

    fn input(&mut self) -> Option<Schema> {
        let schema = self.doc.input.as_ref()?;
        self.schema(schema, "input")
    }

    fn schema(&mut self, schema: &Value, path: &str) -> Option<Schema> {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            self.issue(path, "the schema isn't one of an object", "write type: object and put values under properties");
            return None;
        }
        match Schema::compile(schema) {
            Ok(schema) => Some(schema),
            Err(error) => {
                let place = format!("{path}{}", error.pointer.replace('/', "."));
                self.issue(&place, format!("no JSON Schema: {error}"), "see json-schema.org, drafts 4 to 2020-12");
                None
            }
        }
    }

    fn node(&mut self, index: usize, node: &'d NodeDoc) {
        let path = format!("nodes[{index}]");
        let place = Place { node: index, per_item: false, in_thread: true, item: None };
        match node {
            NodeDoc::Agent(agent) => self.agent_task(agent, &agent.id, place, &path),
            NodeDoc::Condition(condition) => self.condition_task(condition, place, &path),
            NodeDoc::Join(join) => self.join_task(join, place),
            NodeDoc::Review(review) => self.review_task(review, place, &path),
            NodeDoc::Loop(body) => self.thread(body, place, &path),
            NodeDoc::Map(map) => self.map(map, place, &path),
        }
    }

    fn thread(&mut self, body: &'d LoopNode, place: Place<'_>, path: &str) {
        for (index, node) in body.nodes.iter().enumerate() {
            let path = format!("{path}.nodes[{index}]");
            match node {
                NodeDoc::Agent(agent) => self.agent_task(agent, &agent.id, place, &path),
                NodeDoc::Condition(condition) => {
                    if !condition.then.is_empty() || !condition.otherwise.is_empty() {
                        self.issue(&path, "a condition in a loop has no branches", "use its output in until");
                    }
                    self.condition_task(condition, place, &path);
                }
                NodeDoc::Review(review) => self.review_task(review, place, &path),
                // Refused when the graph was built.
                NodeDoc::Map(_) | NodeDoc::Loop(_) | NodeDoc::Join(_) => {}
            }
        }
        let mut site = Site::new(place);
        let until = self.expression(&body.until, &format!("{path}.until"), &mut site);
        let warnings = graph::warnings(body, self.capability);
        let warnings = warnings.and_then(|source| self.expression(source, &format!("{path}.warnings"), &mut site));
        let rounds = self.rounds(body, path);
        let last = body.nodes.last().map_or("", NodeDoc::id);
        let until_after = body.until_after.as_deref().unwrap_or(last).to_owned();
        if !body.nodes.iter().any(|node| node.id() == until_after) {
            let hint = "name one of the loop's own nodes";
            self.issue(&format!("{path}.until_after"), format!("{until_after:?} isn't in the loop"), hint);
        }
        if let Some(until) = until {
            let reads = site.reads();
            let bindings = site.bindings.into_iter().collect();
            self.loops.insert(place.node, LoopSpec { until_after, reads, bindings, until, warnings, rounds });
        }
    }

    /// The expression for the bound of a loop, where it is one; it may read the input alone.
    fn rounds(&mut self, body: &LoopNode, path: &str) -> Option<Expr> {
        let RoundsDoc::Expression(source) = graph::rounds(body, self.capability) else { return None };
        let path = format!("{path}.rounds_max");
        let expr = self.parsed_expression(source, &path)?;
        if expr.reads().iter().any(|read| read.first().is_none_or(|name| name != "input")) {
            self.issue(&path, "a loop's bound may read the input alone", "write input.max_rounds or a number");
        }
        let place = Place { node: 0, per_item: false, in_thread: false, item: None };
        self.check_reads(expr.reads(), &path, &mut Site::new(place));
        Some(expr)
    }

    fn map(&mut self, map: &'d MapNode, place: Place<'_>, path: &str) {
        let outside = Place { in_thread: false, ..place };
        let mut site = Site::new(outside);
        let over = self.expression(&map.over, &format!("{path}.over"), &mut site);
        let item = over.as_ref().and_then(|over| plain_path(over)).and_then(|path| self.names.items(path, outside));
        let per_item = Place { per_item: true, item, ..outside };
        site.place = per_item;
        let key = map.key.as_ref().map(|source| self.expression(source, &format!("{path}.key"), &mut site));
        let after = map.after.as_ref().map(|source| self.expression(source, &format!("{path}.after"), &mut site));
        if let Some(over) = over {
            let reads = site.reads();
            let (key, after) = (key.flatten(), after.flatten());
            let items_max = self.items_max(map, path);
            let bindings = site.bindings.into_iter().collect();
            self.maps.insert(place.node, MapSpec { reads, bindings, over, key, after, items_max });
        }
        let inside = Place { in_thread: true, ..per_item };
        match &*map.node {
            NodeDoc::Agent(agent) => self.agent_task(agent, &map.id, inside, &format!("{path}.node")),
            NodeDoc::Loop(body) => self.thread(body, inside, &format!("{path}.node")),
            // Refused when the graph was built.
            NodeDoc::Map(_) | NodeDoc::Condition(_) | NodeDoc::Join(_) | NodeDoc::Review(_) => {}
        }
    }

    fn items_max(&mut self, map: &MapNode, path: &str) -> u32 {
        let limit = if map.after.is_some() { ORDERED_ITEMS_MAX } else { ITEMS_MAX };
        let small = map.small.as_ref().filter(|_| self.capability == Capability::Small);
        let wanted = small.map(|small| small.items_max).or(map.items_max).unwrap_or(limit);
        if !(1..=limit).contains(&wanted) {
            self.issue(
                &format!("{path}.items_max"),
                format!("{wanted} items are out of range"),
                format!("1 to {limit}"),
            );
        }
        wanted
    }

    fn expression(&mut self, source: &str, path: &str, site: &mut Site<'_>) -> Option<Expr> {
        let expr = self.parsed_expression(source, path)?;
        self.check_reads(expr.reads(), path, site);
        Some(expr)
    }

    fn parsed_expression(&mut self, source: &str, path: &str) -> Option<Expr> {
        let hint = "an expression in CEL, such as plan.output.agreed && round > 1";
        Expr::compile(source).map_err(|error| self.issue(path, error.to_string(), hint)).ok()
    }

    fn template(&mut self, source: &str, path: &str, site: &mut Site<'_>) -> Option<Template> {
        let template = self.parsed(source, path)?;
        self.check_reads(template.reads(), path, site);
        Some(template)
    }

    fn parsed(&mut self, source: &str, path: &str) -> Option<Template> {
        let value_bytes_max = match self.capability {
            Capability::Capable => VALUE_BYTES_MAX,
            Capability::Small => SMALL_VALUE_BYTES_MAX,
        };
        let hint = "a template, such as {{ input.topic }}";
        Template::compile(source, value_bytes_max).map_err(|error| self.issue(path, error.to_string(), hint)).ok()
    }

    fn check_reads(&mut self, reads: &[Path], path: &str, site: &mut Site<'_>) {
        for read in reads {
            match self.names.path(read, site.place) {
                Ok(Some(binding)) => drop(site.bindings.insert(binding)),
                Ok(None) => {
                    site.after |= read[0] == "after";
                    site.conflicts |= read[0] == "conflicts";
                }
                Err((message, hint)) => self.issue(path, message, hint),
            }
        }
    }
}

/// The path that an expression is, if it is nothing else.
fn plain_path(expr: &Expr) -> Option<&[String]> {
    match expr.reads() {
        [path] if path.join(".") == expr.source().trim() => Some(path),
        _ => None,
    }
}
