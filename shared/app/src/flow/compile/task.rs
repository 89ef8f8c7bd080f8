//! Compiles single tasks: agents, conditions, joins.

use std::borrow::Cow;
use std::collections::BTreeSet;

use convoke_api::flow::{AgentNode, AgentRef, ConditionNode, JoinNode, NodeDoc, SmallTask, TaskDoc};
use convoke_domain::graph::TaskKind;
use serde_json::{Value, json};

use super::names::{Place, nearest};
use super::{Compiler, Site};
use crate::flow::guardrail::Guardrail;
use crate::flow::schema::Schema;
use crate::flow::spec::{AgentSpec, Capability, Persona, Read, ReadKind, TaskBody, TaskSpec, WriteSpec};

/// Files that a small model writes in one answer.
const SMALL_FILES_MAX: u32 = 1;
/// Longest file that a small model writes, in characters.
const SMALL_FILE_CHARS_MAX: u32 = 900;
/// Longest text that a small model writes about its files, in characters.
const SMALL_SUMMARY_CHARS_MAX: u32 = 200;
/// Most tokens that an answer may be bounded to.
const OUTPUT_TOKENS_MAX: u32 = 128_000;

/// The schema that an answer has to hold, for models of that kind; a small model's files are part of it.
pub(super) fn effective_output(task: &TaskDoc, capability: Capability) -> Option<Cow<'_, Value>> {
    let own = task.output.as_ref().map(Cow::Borrowed);
    if capability == Capability::Capable {
        return own;
    }
    match &task.small {
        Some(SmallTask { output: Some(output), .. }) => Some(Cow::Borrowed(output)),
        _ if task.writes.is_some() => Some(Cow::Owned(small_files())),
        _ => own,
    }
}

fn small_files() -> Value {
    json!({
        "type": "object",
        "properties": {
            "files": {
                "type": "array",
                "minItems": 1,
                "maxItems": SMALL_FILES_MAX,
                "items": {
                    "type": "object",
                    "properties": {
                        "path": {"type": "string", "maxLength": 80},
                        "content": {"type": "string", "minLength": 1, "maxLength": SMALL_FILE_CHARS_MAX},
                    },
                    "required": ["path", "content"],
                    "additionalProperties": false,
                },
            },
            "summary": {"type": "string", "maxLength": SMALL_SUMMARY_CHARS_MAX},
        },
        "required": ["files", "summary"],
        "additionalProperties": false,
    })
}

impl<'d> Compiler<'d> {
    pub(super) fn agent_task(&mut self, agent: &'d AgentNode, id: &str, place: Place<'_>, path: &str) {
        let mut site = Site::new(place);
        let (persona, model) = self.agent(&agent.agent, path, &mut site);
        let task = format!("{path}.task");
        let spec = self.agent_spec(&agent.task, (persona, model), &task, &mut site);
        let mut files = self.files(&agent.task, &task, &mut site);
        let mut reads: BTreeSet<Read> = site.reads().into_iter().collect();
        if agent.task.writes.is_some() && self.names.nodes[place.node].looped {
            // What it wrote in an earlier round is there to be mended.
            let kind = if place.per_item { ReadKind::SameItem } else { ReadKind::SameLoop };
            files.insert(Read { node: place.node, task: id.to_owned(), kind });
        }
        if site.after {
            reads.extend(self.names.after(place));
        }
        reads.extend(files.iter().cloned());
        let Some(spec) = spec else { return };
        let spec = TaskSpec {
            id: id.to_owned(),
            node: place.node,
            kind: TaskKind::Agent,
            reads: reads.into_iter().collect(),
            files: files.into_iter().collect(),
            reads_conflicts: site.conflicts,
            bindings: site.bindings.into_iter().collect(),
            body: TaskBody::Agent(Box::new(spec)),
        };
        self.tasks.insert(id.to_owned(), spec);
    }

