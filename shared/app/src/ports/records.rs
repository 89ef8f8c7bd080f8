//! What is stored once and never changed, and the rows that lists show.

use std::collections::BTreeMap;

use convoke_api::job::ChangesView;
use convoke_domain::chat::PersonId;
use convoke_domain::ids::{GroupId, JobId, StepId, TenantId};
use convoke_domain::money::Cost;
use convoke_domain::review::Decision;
use convoke_domain::status::{JobStatus, StopReason};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BlobKey, Requester, Target, Tick};
use crate::base::Base;
use crate::model::Usage;

/// Label of the jobs of a schedule that was made in a chat: the person who made it.
pub const MADE_BY: &str = "made_by";

/// A value that stands in its item, or in object storage where it is large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// Up to 4 KiB of JSON.
    Inline(Value),
    /// A JSON object in storage.
    Blob {
        /// Where.
        key: BlobKey,
        /// How large.
        bytes: u64,
    },
}

impl Payload {
    /// About how many bytes of JSON it has.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Inline(value) => value.to_string().len() as u64,
            Self::Blob { bytes, .. } => *bytes,
        }
    }
}

/// The constant part of the job's own item: what every list and card shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobHead {
    /// Name of the flow.
    pub flow: String,
    /// First line of what was asked, at most 100 characters.
    pub title: String,
    /// `provider/name`.
    pub model: String,
    /// Cap of the job.
    pub budget: Cost,
    /// The job that this one retries or forks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
}

/// What a job is to do. Immutable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Version of the shape: 1.
    pub v: u8,
    /// The flow's document, whole: a job goes on with the flow that it was submitted with. ([`Payload`] of the JSON.)
    pub flow: Payload,
    /// The flow's shape for that input: who only looks at a job needs no compiler. (JSON of a
    /// [`Graph`](convoke_domain::graph::Graph); jobs of before it stood here have none.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<Payload>,
    /// Its validated input.
    pub input: Payload,
    /// `provider/name` of the job's model.
    pub model: String,
    /// Whether the flow was compiled for a capable model.
    pub capable: bool,
    /// The caller's labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Where to send notifications, as submitted.
    #[serde(default)]
    pub notify: Vec<Value>,
    /// Those of them that there are, each once, with what they want to be told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// The job whose results are taken over where they exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
    /// The tick that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick: Option<Tick>,
    /// Who asked for it, where that was in a chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Requester>,
    /// The files that it goes on from, where it is a follow-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// How long it may work, in milliseconds. (Jobs of before it stood here have none.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
}

impl Definition {
    /// Whose the job is, where it comes from a chat: whoever asked for it, or made the schedule that started it.
    pub fn asked_by(&self) -> Option<PersonId> {
        let requester = self.requester.as_ref().map(|requester| requester.person);
        requester.or_else(|| self.labels.get(MADE_BY)?.parse().ok())
    }
}

/// A file that a step made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// A valid artifact path.
    pub path: String,
    /// Media type.
    pub media_type: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// Where it is stored.
    pub key: BlobKey,
    /// The step that made it, as displayed.
    pub step: String,
}

/// How a step's result moves its thread on; stored with the result so that whoever adopts it decides the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What a loop's `until` came out as, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<bool>,
    /// What a condition came out as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<bool>,
    /// How many items a map has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u32>,
    /// How many items a chunk of them holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u32>,
    /// For a map whose items wait for each other: for each item the indices of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<Vec<u8>>>,
    /// What a map's items are called, where the flow says so and they are few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// What whoever gets the result should know, unless a later round of the step replaces it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Of a review that somebody was asked: what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
    /// The item failed, and the map goes on without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What came of a review, where the job went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// What counts.
    pub decision: Decision,
    /// Mark of the decision that counts.
    pub mark: String,
    /// Hash of what was judged: a retry takes the decision over where it is to judge the same.
    pub digest: String,
}

/// A step's result: put once, the journal of its last turn at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Version of the shape: 1.
    pub v: u8,
    /// Which step.
    pub step: StepId,
    /// The attempt that made it.
    pub attempt: u32,
    /// The claim that made it.
    pub nonce: String,
    /// What it came to.
    pub output: Payload,
    /// What it wrote.
    #[serde(default)]
    pub files: Vec<FileRef>,
    /// How it moves its thread on.
    #[serde(default)]
    pub progress: Progress,
    /// The last turn's answer, where a model was asked; earlier turns are [`TurnRecord`]s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Payload>,
    /// Whether the answer's text is the output (as JSON where it isn't a text); then it isn't stored twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answer_is_output: bool,
    /// Number of the last turn; 0 without a model.
    pub turn: u32,
    /// What the last turn cost (not yet settled when this is put).
    pub turn_cost: Cost,
    /// What all turns of all attempts cost that the maker knew of.
    pub cost: Cost,
    /// The model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens of all turns.
    #[serde(default)]
    pub usage: Usage,
    /// When the attempt began (Unix milliseconds).
    pub started_ms: u64,
    /// When the result was put.
    pub ended_ms: u64,
}

