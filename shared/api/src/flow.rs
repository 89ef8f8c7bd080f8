//! The document that defines a flow, as its author writes it: YAML or JSON, in a file or inline in a submission.
//!
//! These types say what the format is and nothing of whether a flow makes sense: reading text is `convoke_app::flow::parse`,
//! checking and compiling is `convoke_app::flow::compile`. Unknown fields are refused everywhere.

use std::collections::BTreeMap;
use std::fmt;

use convoke_domain::graph::{Join, OnBound, OnError};
use convoke_domain::review::{DefaultAction, OnReject};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A flow: a graph of nodes and the agents that work in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowDoc {
    /// `[a-z0-9][a-z0-9-]{0,63}`.
    pub name: String,
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the input; any object where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// At least one, at most 512.
    pub nodes: Vec<NodeDoc>,
    /// Agents that nodes refer to by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, AgentDoc>,
}

/// A node, by its `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NodeDoc {
    /// An agent works on a task.
    Agent(Box<AgentNode>),
    /// One thread per item of a list.
    Map(MapNode),
    /// Nodes in sequence, in rounds.
    Loop(LoopNode),
    /// Decides between two branches.
    Condition(ConditionNode),
    /// Waits for all or any of its needs.
    Join(JoinNode),
    /// Asks a person.
    Review(ReviewNode),
}

/// An agent's task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentNode {
    /// Name of the node and its task; left out in a map's body, whose items are named after the map.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Nodes that have to end first; none inside a loop or a map.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Who works.
    pub agent: AgentRef,
    /// On what.
    pub task: TaskDoc,
    /// How often a step may be tried, 1 to 10; 3 where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
}

/// An agent, or the name of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum AgentRef {
    /// Name in [`FlowDoc::agents`].
    Name(String),
    /// Written in place.
    Inline(AgentDoc),
}

/// Who works on a task; texts are templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentDoc {
    /// What the agent is.
    pub role: String,
    /// What it wants.
    pub goal: String,
    /// Where it comes from: experience, manner, rules.
    pub backstory: String,
    /// A configured alias or `provider/name`; what isn't configured means the job's model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What is to be done; texts are templates, `scope` is CEL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskDoc {
    /// The task.
    pub description: String,
    /// What a good answer is.
    pub expected_output: String,
    /// JSON Schema of the answer; text where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Path of the artifact that the answer becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_file: Option<String>,
    /// Whose outputs stand in the prompt; the node's needs and its loop's other tasks where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Vec<String>>,
    /// Whose files the task may read: ids, or `after` for the items that its item waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Checks by name: `plan`, `files_in_scope`, `nonempty_files`, `safe_paths`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guardrails: Vec<String>,
    /// That it writes files, and where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<WritesDoc>,
    /// Sampling temperature, 0 to 2; the model's own where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Bound of an answer in tokens; the model's own where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_max: Option<u32>,
    /// What is different for a model that can't follow long instructions and call tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small: Option<SmallTask>,
}

/// Where a task may write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WritesDoc {
    /// CEL: a list of paths; one that ends in `/` stands for all below it. Anywhere where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// Overrides of a [`TaskDoc`] for models that aren't capable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SmallTask {
    /// Instead of the task's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Instead of the task's expected output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_output: Option<String>,
    /// Instead of the task's schema; every array and string in it should be bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Instead of the task's bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_max: Option<u32>,
    /// Instead of the node's attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Instead of the task's context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Vec<String>>,
}

/// One thread per item of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MapNode {
    /// Name of the node.
    pub id: String,
    /// Nodes that have to end first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// CEL: the list.
    pub over: String,
    /// Items at once, 1 to 512; 50 where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// What each item goes through: an agent or a loop.
    #[schema(no_recursion)]
    pub node: Box<NodeDoc>,
    /// CEL, per item: the keys of the items that have to be done before it. Then there are at most 64 items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// CEL, per item: its key; its index where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `fail` (the job ends) or `continue` (without the item).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "fail")]
    pub on_error: Option<OnError>,
    /// Most items; a longer list fails the job. 10,000 where it is missing, 64 with `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items_max: Option<u32>,
    /// How often the list may be tried, 1 to 10; 3 where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// What is different for a model that isn't capable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small: Option<SmallMap>,
}

/// Overrides of a [`MapNode`] for models that aren't capable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SmallMap {
    /// Instead of the map's `items_max`.
    pub items_max: u32,
}

/// Nodes in sequence, in rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoopNode {
    /// Name of the node; left out in a map's body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Nodes that have to end first; none inside a map.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Agents, conditions and reviews (none of these inside a map), at least one, at most 16.
    #[schema(no_recursion)]
    pub nodes: Vec<NodeDoc>,
    /// CEL: when it is done.
    pub until: String,
    /// The task after which `until` is asked; the last one where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_after: Option<String>,
    /// Most rounds, 1 to 10,000.
    pub rounds_max: RoundsDoc,
    /// `proceed` (the job completes with a warning) or `fail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "proceed")]
    pub on_bound: Option<OnBound>,
    /// CEL, asked when it ends: a list of texts that whoever gets the result should know first. Where its rounds are
    /// used up and this is missing or empty, that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<String>,
    /// What is different for a model that isn't capable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small: Option<SmallLoop>,
}

/// Overrides of a [`LoopNode`] for models that aren't capable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SmallLoop {
    /// Instead of the loop's `rounds_max`.
    pub rounds_max: RoundsDoc,
    /// Instead of the loop's `warnings`; none where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<String>,
}

/// How many rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum RoundsDoc {
    /// So many.
    Number(u32),
    /// CEL over `input` alone.
    Expression(String),
}

