//! What chats are told of a job by themselves.
//!
//! One [`card`] per job and chat, edited as the job goes on; a new message when a person is needed ([`review`]) and one at
//! the end ([`end`]). Ends that come faster than a chat takes messages are put together ([`digest`]). A [`batch`] is summed up
//! once all its jobs have ended.

mod card;
mod end;
mod review;
mod run;
#[cfg(test)]
mod tests;

pub use card::card;
pub use end::{DIGEST_JOBS_MAX, End, digest, end};
pub use review::{Occasion, review};
pub use run::{batch, not_started};

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

/// What a notice is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'of> {
    /// The job.
    pub job: &'of JobView,
    /// The token of its buttons in this chat.
    pub token: &'of Token,
    /// Who asked for it, where that was in a chat.
    pub asked_by: Option<&'of str>,
}

fn button(action: Action, token: &Token, look: Look) -> Button {
    Button::new(Press { action, token: token.clone() }, look)
}

impl Subject<'_> {
    /// The job's title, which job it is, and whose.
    fn named(&self) -> Vec<Span> {
        let mut spans = vec![
            Span::bold(clip(&self.job.title, TITLE_UNITS_MAX)),
            Span::text(format!(" · {} · ", clip(&self.job.flow, 60))),
            Span::code(JobName::short(&self.job.id)),
        ];
        spans.extend(self.asked_by.map(|name| Span::text(words::asked_by(name))));
        spans
    }
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