/// An earlier turn of a step: put before it is acted on, never paid for twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// Version of the shape: 1.
    pub v: u8,
    /// Which step.
    pub step: StepId,
    /// Number of the turn within the step, over all attempts, from 1.
    pub turn: u32,
    /// The attempt that paid for it.
    pub attempt: u32,
    /// The model's answer: [`ModelAnswer`](crate::model::ModelAnswer) as JSON.
    pub answer: Payload,
    /// What the model was told next (tool results or findings): a list of [`Message`](crate::model::Message)s as JSON.
    pub replies: Payload,
    /// What it cost.
    pub cost: Cost,
    /// When it was put (Unix milliseconds).
    pub at_ms: u64,
}

/// The files of an ended job; the only source of presigned URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the shape: 1.
    pub v: u8,
    /// Sorted by path; paths are unique.
    pub files: Vec<FileRef>,
    /// What a reader should know first.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Of a follow-up: what is different from the files that it goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangesView>,
}

/// A row of the list of jobs; from an index, so it may lag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow {
    /// Which job.
    pub id: JobId,
    /// State.
    pub status: JobStatus,
    /// Why it ended.
    pub stop_reason: Option<StopReason>,
    /// Name of the flow.
    pub flow: String,
    /// Title.
    pub title: String,
    /// What it cost, once it has ended.
    pub cost: Option<Cost>,
    /// When it was submitted (Unix milliseconds).
    pub created_ms: u64,
}

/// Who a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Whose jobs it opens.
    pub tenant: TenantId,
    /// What the owner calls it.
    pub name: String,
    /// First characters of the key, to tell keys apart.
    pub prefix: String,
    /// When it was made (Unix milliseconds).
    pub created_ms: u64,
    /// Unix seconds after which it opens nothing; `None` for a key that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
}

/// Something that has happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Number within the job, from 1 without gaps.
    pub seq: u64,
    /// The group whose change it was.
    pub group: GroupId,
    /// The group's version after the change.
    pub ver: u64,
    /// When, by the writer's clock (Unix milliseconds).
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum EventKind {
    /// The job was accepted.
    #[serde(rename = "job.submitted")]
    Submitted,
    /// Its first step was claimed.
    #[serde(rename = "job.working")]
    Working,
    /// An attempt at a step began.
    #[serde(rename = "step.started")]
    StepStarted {
        /// The step as displayed.
        step: String,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// A step's result was committed.
    #[serde(rename = "step.completed")]
    StepCompleted {
        /// The step as displayed.
        step: String,
        /// The attempt that did it.
        attempt: u32,
    },
    /// A step failed for good.
    #[serde(rename = "step.failed")]
    StepFailed {
        /// The step.
        step: String,
        /// The last attempt.
        attempt: u32,
    },
    /// An attempt failed, or was given back, and the step will be tried again.
    #[serde(rename = "step.retrying")]
    StepRetrying {
        /// The step as displayed.
        step: String,
        /// Unix milliseconds before which it isn't tried.
        not_before_ms: u64,
    },
    /// A step waits for money that others hold.
    #[serde(rename = "step.waiting_for_budget")]
    StepWaitsForBudget {
        /// The step as displayed.
        step: String,
    },
    /// A map's items began.
    #[serde(rename = "map.started")]
    MapStarted {
        /// The map's id.
        step: String,
    },
    /// A person is asked.
    #[serde(rename = "review.requested")]
    ReviewRequested {
        /// The review's step as displayed.
        review: String,
    },
    /// People were reminded.
    #[serde(rename = "review.reminded")]
    ReviewReminded {
        /// The review's step.
        review: String,
    },
    /// A review is decided, or its time is over.
    #[serde(rename = "review.decided")]
    ReviewDecided {
        /// The review's step.
        review: String,
        /// What counts, if anything does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Decision>,
        /// Whether that is because its time was over.
        expired: bool,
    },
    /// No more steps are started.
    #[serde(rename = "job.ending")]
    Ending {
        /// Why.
        stop_reason: StopReason,
        /// The step that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// What happened.
        cause: String,
    },
    /// The job is over.
    #[serde(rename = "job.ended")]
    Ended {
        /// The terminal state.
        status: JobStatus,
        /// Why.
        stop_reason: StopReason,
    },
    /// What was spent so far.
    #[serde(rename = "job.cost")]
    Cost {
        /// The group's sum.
        spent: Cost,
    },
}