/// Decides between two branches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionNode {
    /// Name of the node.
    pub id: String,
    /// Nodes that have to end first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// CEL: true or false.
    #[serde(rename = "if")]
    pub condition: String,
    /// Nodes that run only if it is true; they need this node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<String>,
    /// Nodes that run only if it is false; they need this node.
    #[serde(default, rename = "else", skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<String>,
}

/// Waits for its needs and passes on what they left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinNode {
    /// Name of the node.
    pub id: String,
    /// Nodes that it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// `all` or `any`; all where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "all")]
    pub mode: Option<Join>,
}

/// Asks a person, and waits for the decision. Its output is `{decision, comment, by, expired, asked}`, the decision being
/// `approve`, `changes` or `reject`. Not inside of a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewNode {
    /// Name of the node.
    pub id: String,
    /// Nodes that have to end first; none inside a loop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// What is asked: a template. At most 4,000 characters are shown.
    pub question: String,
    /// What is to be judged, at most 10: names of nodes and of the loop's tasks, whose outputs are shown, and paths of files
    /// that those wrote which the review needs or that stand before it in its loop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<String>,
    /// CEL: whether anybody is asked; always where it is missing. Nobody being asked, the output is an approval with
    /// `asked: false`.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Who may decide, of the people in chats; the requester and admins where it is missing. A key of the tenant always may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deciders: Option<DecidersDoc>,
    /// How long they have, 60 seconds to 90 days; 7 days where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<u64>,
    /// What counts where nobody decides in time: `approve` or `reject`. Where it is missing, the job ends `deadline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "reject")]
    pub default: Option<DefaultAction>,
    /// After which time they are reminded, once: at least 60 seconds, and before the deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder_s: Option<u64>,
    /// `fail` (the job ends `rejected`) or `proceed` (the decision is an output like any other).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "fail")]
    pub on_reject: Option<OnReject>,
}

/// Who may decide, of the people in chats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecidersDoc {
    /// Whoever submitted the job.
    #[serde(default)]
    pub requester: bool,
    /// These people, at most 50: `dcu_42` of Discord, `tgu_42` of Telegram.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// Admins of the chat in which they decide.
    #[serde(default)]
    pub admins: bool,
}

impl NodeDoc {
    /// The node's id; empty in bodies of maps.
    pub fn id(&self) -> &str {
        match self {
            Self::Agent(node) => &node.id,
            Self::Map(node) => &node.id,
            Self::Loop(node) => &node.id,
            Self::Condition(node) => &node.id,
            Self::Join(node) => &node.id,
            Self::Review(node) => &node.id,
        }
    }

    /// The nodes that it names as needed.
    pub fn needs(&self) -> &[String] {
        match self {
            Self::Agent(node) => &node.needs,
            Self::Map(node) => &node.needs,
            Self::Loop(node) => &node.needs,
            Self::Condition(node) => &node.needs,
            Self::Join(node) => &node.needs,
            Self::Review(node) => &node.needs,
        }
    }

    /// Its `kind`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Map(_) => "map",
            Self::Loop(_) => "loop",
            Self::Condition(_) => "condition",
            Self::Join(_) => "join",
            Self::Review(_) => "review",
        }
    }
}

/// One thing that is wrong with a flow or its input: where, what, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowIssue {
    /// Where, e.g. `nodes[2].task.description`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl FlowIssue {
    /// An issue.
    pub fn new(path: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for FlowIssue {
    /// `nodes[2].over: unknown name "x" (did you mean "y"?)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, " ({})", self.hint) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_survive_being_written() {
        let doc = json!({
            "name": "fan",
            "nodes": [
                {"kind": "agent", "id": "a", "agent": "w", "task": {"description": "d", "expected_output": "e"}},
                {"kind": "loop", "id": "l", "needs": ["a"], "until": "true", "rounds_max": "input.n", "nodes": []},
                {"kind": "condition", "id": "c", "if": "true", "then": ["m"]},
                {"kind": "map", "id": "m", "over": "[1]", "on_error": "continue",
                 "node": {"kind": "loop", "nodes": [], "until": "true", "rounds_max": 2}},
                {"kind": "join", "id": "j", "needs": ["m"], "mode": "any"},
                {"kind": "review", "id": "r", "needs": ["j"], "question": "q", "shows": ["m", "a.md"], "if": "true",
                 "deciders": {"requester": true, "people": ["dcu_1"], "admins": false}, "deadline_s": 60,
                 "default": "reject", "reminder_s": 60, "on_reject": "proceed"}
            ],
            "agents": {"w": {"role": "r", "goal": "g", "backstory": "b"}}
        });
        let parsed: FlowDoc = serde_json::from_value(doc.clone()).expect("a flow");
        assert_eq!(serde_json::to_value(parsed).expect("json"), doc);
    }

    #[test]
    fn unknown_fields_are_refused_at_every_level() {
        let bad = [
            json!({"name": "x", "nodes": [], "nope": 1}),
            json!({"name": "x", "nodes": [{"kind": "join", "id": "j", "nope": 1}]}),
            json!({"name": "x", "nodes": [{"kind": "agent", "id": "a", "agent": "w",
                   "task": {"description": "d", "expected_output": "e", "nope": 1}}]}),
            json!({"name": "x", "nodes": [], "agents": {"w": {"role": "r", "goal": "g", "backstory": "b", "nope": 1}}}),
        ];
        for doc in bad {
            assert!(serde_json::from_value::<FlowDoc>(doc.clone()).is_err(), "{doc}");
        }
    }
}