    fn agent(&mut self, agent: &'d AgentRef, path: &str, site: &mut Site<'_>) -> (Option<Persona>, Option<String>) {
        let path = format!("{path}.agent");
        let (persona, model) = match agent {
            AgentRef::Inline(agent) => (self.persona(agent, &path), agent.model.clone()),
            AgentRef::Name(name) => {
                let doc = self.doc;
                let Some(agent) = doc.agents.get(name) else {
                    let names: Vec<&str> = doc.agents.keys().map(String::as_str).collect();
                    let hint = nearest(name, &names)
                        .map_or_else(|| "define it under agents".to_owned(), |near| format!("did you mean {near:?}?"));
                    self.issue(&path, format!("there is no agent {name:?}"), hint);
                    return (None, None);
                };
                (self.personas.get(name.as_str()).cloned(), agent.model.clone())
            }
        };
        if let Some(Persona { role, goal, backstory }) = &persona {
            for (name, template) in [("role", role), ("goal", goal), ("backstory", backstory)] {
                self.check_reads(template.reads(), &format!("{path}.{name}"), site);
            }
        }
        (persona, model)
    }

    fn agent_spec(
        &mut self,
        task: &'d TaskDoc,
        (persona, model): (Option<Persona>, Option<String>),
        path: &str,
        site: &mut Site<'_>,
    ) -> Option<AgentSpec> {
        let small = task.small.as_ref().filter(|_| self.capability == Capability::Small);
        let description = small.and_then(|small| small.description.as_ref()).unwrap_or(&task.description);
        let expected = small.and_then(|small| small.expected_output.as_ref()).unwrap_or(&task.expected_output);
        let description = self.template(description, &format!("{path}.description"), site);
        let expected_output = self.template(expected, &format!("{path}.expected_output"), site);
        let output_file =
            task.output_file.as_ref().map(|source| self.template(source, &format!("{path}.output_file"), site));
        let output = self.outputs(task, path);
        let context = self.context(task, small, path, site);
        let guardrails = self.guardrails(task, path);
        let writes = task.writes.as_ref().map(|writes| WriteSpec {
            scope: writes
                .scope
                .as_ref()
                .and_then(|source| self.expression(source, &format!("{path}.writes.scope"), site)),
        });
        self.check_numbers(task, path);
        Some(AgentSpec {
            persona: persona?,
            model,
            description: description?,
            expected_output: expected_output?,
            output,
            output_file: output_file.flatten(),
            context,
            guardrails,
            writes,
            temperature: task.temperature,
            output_tokens_max: small.and_then(|small| small.output_tokens_max).or(task.output_tokens_max),
        })
    }

    /// Compiles the schema in use, and checks the other one, so that a flow that compiles does so for all models.
    fn outputs(&mut self, task: &TaskDoc, path: &str) -> Option<Schema> {
        let small = task.small.as_ref().and_then(|small| small.output.as_ref());
        let (used, other) = match self.capability {
            Capability::Capable => {
                (format!("{path}.output"), small.map(|schema| (schema, format!("{path}.small.output"))))
            }
            Capability::Small => (
                if small.is_some() { format!("{path}.small.output") } else { format!("{path}.output") },
                task.output.as_ref().filter(|_| small.is_some()).map(|schema| (schema, format!("{path}.output"))),
            ),
        };
        if let Some((schema, path)) = other {
            self.schema(schema, &path);
        }
        let schema = effective_output(task, self.capability)?;
        self.schema(&schema, &used)
    }

    /// Names whose outputs stand in the prompt.
    fn context(&mut self, task: &TaskDoc, small: Option<&SmallTask>, path: &str, site: &mut Site<'_>) -> Vec<String> {
        let own = small.and_then(|small| small.context.as_ref()).or(task.context.as_ref());
        let names = own.cloned().unwrap_or_else(|| self.default_context(site));
        for (index, name) in names.iter().enumerate() {
            match self.names.binding(name, site.place) {
                Ok(binding) => drop(site.bindings.insert(binding)),
                Err((message, hint)) => self.issue(&format!("{path}.context[{index}]"), message, hint),
            }
        }
        names
    }

