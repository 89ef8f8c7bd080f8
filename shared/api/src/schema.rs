//! Schemas of types that live in the domain, which knows nothing of `OpenAPI`.

use convoke_domain::review::{Decision, DefaultAction};
use convoke_domain::schedule::Overlap;
use convoke_domain::status::{JobStatus, StopReason};
use utoipa::openapi::Object;
use utoipa::openapi::schema::Type;

/// All states of a job.
pub const JOB_STATUSES: [JobStatus; 6] = [
    JobStatus::Queued,
    JobStatus::Working,
    JobStatus::AwaitingReview,
    JobStatus::Completed,
    JobStatus::Failed,
    JobStatus::Cancelled,
];

/// All reasons for which a job ends.
pub const STOP_REASONS: [StopReason; 12] = [
    StopReason::Completed,
    StopReason::BudgetExhausted,
    StopReason::Deadline,
    StopReason::NoConsensus,
    StopReason::GuardrailFailed,
    StopReason::Rejected,
    StopReason::Cancelled,
    StopReason::ModelUnavailable,
    StopReason::ToolFailed,
    StopReason::LoopDetected,
    StopReason::InvalidDefinition,
    StopReason::Internal,
];

/// Schema of a job's id.
pub(crate) fn job_id() -> Object {
    let example = serde_json::Value::from("01KAJ0X5T3ZQ4V8N2M6R7W9YBC");
    let pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$";
    Object::builder().schema_type(Type::String).pattern(Some(pattern)).examples([example]).build()
}

/// Schema of a webhook's id.
pub(crate) fn webhook_id() -> Object {
    let example = serde_json::Value::from("wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC");
    let pattern = "^wh_[0-7][0-9A-HJKMNP-TV-Z]{25}$";
    Object::builder().schema_type(Type::String).pattern(Some(pattern)).examples([example]).build()
}

/// Schema of a job's state.
pub(crate) fn job_status() -> Object {
    let values = JOB_STATUSES.map(JobStatus::as_str);
    Object::builder().schema_type(Type::String).enum_values(Some(values)).build()
}

/// Schema of a stop reason.
pub(crate) fn stop_reason() -> Object {
    let values = STOP_REASONS.map(StopReason::as_str);
    Object::builder().schema_type(Type::String).enum_values(Some(values)).build()
}

/// Schema of what happens to a tick while earlier work goes on.
pub(crate) fn overlap() -> Object {
    let values = [Overlap::Skip, Overlap::Queue, Overlap::Allow].map(Overlap::as_str);
    Object::builder().schema_type(Type::String).enum_values(Some(values)).build()
}

/// Schema of what a person decides.
pub(crate) fn decision() -> Object {
    let values = Decision::ALL.map(Decision::as_str);
    Object::builder().schema_type(Type::String).enum_values(Some(values)).build()
}

/// Schema of what counts where nobody decides.
pub(crate) fn default_action() -> Object {
    let values = [DefaultAction::Approve, DefaultAction::Reject].map(DefaultAction::as_str);
    Object::builder().schema_type(Type::String).enum_values(Some(values)).build()
}
