//! What chats are told of a job by themselves.
//!
//! One [`card`] per job and chat, edited as the job goes on; a new message when a person is needed ([`review`]) and one at
//! the end ([`end`]). Ends that come faster than a chat takes messages are put together ([`digest`]).

mod card;
mod end;
mod review;
#[cfg(test)]
mod tests;

pub use card::card;
pub use end::{DIGEST_JOBS_MAX, digest, end};
pub use review::{Occasion, review};

use convoke_api::job::JobView;
use convoke_domain::status::{JobStatus, StopReason};

use crate::button::{Action, Press, Token};
use crate::command::JobName;
use crate::page::{Button, Look, Page, Span, Tone};
use crate::text::clip;
use crate::words;

/// Longest title of a job that is shown, in units of UTF-16.
pub(crate) const TITLE_UNITS_MAX: usize = 200;
/// Longest cause or warning.
pub(crate) const CAUSE_UNITS_MAX: usize = 300;
/// Warnings that are shown one by one.
const WARNINGS_MAX: usize = 3;

fn button(action: Action, token: &Token, look: Look) -> Button {
    Button::new(Press { action, token: token.clone() }, look)
}

/// The job's title, and which job it is.
fn named(job: &JobView) -> [Span; 3] {
    [
        Span::bold(clip(&job.title, TITLE_UNITS_MAX)),
        Span::text(format!(" · {} · ", clip(&job.flow, 60))),
        Span::code(JobName::short(&job.id)),
    ]
}

/// How it looks from afar.
fn tone(job: &JobView) -> Tone {
    match job.status {
        JobStatus::Queued | JobStatus::Working => Tone::Busy,
        JobStatus::AwaitingReview => Tone::Asking,
        JobStatus::Completed if job.warnings.is_empty() => Tone::Good,
        JobStatus::Completed => Tone::Warning,
        JobStatus::Failed => Tone::Bad,
        JobStatus::Cancelled => Tone::Plain,
    }
}

/// Why it failed: the cause in words, and the step.
fn with_cause(page: Page, job: &JobView) -> Page {
    if job.status != JobStatus::Failed {
        return page;
    }
    let Some(cause) = job.cause.as_deref() else { return page };
    let cause = Span::text(clip(cause, CAUSE_UNITS_MAX));
    match job.failed_step.as_deref() {
        Some(step) => page.line([Span::text(words::FAILED_AT), Span::code(step), Span::text(": "), cause]),
        None => page.line([cause]),
    }
}

fn with_warnings(page: Page, job: &JobView) -> Page {
    let shown = job.warnings.iter().take(WARNINGS_MAX);
    let page = shown.fold(page, |page, warning| page.item("⚠️", [Span::text(clip(warning, CAUSE_UNITS_MAX))]));
    match job.warnings.len().saturating_sub(WARNINGS_MAX) {
        0 => page,
        more => page.item("⚠️", [Span::text(words::more_warnings(more))]),
    }
}

/// The one button that can help a job that didn't come to its end.
const fn helps(reason: StopReason) -> Option<Action> {
    match reason {
        StopReason::BudgetExhausted => Some(Action::RaiseBudget),
        StopReason::Deadline
        | StopReason::ModelUnavailable
        | StopReason::ToolFailed
        | StopReason::LoopDetected
        | StopReason::NoConsensus
        | StopReason::GuardrailFailed
        | StopReason::Cancelled
        | StopReason::Internal => Some(Action::Retry),
        StopReason::Rejected => Some(Action::FollowUp),
        StopReason::InvalidDefinition | StopReason::Completed => None,
    }
}
