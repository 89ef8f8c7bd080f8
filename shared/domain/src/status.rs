//! How a job stands and why it ended: two closed sets.

use serde::{Deserialize, Serialize};

/// State of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Accepted; no step has been claimed.
    Queued,
    /// Steps run, or could.
    Working,
    /// Only a person's decision is open.
    AwaitingReview,
    /// Ended as asked (perhaps with warnings).
    Completed,
    /// Ended otherwise; the stop reason says why.
    Failed,
    /// Ended because somebody said so.
    Cancelled,
}

impl JobStatus {
    /// Whether nothing changes any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Working => "working",
            Self::AwaitingReview => "awaiting_review",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// All nodes are done.
    Completed,
    /// The next call isn't covered by what is left.
    BudgetExhausted,
    /// The job's time is over.
    Deadline,
    /// A loop with `on_bound: fail` used up its rounds.
    NoConsensus,
    /// A guardrail rejected the last attempt's answer.
    GuardrailFailed,
    /// A person rejected.
    Rejected,
    /// A person cancelled.
    Cancelled,
    /// The model can't be had.
    ModelUnavailable,
    /// A tool failed for good.
    ToolFailed,
    /// The same call again and again.
    LoopDetected,
    /// The definition doesn't fit its input.
    InvalidDefinition,
    /// Our mistake.
    Internal,
}

impl StopReason {
    /// The terminal state that goes with the reason.
    pub const fn status(self) -> JobStatus {
        match self {
            Self::Completed => JobStatus::Completed,
            Self::Cancelled => JobStatus::Cancelled,
            Self::BudgetExhausted
            | Self::Deadline
            | Self::NoConsensus
            | Self::GuardrailFailed
            | Self::Rejected
            | Self::ModelUnavailable
            | Self::ToolFailed
            | Self::LoopDetected
            | Self::InvalidDefinition
            | Self::Internal => JobStatus::Failed,
        }
    }

    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::BudgetExhausted => "budget_exhausted",
            Self::Deadline => "deadline",
            Self::NoConsensus => "no_consensus",
            Self::GuardrailFailed => "guardrail_failed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::ModelUnavailable => "model_unavailable",
            Self::ToolFailed => "tool_failed",
            Self::LoopDetected => "loop_detected",
            Self::InvalidDefinition => "invalid_definition",
            Self::Internal => "internal",
        }
    }
}
