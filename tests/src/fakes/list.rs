//! The row that a job's changes leave in the list.

use convoke_app::ports::{JobFilter, JobHead, JobRow};
use convoke_domain::group::Group;
use convoke_domain::ids::JobId;
use convoke_domain::status::{JobStatus, StopReason};

/// The row of a job that was just submitted.
pub(crate) fn submitted(job: &JobId, head: &JobHead, group: &Group) -> JobRow {
    JobRow {
        id: job.clone(),
        status: group.root().map_or(JobStatus::Queued, |root| root.status),
        stop_reason: None,
        flow: head.flow.clone(),
        title: head.title.clone(),
        cost: None,
        created_ms: group.root().map_or(0, |root| root.created_ms),
    }
}

/// The row after a change to that state: reason and cost are as they stand when the job ends.
pub(crate) fn moved(row: &mut JobRow, status: JobStatus, group: &Group) {
    row.status = status;
    if status.is_terminal() {
        row.stop_reason = Some(group.ending.as_ref().map_or(reason_of(status), |ending| ending.reason));
        row.cost = Some(group.spent);
    }
}

/// Why a job ended that was never told to end.
const fn reason_of(status: JobStatus) -> StopReason {
    match status {
        JobStatus::Completed => StopReason::Completed,
        JobStatus::Cancelled => StopReason::Cancelled,
        JobStatus::Queued | JobStatus::Working | JobStatus::AwaitingReview | JobStatus::Failed => StopReason::Internal,
    }
}

/// Whether a list shows the row.
pub(crate) fn passes(row: &JobRow, filter: &JobFilter) -> bool {
    filter.status.is_none_or(|status| row.status == status)
        && filter.flow.as_ref().is_none_or(|flow| row.flow == *flow)
        && filter.created_after_ms.is_none_or(|after_ms| row.created_ms >= after_ms)
}
