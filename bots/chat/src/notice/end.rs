//! The end: a new message, since edits tell nobody. At most five lines, and what can be done next.

use convoke_api::artifact::ArtifactView;
use convoke_api::job::{ChangeKind, ChangesView, JobView};
use convoke_domain::status::JobStatus;

use super::{Subject, TITLE_UNITS_MAX, button, helps, tone, with_cause, with_warnings};
use crate::button::Action;
use crate::command::{JobName, Verb};
use crate::page::{Look, Page, Span, Tone};
use crate::text::{clip, duration, size};
use crate::words;

/// Files that are named; the others are counted.
const FILES_MAX: usize = 5;
/// Jobs that a digest names; what is beyond is for the next one.
pub const DIGEST_JOBS_MAX: usize = 20;

/// What came of a job.
#[derive(Clone, Copy, Debug, Default)]
pub struct End<'of> {
    /// In the model's own words.
    pub summary: Option<&'of str>,
    /// Its files by path, as far as they are known here.
    pub files: &'of [ArtifactView],
    /// How many there are in all.
    pub files_total: u32,
    /// Whether files come with the message.
    pub is_attached: bool,
}

/// A job's end.
pub fn end(subject: &Subject<'_>, end: &End<'_>) -> Page {
    let job = subject.job;
    let page = Page::new(tone(job), words::headline(job)).line(subject.named());
    let page = with_cause(page, job);
    let page = match end.summary.map(first_lines) {
        Some(summary) if !summary.is_empty() => page.quote(summary),
        _ => page,
    };
    let page = made(page, job, end);
    let page = match &job.changes {
        Some(changes) => changed(page, changes),
        None => page,
    };
    let page = with_warnings(page, job).text(took(job));
    buttons(page, subject, end)
}

/// At most so many lines of a summary, and so many units.
const SUMMARY_LINES_MAX: usize = 5;
const SUMMARY_UNITS_MAX: usize = 800;

fn first_lines(summary: &str) -> String {
    let lines: Vec<&str> = summary.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let shown = lines.iter().take(SUMMARY_LINES_MAX).copied().collect::<Vec<_>>().join("\n");
    let shown = clip(&shown, SUMMARY_UNITS_MAX);
    if lines.len() > SUMMARY_LINES_MAX && !shown.ends_with('…') { format!("{shown} …") } else { shown }
}

fn took(job: &JobView) -> String {
    let ended = job.ended_at.unwrap_or(job.updated_at);
    let took = words::took(&duration(ended.0.saturating_sub(job.created_at.0)));
    format!("{took} · {}", words::spent_of(&job.cost, &job.budget))
}

/// What was made, or, of a job that failed, what was kept.
fn made(page: Page, job: &JobView, end: &End<'_>) -> Page {
    if end.files_total == 0 {
        return page.text(words::no_files(job.status));
    }
    let bytes: u64 = end.files.iter().map(|file| file.bytes).sum();
    let bytes = (end.files.len() == end.files_total as usize).then(|| size(bytes));
    let mut spans = vec![Span::text(words::files_made(job.status, end.files_total, bytes.as_deref()))];
    for (index, file) in best(end.files).into_iter().enumerate() {
        spans.push(Span::text(if index == 0 { ": " } else { ", " }));
        spans.push(Span::code(clip(file, 100)));
    }
    if end.files_total as usize > FILES_MAX {
        spans.push(Span::text(", …"));
    }
    if end.is_attached {
        spans.push(Span::text(words::ATTACHED));
    }
    page.line(spans)
}

/// The files that say most about what was made: not those that every job makes.
fn best(files: &[ArtifactView]) -> Vec<&str> {
    let is_of_every_job = |path: &str| matches!(path, "archive.zip" | "PROJECT_TREE.txt" | "REPORT.md");
    let (every, own): (Vec<&str>, Vec<&str>) =
        files.iter().map(|file| file.path.as_str()).partition(|path| is_of_every_job(path));
    own.into_iter().chain(every).take(FILES_MAX).collect()
}

/// What a follow-up changed.
fn changed(page: Page, changes: &ChangesView) -> Page {
    let mut spans = vec![Span::text(words::changes(changes))];
    for (index, file) in changes.files.iter().take(FILES_MAX).enumerate() {
        let sign = match file.change {
            ChangeKind::Added => "+",
            ChangeKind::Changed => "~",
            ChangeKind::Removed => "−",
        };
        spans.push(Span::text(if index == 0 { ": " } else { ", " }));
        spans.push(Span::code(format!("{sign} {}", clip(&file.path, 100))));
    }
    if changes.files.len() > FILES_MAX {
        spans.push(Span::text(", …"));
    }
    page.line(spans)
}

fn buttons(page: Page, subject: &Subject<'_>, end: &End<'_>) -> Page {
    let Subject { job, token, .. } = *subject;
    let has_files = end.files_total > 0;
    let zip = has_files.then(|| button(Action::Zip, token, Look::Plain));
    if job.status == JobStatus::Completed {
        let again = button(Action::RunAgain, token, Look::Plain);
        let follow_up = button(Action::FollowUp, token, Look::First);
        return page.row([Some(follow_up), Some(again), zip].into_iter().flatten());
    }
    let help = job.stop_reason.and_then(helps).filter(|action| has_files || *action != Action::FollowUp);
    page.row([help.map(|action| button(action, token, Look::First)), zip].into_iter().flatten())
}

/// Ends that came faster than a chat takes messages: each job once, at most [`DIGEST_JOBS_MAX`].
pub fn digest(ended: &[JobView]) -> Page {
    let is_bad = |job: &&JobView| job.status == JobStatus::Failed;
    let bad = ended.iter().filter(is_bad).count();
    let tone = if bad > 0 { Tone::Warning } else { Tone::Good };
    let page = Page::new(tone, words::digest(ended.len(), bad));
    let page = ended.iter().take(DIGEST_JOBS_MAX).fold(page, |page, job| {
        let why = match (job.status, job.stop_reason) {
            (JobStatus::Failed, Some(reason)) => format!(": {}", words::why(reason)),
            _ => String::new(),
        };
        page.item(
            words::ended_mark(job),
            [
                Span::code(JobName::short(&job.id)),
                Span::text(" "),
                Span::bold(clip(&job.title, TITLE_UNITS_MAX / 4)),
                Span::text(format!("{why} · ${}", job.cost.usd)),
            ],
        )
    });
    page.line([Span::text(words::DIGEST_NEXT), Span::Command(Verb::Status)])
}

#[cfg(test)]
mod tests {
    use convoke_domain::status::StopReason;

    use super::*;

    #[test]
    fn every_failure_is_offered_what_helps() {
        assert_eq!(helps(StopReason::BudgetExhausted), Some(Action::RaiseBudget));
        assert_eq!(helps(StopReason::ModelUnavailable), Some(Action::Retry));
        assert_eq!(helps(StopReason::InvalidDefinition), None, "the same again would fail again");
    }
}
