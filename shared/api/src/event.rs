//! Events as callers see them.

use convoke_domain::review::Decision;
use convoke_domain::status::{JobStatus, StopReason};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::money::Amount;
use crate::schema::{decision, job_status, stop_reason};
use crate::time::Time;

/// Something that has happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Number within the job, from 1 without gaps; the `id:` of an SSE message.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What.
    #[serde(flatten)]
    pub what: EventWhat,
}

/// What has happened, by `type`; new types may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
pub enum EventWhat {
    /// The job was accepted.
    #[serde(rename = "job.submitted")]
    Submitted,
    /// Its first step was begun.
    #[serde(rename = "job.working")]
    Working,
    /// An attempt at a step began.
    #[serde(rename = "step.started")]
    StepStarted {
        /// The step.
        step: String,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// A step's result counts.
    #[serde(rename = "step.completed")]
    StepCompleted {
        /// The step.
        step: String,
        /// The attempt that did it.
        attempt: u32,
    },
    /// A step failed for good: with it the job, or its item alone where the map goes on without it.
    #[serde(rename = "step.failed")]
    StepFailed {
        /// The step.
        step: String,
        /// The last attempt.
        attempt: u32,
    },
    /// A step will be tried again.
    #[serde(rename = "step.retrying")]
    StepRetrying {
        /// The step.
        step: String,
        /// Not before.
        not_before: Time,
    },
    /// A step waits for money that others hold.
    #[serde(rename = "step.waiting_for_budget")]
    StepWaitsForBudget {
        /// The step.
        step: String,
    },
    /// A map's items began.
    #[serde(rename = "map.started")]
    MapStarted {
        /// The map.
        step: String,
    },
    /// A person is asked.
    #[serde(rename = "review.requested")]
    ReviewRequested {
        /// The review, as `GET /v1/jobs/{id}/reviews` names it.
        review: String,
    },
    /// Nobody has decided yet, and they are reminded.
    #[serde(rename = "review.reminded")]
    ReviewReminded {
        /// The review.
        review: String,
    },
    /// A review is decided, or nobody did in time.
    #[serde(rename = "review.decided")]
    ReviewDecided {
        /// The review.
        review: String,
        /// What counts; missing where nobody decided and the review has no default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(schema_with = decision)]
        decision: Option<Decision>,
        /// Whether that is because its time was over.
        expired: bool,
    },
    /// No more steps are started.
    #[serde(rename = "job.ending")]
    Ending {
        /// Why.
        #[schema(schema_with = stop_reason)]
        stop_reason: StopReason,
        /// The step that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// What happened; empty where all is done.
        cause: String,
    },
    /// The job is over; the last event.
    #[serde(rename = "job.ended")]
    Ended {
        /// How.
        #[schema(schema_with = job_status)]
        status: JobStatus,
        /// Why.
        #[schema(schema_with = stop_reason)]
        stop_reason: StopReason,
    },
    /// What was spent so far.
    #[serde(rename = "job.cost")]
    Cost {
        /// The sum.
        spent: Amount,
    },
}

impl EventWhat {
    /// All types.
    pub const TYPES: [&str; 14] = [
        "job.submitted",
        "job.working",
        "step.started",
        "step.completed",
        "step.failed",
        "step.retrying",
        "step.waiting_for_budget",
        "map.started",
        "review.requested",
        "review.reminded",
        "review.decided",
        "job.ending",
        "job.ended",
        "job.cost",
    ];

    /// The `type`, which is also the `event:` of an SSE message.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Submitted => "job.submitted",
            Self::Working => "job.working",
            Self::StepStarted { .. } => "step.started",
            Self::StepCompleted { .. } => "step.completed",
            Self::StepFailed { .. } => "step.failed",
            Self::StepRetrying { .. } => "step.retrying",
            Self::StepWaitsForBudget { .. } => "step.waiting_for_budget",
            Self::MapStarted { .. } => "map.started",
            Self::ReviewRequested { .. } => "review.requested",
            Self::ReviewReminded { .. } => "review.reminded",
            Self::ReviewDecided { .. } => "review.decided",
            Self::Ending { .. } => "job.ending",
            Self::Ended { .. } => "job.ended",
            Self::Cost { .. } => "job.cost",
        }
    }

    /// Whether no event follows.
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}

/// A page of a job's events, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventList {
    /// The events.
    pub events: Vec<EventView>,
    /// For `?after=`: the number of the last event here, or the one that was asked for.
    pub next_after: u64,
    /// Whether the last event of the job is among them, or before them.
    pub ended: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_flat_and_named_by_its_type() {
        let what = EventWhat::StepStarted { step: "code[3]@2".into(), attempt: 1 };
        let json = serde_json::to_value(EventView { seq: 7, at: Time(0), what: what.clone() }).expect("json");
        let flat = serde_json::json!({
            "seq": 7, "at": "1970-01-01T00:00:00.000Z", "type": "step.started", "step": "code[3]@2", "attempt": 1
        });
        assert_eq!(json, flat);
        assert_eq!(json["type"], what.name());
        assert!(EventWhat::TYPES.contains(&what.name()));
    }

    #[test]
    fn each_type_is_one_that_is_read() {
        for name in EventWhat::TYPES {
            let what = serde_json::json!({
                "type": name, "step": "s", "attempt": 1, "not_before": "1970-01-01T00:00:00Z", "stop_reason": "deadline",
                "cause": "", "review": "r", "expired": true, "status": "failed", "spent": {"usd": "0", "tokens": 0}
            });
            let what: EventWhat = serde_json::from_value(what).expect(name);
            assert_eq!(what.name(), name);
        }
    }
}
