//! Reviews: what people were asked, and what they put down. Which decision counts, the job's own item says.

use async_trait::async_trait;
use convoke_domain::ids::{JobKey, StepId};
use convoke_domain::review::{Deciders, Decision, DefaultAction, Ruling};
use serde::{Deserialize, Serialize};

use super::PortError;

/// What people were asked. Put once, before anybody is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewRecord {
    /// Version of the shape: 1.
    pub v: u8,
    /// The review's step.
    pub step: StepId,
    /// What is asked, at most 4,000 characters.
    pub question: String,
    /// What is to be judged, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<Shown>,
    /// Hash of the question and all that is to be judged, whole: who decides on the same decides the same.
    pub digest: String,
    /// Who may decide.
    pub deciders: Deciders,
    /// How long they have, in milliseconds.
    pub time_ms: u64,
    /// What counts where nobody decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultAction>,
    /// When it was put (Unix milliseconds).
    pub at_ms: u64,
}

/// Something that is to be judged, abridged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Name of the step, or the file's path.
    pub name: String,
    /// Whether it is a file.
    #[serde(default)]
    pub is_file: bool,
    /// Its beginning, JSON as an outline; empty where it is no text.
    pub text: String,
    /// Whether there is more.
    #[serde(default)]
    pub truncated: bool,
    /// Size of the whole.
    pub bytes: u64,
    /// SHA-256 of the whole, in hexadecimal.
    pub sha256: String,
}

/// A decision that somebody put down, or that came by itself. It counts if the job's item bears its mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// Version of the shape: 1.
    pub v: u8,
    /// The review's step.
    pub step: StepId,
    /// Drawn at random.
    pub mark: String,
    /// What counts; `None` where nobody decided and nothing counts instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Who; `None` where it came by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<DecidedBy>,
    /// What they had to say, at most 4,000 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// When (Unix milliseconds).
    pub at_ms: u64,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedBy {
    /// Who it is, for telling people apart: a person's id, or a key's.
    pub who: String,
    /// What they are called.
    pub name: String,
}

impl DecisionRecord {
    /// One that came by itself, the review's time being over.
    pub const fn expired(step: StepId, mark: String, ruling: Ruling, at_ms: u64) -> Self {
        Self { v: 1, step, mark, decision: ruling.decision(), by: None, comment: String::new(), at_ms }
    }
}

/// What of a review is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// What was asked.
    pub asked: ReviewRecord,
    /// Decisions that were put down; at most one of them counts.
    pub decisions: Vec<DecisionRecord>,
}

/// What people were asked and what they said.
#[async_trait]
pub trait Reviews: Send + Sync {
    /// Puts what is asked, if the step has asked nothing yet; answers the stored one.
    async fn put_review(&self, key: &JobKey, record: &ReviewRecord) -> Result<ReviewRecord, PortError>;

    /// Puts a decision down under its mark; a repeat changes nothing.
    async fn put_decision(&self, key: &JobKey, record: &DecisionRecord) -> Result<(), PortError>;

    /// A step's review, strongly read; `None` where nothing was asked.
    async fn review(&self, key: &JobKey, step: &StepId) -> Result<Option<Reviewed>, PortError>;

    /// The job's reviews in order of task and round, strongly read; at most 1,000 questions and decisions are looked at.
    async fn reviews(&self, key: &JobKey) -> Result<Vec<Reviewed>, PortError>;
}
