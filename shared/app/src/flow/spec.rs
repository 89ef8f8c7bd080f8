//! A compiled flow: its graph for the domain, and for each task what to ask, of whom, with what.

use std::collections::BTreeMap;
use std::sync::Arc;

use convoke_api::flow::FlowIssue;
use convoke_domain::graph::{Graph, ROUNDS_MAX, TaskKind, Work};
use convoke_domain::path::ArtifactPath;
use convoke_domain::review::Deciders;
use serde_json::{Map, Value};

use super::expr::Expr;
use super::guardrail::Guardrail;
use super::schema::{Schema, validated_input};
use super::template::Template;
use crate::model::ModelProfile;

/// What kind of model a flow is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Follows long instructions and calls tools: full prompts, files by tools.
    Capable,
    /// Doesn't: the definition's `small` overrides hold, files come as bounded JSON.
    Small,
}

impl Capability {
    /// What `profile` says of its model.
    pub const fn of(profile: &ModelProfile) -> Self {
        if profile.capable { Self::Capable } else { Self::Small }
    }
}

/// A flow that has been checked; cheap to clone.
#[derive(Clone, Debug)]
pub struct CompiledFlow {
    /// Its name.
    pub name: Arc<str>,
    /// Its shape. Loops whose bound is an expression have it only after [`CompiledFlow::for_input`].
    pub graph: Arc<Graph>,
    /// For what kind of model.
    pub capability: Capability,
    pub(crate) parts: Arc<Parts>,
}

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) input: Option<Schema>,
    pub(crate) tasks: BTreeMap<String, TaskSpec>,
    pub(crate) maps: BTreeMap<usize, MapSpec>,
    pub(crate) loops: BTreeMap<usize, LoopSpec>,
}

/// How a [`Read`] is to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadKind {
    /// Of a node that has ended: the last step of that task.
    Thread,
    /// Of a map that has ended: all items' steps. `task` is the map's id, for a loop body too (then an item's output is
    /// an object of its tasks' last outputs, by task id).
    Map,
    /// Of the same loop: the last step of that task, in this round or an earlier one; absent before it ran.
    SameLoop,
    /// Of the same item of the same map: the last step of that task, as with [`ReadKind::SameLoop`].
    SameItem,
    /// Of the items of the same map that this item waits for: the last step of that task in each.
    After,
}

/// A committed result that has to be loaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Read {
    /// Index of the node that the task belongs to.
    pub node: usize,
    /// The task, or the map.
    pub task: String,
    /// How.
    pub kind: ReadKind,
}

/// A name of the scope and the result that stands behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Binding {
    pub(crate) name: String,
    pub(crate) read: Read,
}

/// What a task is made of.
#[derive(Debug)]
pub struct TaskSpec {
    /// The task's id.
    pub id: String,
    /// Index of its node.
    pub node: usize,
    /// What kind of work it is.
    pub kind: TaskKind,
    /// What has to be loaded before it can be asked, without duplicates. Everything else stays unread.
    pub reads: Vec<Read>,
    /// Those of `reads` whose files the task may read.
    pub files: Vec<Read>,
    /// Whether it looks at [`Inputs::conflicts`](super::Inputs::conflicts).
    pub reads_conflicts: bool,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) body: TaskBody,
}

impl TaskSpec {
    /// The model that the agent asks for: an alias or `provider/name`; `None` means the job's.
    pub fn model(&self) -> Option<&str> {
        self.agent().and_then(|agent| agent.model.as_deref())
    }

    /// Whether it may write files.
    pub fn writes(&self) -> bool {
        self.agent().is_some_and(|agent| agent.writes.is_some())
    }

    pub(crate) const fn agent(&self) -> Option<&AgentSpec> {
        match &self.body {
            TaskBody::Agent(agent) => Some(agent),
            TaskBody::Condition(_) | TaskBody::Join | TaskBody::Review(_) => None,
        }
    }
}

/// What a review asks, and whom.
#[derive(Debug)]
pub(crate) struct ReviewSpec {
    pub(crate) question: Template,
    /// In the order in which it is shown.
    pub(crate) shows: Vec<Shown>,
    /// Whether anybody is asked; always where there is none.
    pub(crate) condition: Option<Expr>,
    pub(crate) deciders: Deciders,
}

/// What is to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// What stands behind a name.
    Output(Binding),
    /// A file that one of the task's [`files`](TaskSpec::files) left.
    File(ArtifactPath),
}

#[derive(Debug)]
pub(crate) enum TaskBody {
    Agent(Box<AgentSpec>),
    Condition(Expr),
    Join,
    Review(Box<ReviewSpec>),
}

