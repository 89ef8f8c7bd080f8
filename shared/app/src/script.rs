//! A job's flow as the engine sees it: what a step reads, what it asks, what its answer amounts to.
//!
//! Everything here is synchronous and pure: a script is compiled once per job and asked the same thing again after a
//! crash, and answers the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use convoke_domain::graph::Graph;
use convoke_domain::review::Deciders;
use convoke_domain::status::StopReason;
use serde_json::Value;

use crate::model::{Message, ModelProfile, OutputSchema, ToolCall, ToolSpec};
use crate::ports::{FileRef, Shown};

/// Whose results a step reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// The task whose results are read.
    pub task: String,
    /// Which of them.
    pub scope: ReadScope,
    /// Whether the contents of its files are needed, too.
    pub with_files: bool,
}

/// Which of a task's results are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadScope {
    /// The one of an earlier node, in the last round of its loop.
    Node(usize),
    /// Those of all items of an earlier map.
    Map(usize),
    /// The latest of this thread: this round's, or the last round's.
    Thread,
    /// Those of the items that this item waits for.
    Awaited,
}

/// A result as scripts see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Which item of a map, if any.
    pub item: Option<u32>,
    /// What the step came to; null where its item failed.
    pub output: Value,
    /// What it wrote.
    pub files: Vec<FileRef>,
}

/// All that a step's prompt may be made of.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The job's input.
    pub input: Arc<Value>,
    /// The job's id.
    pub job: String,
    /// The job's model.
    pub model: String,
    /// Results read, by task, in order of items. Of wide maps the first ones.
    pub known: BTreeMap<String, Vec<Known>>,
    /// How many results of a task were left out because there are too many.
    pub omitted: BTreeMap<String, u32>,
    /// Results of the items that this item waits for.
    pub awaited: BTreeMap<String, Vec<Known>>,
    /// Contents of files read, by path; where several steps wrote one path, that of the one that stands last in the
    /// flow: what came before the node, then its own rounds.
    pub contents: BTreeMap<String, Bytes>,
    /// Contents of files that several items of one map wrote differently, by path and step.
    pub versions: BTreeMap<(String, String), Bytes>,
    /// The files that the job goes on from; their texts are among the contents until a step writes them anew.
    pub base: Vec<FileRef>,
    /// The item of a map: its index and value.
    pub item: Option<(u32, Value)>,
    /// Round of a loop, from 1.
    pub round: u32,
}

/// What a model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The final answer's schema.
    pub schema: Option<OutputSchema>,
    /// Tools that it may call.
    pub tools: Vec<ToolSpec>,
    /// Bound of an answer, in tokens.
    pub output_tokens_max: u32,
    /// Sampling temperature.
    pub temperature: Option<f32>,
}

/// A file that an accepted answer has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// A valid artifact path.
    pub path: String,
    /// Media type.
    pub media_type: String,
    /// Content.
    pub bytes: Bytes,
}

/// An answer that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// What the step came to.
    pub output: Value,
    /// What it wrote.
    pub files: Vec<NewFile>,
}

/// An answer that didn't pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// What the model is told.
    pub feedback: String,
    /// The same in a line, for people.
    pub reason: String,
    /// What can be made of the answer once the repair rounds are used up.
    pub repaired: Option<Box<Accepted>>,
}

/// A definition that doesn't fit its input: final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Broken {
    /// Why the job ends.
    pub reason: StopReason,
    /// What is wrong, for the author.
    pub cause: String,
}

/// A map's list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemList {
    /// The items.
    pub items: Vec<Value>,
    /// For an ordered map: for each item the indices of those that it waits for.
    pub needs: Option<Vec<Vec<u8>>>,
    /// What the items are called, where the flow says so.
    pub keys: Option<Vec<String>>,
}

/// What people are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The question.
    pub text: String,
    /// What is to be judged.
    pub shows: Vec<Shown>,
    /// Who may decide.
    pub deciders: Deciders,
}

/// The tools of one step; replaying the same calls gives the same answers.
pub trait Toolbox: Send + Sync {
    /// Does what the model asks; an error is an answer that says so.
    fn call(&mut self, call: &ToolCall) -> Message;

    /// Files written so far, sorted by path.
    fn written(&self) -> Vec<NewFile>;
}

/// A job's flow, compiled with its input.
pub trait Script: Send + Sync {
    /// The flow's shape.
    fn graph(&self) -> &Graph;

    /// What a step of `task` reads (of a map: what its list is made of).
    fn reads(&self, task: &str) -> Vec<Read>;

    /// The model that `task` wants, where it names one that isn't the job's.
    fn model(&self, task: &str) -> Option<&str>;

    /// What to ask a model for `task`.
    fn ask(&self, task: &str, inputs: &Inputs, profile: &ModelProfile) -> Result<Ask, Broken>;

    /// The tools of `task`.
    fn toolbox(&self, task: &str, inputs: &Inputs) -> Box<dyn Toolbox>;

    /// Judges a model's final answer.
    fn accept(&self, task: &str, inputs: &Inputs, answer: (&str, &dyn Toolbox)) -> Result<Accepted, Rejected>;

    /// The loop's `until` after `task`, where it is asked there; `inputs` know this step's result.
    fn until(&self, task: &str, inputs: &Inputs) -> Result<Option<bool>, Broken>;

    /// What whoever gets the result should know of the loop that ends after `task`; asked where `until` was asked last,
    /// of the same inputs.
    fn warnings(&self, _task: &str, _inputs: &Inputs) -> Result<Vec<String>, Broken> {
        Ok(Vec::new())
    }

    /// A condition's value.
    fn condition(&self, task: &str, inputs: &Inputs) -> Result<bool, Broken>;

    /// A join's output.
    fn join(&self, task: &str, inputs: &Inputs) -> Value;

    /// What a review asks; `None` where it asks nobody.
    fn review(&self, task: &str, _inputs: &Inputs) -> Result<Option<Question>, Broken> {
        let cause = format!("{task} is no review");
        Err(Broken { reason: StopReason::Internal, cause })
    }

    /// A map's list.
    fn list(&self, map: &str, inputs: &Inputs) -> Result<ItemList, Broken>;
}
