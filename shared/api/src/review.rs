//! Reviews as callers see them: what a person is asked, and what came of it.

use convoke_domain::review::{Decision, DefaultAction};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema::{decision, default_action};
use crate::time::Time;

/// A review of a job: a person is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReviewView {
    /// Its name within the job, which is its step's: `approve`, or `approve@2` in round 2 of a loop.
    #[schema(example = "approve@2")]
    pub id: String,
    /// How it stands.
    pub state: ReviewState,
    /// What is asked.
    pub question: String,
    /// What is to be judged, abridged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<ShownView>,
    /// When it was asked.
    pub requested_at: Time,
    /// When its time is over, or was.
    pub deadline_at: Time,
    /// Whether people were reminded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminded: bool,
    /// What counts where nobody decides until then; where it is missing, the job ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = default_action)]
    pub default: Option<DefaultAction>,
    /// Who may decide, of the people in chats; a key of the tenant always may.
    pub deciders: DecidersView,
    /// What was decided, by a person or by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = decision)]
    pub decision: Option<Decision>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// By whom, as people call them; missing where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// What that person had to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its URL; `POST` a decision there.
    pub href: String,
}

/// How a review stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// A decision is awaited.
    Requested,
    /// A person approved.
    Approved,
    /// A person asked for changes.
    ChangesRequested,
    /// A person rejected.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// The job began to end before anybody decided.
    Withdrawn,
}

impl ReviewState {
    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::ChangesRequested => "changes_requested",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Something that is to be judged: what a step came to, or a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownView {
    /// Name of the step, or the file's path.
    pub name: String,
    /// The path, where it is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its beginning, at most 2,000 characters: a text as it is, JSON as an outline for people; empty where it is neither.
    pub text: String,
    /// Whether there is more.
    pub truncated: bool,
    /// Size of the whole, in bytes.
    pub bytes: u64,
}

/// Who may decide, of the people in chats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecidersView {
    /// Whoever submitted the job.
    pub requester: bool,
    /// These people, e.g. `dcu_42`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// Admins of the chat in which they decide.
    pub admins: bool,
}

/// A job's reviews in the order in which they were asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReviewList {
    /// The latest 100.
    pub reviews: Vec<ReviewView>,
}

/// The body of `POST /v1/jobs/{id}/reviews/{review}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// What is decided.
    #[schema(schema_with = decision)]
    pub decision: Decision,
    /// What the flow is to make of it, or why; at most 4,000 characters. With `changes` it says what is to be different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
