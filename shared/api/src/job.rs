//! Jobs as callers see them.

use std::collections::BTreeMap;

use convoke_domain::ids::JobId;
use convoke_domain::status::{JobStatus, StopReason};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::money::Amount;
use crate::review::ReviewView;
use crate::schema::{job_id, job_status, stop_reason};
use crate::time::Time;

/// The answer to an accepted submission, retry or cancellation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// The job.
    #[schema(schema_with = job_id)]
    pub id: JobId,
    /// Its state at this moment.
    #[schema(schema_with = job_status)]
    pub status: JobStatus,
    /// Where to go from here.
    pub links: Links,
}

/// URLs of a job, relative to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Links {
    /// The job.
    #[serde(rename = "self")]
    pub this: String,
    /// Its steps.
    pub steps: String,
    /// What has happened to it.
    pub events: String,
    /// What came of it, once it has ended.
    pub result: String,
    /// Its files, once it has ended.
    pub artifacts: String,
    /// All files in one, once it has ended.
    pub archive: String,
    /// `POST` to cancel it.
    pub cancel: String,
    /// `POST` to try again what failed or was cancelled.
    pub retry: String,
}

impl Links {
    /// The URLs of a job.
    pub fn of(id: &JobId) -> Self {
        let at = |rest: &str| format!("/v1/jobs/{id}{rest}");
        Self {
            this: at(""),
            steps: at("/steps"),
            events: at("/events"),
            result: at("/result"),
            artifacts: at("/artifacts"),
            archive: at("/archive"),
            cancel: at("/cancel"),
            retry: at("/retry"),
        }
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// Its id; ids sort by time of submission.
    #[schema(schema_with = job_id)]
    pub id: JobId,
    /// Its state.
    #[schema(schema_with = job_status)]
    pub status: JobStatus,
    /// Whether it is about to end: no more steps are started.
    pub ending: bool,
    /// Why it ends or has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = stop_reason)]
    pub stop_reason: Option<StopReason>,
    /// What happened, in words, where it didn't end as asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The step that made it end, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_step: Option<String>,
    /// Name of its flow.
    pub flow: String,
    /// First line of what was asked.
    pub title: String,
    /// The model that it works with.
    pub model: String,
    /// The job that it retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = job_id)]
    pub parent: Option<JobId>,
    /// The job whose files it goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = job_id)]
    pub follows: Option<JobId>,
    /// The schedule that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// As submitted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it was submitted.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// When its time is over.
    pub deadline_at: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// The cap.
    pub budget: Amount,
    /// What was spent so far.
    pub cost: Amount,
    /// How far it is.
    pub progress: ProgressView,
    /// What to know first of a job that has ended: no consensus, failed items and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Of a follow-up that has ended: what is different from the files that it goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangesView>,
    /// What people are asked, or were, in the order in which they were asked: the latest 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<ReviewView>,
    /// Where to go from here.
    pub links: Links,
}

/// What a follow-up made of the files that it goes on from, compared by their SHA-256. `REPORT.md`, `PROJECT_TREE.txt` and
/// `archive.zip`, which every job makes anew, don't count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangesView {
    /// Paths that weren't there.
    pub added: u32,
    /// Paths whose content is another.
    pub changed: u32,
    /// Paths that aren't there any more.
    pub removed: u32,
    /// Paths whose content is the same.
    pub unchanged: u32,
    /// What is different, sorted by path; at most 200.
    pub files: Vec<ChangeView>,
}

/// A file that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeView {
    /// Its path.
    pub path: String,
    /// What became of it.
    pub change: ChangeKind,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It wasn't there.
    Added,
    /// Its content is another.
    Changed,
    /// It isn't there any more.
    Removed,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgressView {
    /// Nodes of the flow.
    pub nodes_total: u32,
    /// Nodes that have ended, or won't run.
    pub nodes_done: u32,
    /// Steps that are worked on at this moment.
    pub steps_running: u32,
    /// The nodes in the order of the flow.
    pub nodes: Vec<NodeView>,
}

/// A node of a job's flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// Its name.
    pub id: String,
    /// How it stands.
    pub state: NodeState,
    /// Of a loop: the round that it is in, or was in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// Of a running map: its items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemsView>,
}

/// How a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Waits for what it needs.
    Waiting,
    /// Could start, or waits for its next try.
    Ready,
    /// Is worked on.
    Running,
    /// Waits for a person.
    AwaitingReview,
    /// Has ended.
    Completed,
    /// Made the job end.
    Failed,
    /// Won't run: a condition decided so.
    Skipped,
    /// Didn't come to its end before the job ended.
    Stopped,
}

/// Items of a running map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemsView {
    /// How many there are.
    pub total: u32,
    /// How many have ended.
    pub done: u32,
    /// How many of those failed.
    pub failed: u32,
}

/// A job in a list; lists may lag a little behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobSummary {
    /// Its id.
    #[schema(schema_with = job_id)]
    pub id: JobId,
    /// Its state.
    #[schema(schema_with = job_status)]
    pub status: JobStatus,
    /// Why it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = stop_reason)]
    pub stop_reason: Option<StopReason>,
    /// Name of its flow.
    pub flow: String,
    /// First line of what was asked.
    pub title: String,
    /// When it was submitted.
    pub created_at: Time,
    /// What it cost, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Amount>,
    /// The job's URL.
    pub href: String,
}

/// A page of jobs, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// May be fewer than asked for although there are more.
    pub jobs: Vec<JobSummary>,
    /// For `?cursor=`; missing at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResultView {
    /// The job.
    #[schema(schema_with = job_id)]
    pub id: JobId,
    /// How it ended.
    #[schema(schema_with = job_status)]
    pub status: JobStatus,
    /// Why.
    #[schema(schema_with = stop_reason)]
    pub stop_reason: StopReason,
    /// What happened, in words, where it didn't end as asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to know first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What it cost.
    pub cost: Amount,
    /// Outputs of the flow's last nodes, by name; those of maps and those over 256 KiB are left to the steps.
    #[schema(value_type = Object)]
    pub outputs: BTreeMap<String, Value>,
    /// Nodes whose outputs aren't in `outputs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<String>,
    /// How many files there are.
    pub artifacts: u32,
    /// Of a follow-up: what is different from the files that it goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangesView>,
    /// Where to go from here.
    pub links: Links,
}
