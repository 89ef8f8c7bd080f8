//! What a schedule started has ended, or couldn't be started.

use convoke_api::schedule::RunView;
use convoke_domain::ids::JobId;

use super::{CAUSE_UNITS_MAX, TITLE_UNITS_MAX};
use crate::command::{JobName, Verb};
use crate::page::{Page, Span, Tone};
use crate::text::clip;
use crate::words;

/// All jobs of a batch have ended. `name` is the schedule's; empty where that is gone.
pub fn batch(name: &str, run: &RunView) -> Page {
    let bad = run.failed + run.refused;
    let tone = if bad > 0 { Tone::Warning } else { Tone::Good };
    let page = named(Page::new(tone, words::batch(run.total, bad)), name).text(words::batch_counts(run));
    refusal(page, run).line([Span::text(words::DIGEST_NEXT), Span::Command(Verb::Status)])
}

/// A follow-up that waited for that job couldn't be started.
pub fn not_started(name: &str, after: &JobId, run: &RunView) -> Page {
    let page = named(Page::new(Tone::Warning, words::NOT_STARTED), name)
        .line([Span::text(words::WAITED_FOR), Span::code(JobName::short(after))]);
    refusal(page, run).line([Span::text(words::NOT_STARTED_NEXT), Span::Command(Verb::ScheduleList)])
}

fn named(page: Page, name: &str) -> Page {
    if name.is_empty() { page } else { page.line([Span::bold(clip(name, TITLE_UNITS_MAX))]) }
}

fn refusal(page: Page, run: &RunView) -> Page {
    match &run.refusal {
        Some(why) => page.item("⚠️", [Span::text(clip(why, CAUSE_UNITS_MAX))]),
        None => page,
    }
}