    /// What the node needs, but for conditions and for the list that a map runs over (each item gets its own), and the
    /// other tasks of a loop.
    pub(super) fn default_context(&self, site: &Site<'_>) -> Vec<String> {
        let node = &self.doc.nodes[site.place.node];
        let listed: Vec<&str> = match self.maps.get(&site.place.node) {
            Some(map) if site.place.per_item => {
                map.over.reads().iter().filter_map(|path| path.first()).map(String::as_str).collect()
            }
            _ => Vec::new(),
        };
        let is_condition = |id: &str| self.doc.nodes.iter().any(|n| n.id() == id && matches!(n, NodeDoc::Condition(_)));
        let stands_for = |id: &str| {
            let own = self.names.nodes.iter().find(|node| node.id == id);
            own.is_some_and(|node| node.tasks.iter().any(|task| listed.contains(&task.id.as_str())))
        };
        let mut names: Vec<String> = Vec::new();
        for need in node.needs() {
            if !is_condition(need) && !listed.contains(&need.as_str()) && !stands_for(need) && !names.contains(need) {
                names.push(need.clone());
            }
        }
        let thread = &self.names.nodes[site.place.node];
        if thread.looped && site.place.in_thread {
            names.extend(thread.tasks.iter().map(|task| task.id.clone()));
        }
        names
    }

    fn files(&mut self, task: &TaskDoc, path: &str, site: &mut Site<'_>) -> BTreeSet<Read> {
        let mut reads = BTreeSet::new();
        for (index, name) in task.files.iter().enumerate() {
            let path = format!("{path}.files[{index}]");
            if name == "after" && self.names.has_after(site.place) {
                reads.extend(self.names.after(site.place));
                continue;
            }
            match self.names.binding(name, site.place) {
                Ok(binding) => {
                    reads.insert(binding.read.clone());
                    site.bindings.insert(binding);
                }
                Err((message, hint)) => self.issue(&path, message, hint),
            }
        }
        reads
    }

    fn guardrails(&mut self, task: &TaskDoc, path: &str) -> Vec<Guardrail> {
        let mut found = Vec::new();
        for (index, name) in task.guardrails.iter().enumerate() {
            if let Some(guardrail) = Guardrail::named(name) {
                found.push(guardrail);
            } else {
                let known = Guardrail::NAMES.join(", ");
                let path = format!("{path}.guardrails[{index}]");
                self.issue(&path, format!("there is no guardrail {name:?}"), format!("there are {known}"));
            }
        }
        found
    }

    fn check_numbers(&mut self, task: &TaskDoc, path: &str) {
        if task.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            self.issue(&format!("{path}.temperature"), "the temperature is out of range", "0 to 2");
        }
        let small = task.small.as_ref().and_then(|small| small.output_tokens_max);
        for tokens in [task.output_tokens_max, small].into_iter().flatten() {
            if !(1..=OUTPUT_TOKENS_MAX).contains(&tokens) {
                let hint = format!("1 to {OUTPUT_TOKENS_MAX}");
                self.issue(&format!("{path}.output_tokens_max"), format!("{tokens} tokens are out of range"), hint);
            }
        }
    }

    pub(super) fn condition_task(&mut self, condition: &ConditionNode, place: Place<'_>, path: &str) {
        let mut site = Site::new(place);
        let Some(expr) = self.expression(&condition.condition, &format!("{path}.if"), &mut site) else { return };
        self.plain_task(&condition.id, (TaskKind::Condition, TaskBody::Condition(expr)), site);
    }

    pub(super) fn join_task(&mut self, join: &JoinNode, place: Place<'_>) {
        let mut site = Site::new(place);
        for need in &join.needs {
            // Unknown needs were reported when the graph was built.
            if let Ok(binding) = self.names.binding(need, place) {
                site.bindings.insert(binding);
            }
        }
        self.plain_task(&join.id, (TaskKind::Join, TaskBody::Join), site);
    }

    fn plain_task(&mut self, id: &str, (kind, body): (TaskKind, TaskBody), site: Site<'_>) {
        let reads = site.reads();
        let bindings = site.bindings.into_iter().collect();
        let spec = TaskSpec {
            id: id.to_owned(),
            node: site.place.node,
            kind,
            reads,
            files: Vec::new(),
            reads_conflicts: site.conflicts,
            bindings,
            body,
        };
        self.tasks.insert(id.to_owned(), spec);
    }
}
