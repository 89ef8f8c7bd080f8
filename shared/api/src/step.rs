//! Steps as callers see them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::money::Amount;
use crate::time::Time;

/// A step of a job that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// Its name: `code[3]@2` is item 3, round 2.
    #[schema(example = "code[3]@2")]
    pub step: String,
    /// The task in the flow.
    pub task: String,
    /// Item of a map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Round of a loop, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// How it stands.
    pub state: StepState,
    /// The attempt that is under way, or that did it, from 1.
    pub attempt: u32,
    /// When that attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When its result was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Not tried again before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// The model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What all its model calls cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Amount>,
    /// Model calls, over all attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
    /// What it came to; missing where it is over 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub output: Option<Value>,
    /// Size of the output where it is missing here, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    /// Paths of the files that it wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Waits for its turn or its next try.
    Ready,
    /// Waits for money that other steps hold.
    WaitingForBudget,
    /// Waits for a person.
    AwaitingReview,
    /// Waits for the items of its map.
    WaitingForItems,
    /// Is worked on.
    Running,
    /// Its result counts.
    Completed,
    /// It failed for good.
    Failed,
    /// The job ended before its result counted.
    Stopped,
}

/// A page of a job's steps, in order of task, item and round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepList {
    /// Steps that have begun; the job's `progress.nodes` shows what is to come.
    pub steps: Vec<StepView>,
    /// For `?cursor=`; missing at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A step with its journal: the body of `GET /v1/jobs/{id}/steps/{step}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepDetail {
    /// The step, its output whole.
    #[serde(flatten)]
    pub step: StepView,
    /// Its model calls, oldest first.
    pub journal: Vec<TurnView>,
}

/// A model call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurnView {
    /// Number within the step, over all attempts, from 1.
    pub turn: u32,
    /// The attempt that paid for it.
    pub attempt: u32,
    /// When it was journaled.
    pub at: Time,
    /// What it cost.
    pub cost: Amount,
    /// What the model said: text, and tools that it wanted called.
    #[schema(value_type = Value)]
    pub answer: Value,
    /// What it was told next: answers of tools, or findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Value>)]
    pub replies: Vec<Value>,
}