/// Texts of an agent.
#[derive(Clone, Debug)]
pub(crate) struct Persona {
    pub(crate) role: Template,
    pub(crate) goal: Template,
    pub(crate) backstory: Template,
}

#[derive(Debug)]
pub(crate) struct AgentSpec {
    pub(crate) persona: Persona,
    pub(crate) model: Option<String>,
    pub(crate) description: Template,
    pub(crate) expected_output: Template,
    pub(crate) output: Option<Schema>,
    pub(crate) output_file: Option<Template>,
    /// Names whose outputs stand in the prompt, in order.
    pub(crate) context: Vec<String>,
    pub(crate) guardrails: Vec<Guardrail>,
    pub(crate) writes: Option<WriteSpec>,
    pub(crate) temperature: Option<f32>,
    pub(crate) output_tokens_max: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct WriteSpec {
    /// A list of paths; anywhere where there is none.
    pub(crate) scope: Option<Expr>,
}

/// What a map's list is made of.
#[derive(Debug)]
pub struct MapSpec {
    /// What has to be loaded before the list can be made.
    pub reads: Vec<Read>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) over: Expr,
    pub(crate) key: Option<Expr>,
    pub(crate) after: Option<Expr>,
    pub(crate) items_max: u32,
}

/// When a loop is done.
#[derive(Debug)]
pub struct LoopSpec {
    /// The task after which `until` is asked.
    pub until_after: String,
    /// What has to be loaded before `until` and `warnings` can be asked.
    pub reads: Vec<Read>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) until: Expr,
    pub(crate) warnings: Option<Expr>,
    pub(crate) rounds: Option<Expr>,
}

impl CompiledFlow {
    /// The task of that id.
    pub fn task(&self, id: &str) -> Option<&TaskSpec> {
        self.parts.tasks.get(id)
    }

    /// All tasks, by id.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskSpec> {
        self.parts.tasks.values()
    }

    /// How the list of the map with that node's index is made.
    pub fn map(&self, node: usize) -> Option<&MapSpec> {
        self.parts.maps.get(&node)
    }

    /// When the loop of the node of that index is done; for a map, the loop that is its body.
    pub fn loop_of(&self, node: usize) -> Option<&LoopSpec> {
        self.parts.loops.get(&node)
    }

    /// JSON Schema of the input, if the flow has one.
    pub fn input_schema(&self) -> Option<&Value> {
        self.parts.input.as_ref().map(Schema::value)
    }

    /// The flow as it runs with this (validated) input: loops that take their bound from it have it. Cheap, and the same
    /// for the same input, so it can be repeated wherever a job is loaded.
    pub fn for_input(&self, input: &Value) -> Result<Self, Vec<FlowIssue>> {
        let bounded = self.parts.loops.iter().filter_map(|(node, spec)| Some((*node, spec.rounds.as_ref()?)));
        let scope = Map::from_iter([("input".to_owned(), input.clone())]);
        let mut graph = None;
        let mut issues = Vec::new();
        for (node, rounds) in bounded {
            match rounds_of(rounds, &scope) {
                Ok(rounds) => set_rounds(graph.get_or_insert_with(|| Graph::clone(&self.graph)), node, rounds),
                Err(message) => {
                    let path = format!("input ({} of {})", rounds.source(), self.graph.nodes[node].id);
                    issues.push(FlowIssue::new(path, message, format!("a number from 1 to {ROUNDS_MAX}")));
                }
            }
        }
        if !issues.is_empty() {
            return Err(issues);
        }
        Ok(Self { graph: graph.map_or_else(|| Arc::clone(&self.graph), Arc::new), ..self.clone() })
    }
}

/// The input with defaults filled in, or what is wrong with it. The paths begin with `input`.
pub fn validate_input(flow: &CompiledFlow, input: &Value) -> Result<Value, Vec<FlowIssue>> {
    validated_input(flow.parts.input.as_ref(), input)
}

fn rounds_of(rounds: &Expr, scope: &Map<String, Value>) -> Result<u32, String> {
    let value = rounds.eval(scope, &[]).map_err(|error| error.to_string())?;
    let rounds = value.as_u64().and_then(|rounds| u32::try_from(rounds).ok());
    rounds.filter(|rounds| (1..=ROUNDS_MAX).contains(rounds)).ok_or_else(|| format!("{value} is no number of rounds"))
}

fn set_rounds(graph: &mut Graph, node: usize, rounds: u32) {
    match &mut graph.nodes[node].work {
        Work::Thread(thread) => thread.rounds_max = rounds,
        Work::Map(map) => map.thread.rounds_max = rounds,
    }
}
