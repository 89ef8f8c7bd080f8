//! What is said to commands and buttons.

use convoke_api::artifact::ArtifactList;
use convoke_api::job::{JobSummary, JobView};
use convoke_api::schedule::ScheduleView;
use convoke_api::step::{StepState, StepView};
use convoke_domain::ids::JobId;
use convoke_domain::money::MicroUsd;

use crate::button::{Action, Ask, Press, Token};
use crate::command::{COMMANDS, JobName, Misread, Verb};
use crate::notice::{self, Subject};
use crate::page::{Button, Look, Page, Span, Tone};
use crate::reply::Question;
use crate::text::{clip, count, size};
use crate::words;

/// Rows of a list.
pub const ROWS_MAX: usize = 15;
const ROW_UNITS_MAX: usize = 80;
const PATH_UNITS_MAX: usize = 150;

/// What can be asked for.
pub fn help() -> Page {
    let told = COMMANDS.iter().filter(|spec| spec.verb != Verb::Start);
    let page = told.fold(Page::new(Tone::Plain, words::HELP), |page, spec| {
        page.line([Span::Command(spec.verb), Span::text(format!(" · {}", spec.about))])
    });
    page.gap().text(words::HELP_NEXT)
}

/// The greeting of a chat that is linked.
pub fn hello() -> Page {
    Page::new(Tone::Plain, words::HELLO)
        .text(words::HELLO_NEXT)
        .line([Span::text(words::LINKED_NEXT), Span::Usage(Verb::Run)])
        .line([Span::text("More: "), Span::Command(Verb::Help)])
}

/// What can't be understood, and how it is written.
pub fn misread(misread: &Misread) -> Page {
    let page = Page::new(Tone::Warning, words::MISREAD).text(misread.what.clone());
    match misread.verb {
        Some(verb) => page.line([Span::text(words::WRITE_IT_SO), Span::Usage(verb)]),
        None => page.line([Span::text("What there is: "), Span::Command(Verb::Help)]),
    }
}

/// The chat isn't linked.
pub fn not_linked() -> Page {
    Page::new(Tone::Warning, words::NOT_LINKED).line([
        Span::text(words::HOW_TO_LINK),
        Span::text(" "),
        Span::Usage(Verb::Link),
    ])
}

/// The chat is linked now.
pub fn linked() -> Page {
    Page::new(Tone::Good, words::LINKED).line([Span::text(words::LINKED_NEXT), Span::Usage(Verb::Run)])
}

/// The chat isn't linked any more.
pub fn unlinked() -> Page {
    Page::new(Tone::Plain, words::UNLINKED).text(words::UNLINKED_NEXT)
}

/// The chat belongs to somebody else.
pub fn linked_elsewhere() -> Page {
    Page::new(Tone::Warning, words::CANT)
        .line([Span::text(words::LINKED_ELSEWHERE), Span::text(" "), Span::Command(Verb::Unlink)])
        .text(words::CODE_BURNT)
}

/// Something that can't be done, with all that is wrong with it.
pub fn cant(reasons: impl IntoIterator<Item = String>) -> Page {
    let page = Page::new(Tone::Warning, words::CANT);
    reasons.into_iter().take(5).fold(page, Page::text)
}

/// A short answer.
pub fn short(title: &str, next: &str) -> Page {
    let page = Page::new(Tone::Plain, title);
    if next.is_empty() { page } else { page.text(next) }
}

/// A job was accepted, perhaps by an earlier try of the same request.
pub fn accepted(id: &JobId, title: &str, is_replay: bool) -> Page {
    let said = if is_replay { words::ACCEPTED_BEFORE } else { words::ACCEPTED };
    Page::new(Tone::Good, said)
        .line([Span::bold(clip(title, ROW_UNITS_MAX)), Span::text(" · "), Span::code(JobName::short(id))])
        .text(words::ACCEPTED_NEXT)
}

/// A job is about to be stopped.
pub fn stopping(id: &JobId) -> Page {
    Page::new(Tone::Plain, words::STOPPING)
        .line([Span::code(JobName::short(id)), Span::text(format!(": {}", words::STOPPING_NEXT))])
}

/// Several jobs.
pub fn jobs(title: &str, jobs: &[JobSummary]) -> Page {
    if jobs.is_empty() {
        return Page::new(Tone::Plain, words::NO_JOBS).line([
            Span::text(words::FIRST_JOB),
            Span::text(" "),
            Span::Usage(Verb::Run),
        ]);
    }
    let page = Page::new(Tone::Plain, title);
    let page = jobs.iter().take(ROWS_MAX).fold(page, |page, job| {
        let cost = job.cost.as_ref().map(|cost| format!(" · ${}", cost.usd)).unwrap_or_default();
        page.item(
            words::status_mark(job.status),
            [
                Span::code(JobName::short(&job.id)),
                Span::text(" "),
                Span::bold(clip(&job.title, ROW_UNITS_MAX)),
                Span::text(format!(" · {}{cost}", words::state(job.status))),
            ],
        )
    });
    match jobs.len().saturating_sub(ROWS_MAX) {
        0 => page,
        more => page.text(words::and_more(more)),
    }
}

/// Several jobs could be meant by a command.
pub fn which(verb: Verb, candidates: &[JobSummary]) -> Page {
    let page = jobs(words::WHICH_JOB, candidates);
    let Some(first) = candidates.first() else { return page };
    let said = [
        Span::text(words::WHICH_JOB_NEXT),
        Span::text(" "),
        Span::Command(verb),
        Span::text(" "),
        Span::code(JobName::short(&first.id)),
    ];
    page.gap().line(said)
}

/// No job is meant.
pub fn no_job() -> Page {
    Page::new(Tone::Warning, words::NO_SUCH_JOB).line([Span::text("Those that there are: "), Span::Command(Verb::List)])
}

/// No job is one to which this can be done.
pub fn no_job_fits() -> Page {
    Page::new(Tone::Warning, words::NO_JOB_FITS).line([Span::text("Those that there are: "), Span::Command(Verb::List)])
}

/// A button that stands for nothing any more.
pub fn old_button() -> Page {
    Page::new(Tone::Warning, words::OLD_BUTTON).line([Span::text(words::OLD_BUTTON_NEXT), Span::Command(Verb::List)])
}

/// How a job stands, step by step.
pub fn details(subject: &Subject<'_>, steps: &[StepView], now_ms: u64) -> Page {
    let job = subject.job;
    let mut page = notice::card(subject, now_ms);
    page = page.gap().line([Span::text("Job "), Span::code(job.id.as_str())]);
    page = page.text(format!(
        "Model {} · {}",
        clip(&job.model, 60),
        words::cost(&job.cost.usd, &job.budget.usd, job.cost.tokens)
    ));
    if !job.status.is_terminal() {
        page = page.line([Span::text("Its time is over "), Span::Relative { at_ms: job.deadline_at.0, now_ms }]);
    }
    let shown = steps.iter().filter(|step| step.state != StepState::Completed).take(ROWS_MAX);
    shown.fold(page, |page, step| {
        let attempt = if step.attempt > 1 { format!(" · attempt {}", step.attempt) } else { String::new() };
        let why = step.error.as_deref().map(|why| format!(" · {}", clip(why, 150))).unwrap_or_default();
        page.item("•", [Span::code(clip(&step.step, 60)), Span::text(format!("{attempt}{why}"))])
    })
}

/// A job's files.
pub fn files(job: &JobView, files: &ArtifactList, token: &Token) -> Page {
    if !files.is_final {
        return short(words::NO_FILES_YET, "");
    }
    let title = if files.total == 0 { "No files".to_owned() } else { count(files.total as usize, "file") };
    let page = Page::new(Tone::Plain, title).line([Span::bold(clip(&job.title, ROW_UNITS_MAX))]);
    let page = files.artifacts.iter().take(ROWS_MAX).fold(page, |page, file| {
        page.item("📄", [Span::code(clip(&file.path, PATH_UNITS_MAX)), Span::text(format!(" · {}", size(file.bytes)))])
    });
    let page = match (files.total as usize).saturating_sub(ROWS_MAX) {
        0 => page,
        more => page.text(words::and_more(more)),
    };
    if files.total == 0 {
        return page;
    }
    let page = page.line([Span::text(words::ONE_FILE), Span::Usage(Verb::Artifacts)]);
    page.row([Button::new(Press { action: Action::Zip, token: token.clone() }, Look::First)])
}

/// A file behind a link.
pub fn file_link(path: &str, url: &str, bytes: u64) -> Page {
    let label = format!("{}, {}", clip(path, PATH_UNITS_MAX), size(bytes));
    Page::new(Tone::Plain, words::FILE_LINK).line([Span::Link { label, url: url.to_owned() }]).text(words::LINK_TTL)
}

/// What others mustn't see was sent to whoever asked.
pub fn said_alone() -> Page {
    short(words::SAID_ALONE, "")
}

/// It can't be: they have to write to the bot first, which is called so.
pub fn cant_say_alone(bot: &str) -> Page {
    let talk = Span::Link { label: format!("t.me/{bot}"), url: format!("https://t.me/{bot}") };
    Page::new(Tone::Warning, words::CANT_SAY_ALONE).line([Span::text(words::CANT_SAY_ALONE_NEXT), talk])
}

/// A file that is too large to be sent, where nobody outside can follow a link: where it is on the machine.
pub fn file_on_host(path: &str, bytes: u64, place: &str) -> Page {
    Page::new(Tone::Plain, words::FILE_ON_HOST)
        .line([Span::code(clip(path, PATH_UNITS_MAX)), Span::text(format!(" · {}", size(bytes)))])
        .line([Span::text(words::ON_THE_MACHINE), Span::code(place)])
}

/// A file that comes with the message.
pub fn file_attached(path: &str, bytes: u64) -> Page {
    let name = [Span::code(clip(path, PATH_UNITS_MAX)), Span::text(format!(" · {}", size(bytes)))];
    Page::new(Tone::Plain, words::FILE_ATTACHED).line(name)
}

/// The job has made no such file.
pub fn no_file(path: &str) -> Page {
    Page::new(Tone::Warning, words::NO_SUCH_FILE)
        .line([Span::code(clip(path, PATH_UNITS_MAX))])
        .line([Span::text("Those that there are: "), Span::Command(Verb::Artifacts)])
}

/// What one job cost.
pub fn cost(job: &JobView) -> Page {
    let page = Page::new(Tone::Plain, words::cost(&job.cost.usd, &job.budget.usd, job.cost.tokens));
    page.line([Span::bold(clip(&job.title, ROW_UNITS_MAX)), Span::text(" · "), Span::code(JobName::short(&job.id))])
        .text(format!("Model {}", clip(&job.model, 60)))
}

/// What the latest jobs cost.
pub fn costs(jobs: &[JobSummary]) -> Page {
    let ended: Vec<&JobSummary> = jobs.iter().filter(|job| job.cost.is_some()).collect();
    let usd = |job: &JobSummary| job.cost.as_ref().and_then(|cost| cost.usd.parse::<MicroUsd>().ok());
    let total = ended.iter().filter_map(|job| usd(job)).fold(MicroUsd::ZERO, |sum, usd| sum + usd);
    if ended.is_empty() {
        return Page::new(Tone::Plain, words::NONE_ENDED).line([Span::text("One job: "), Span::Usage(Verb::Cost)]);
    }
    let page = Page::new(Tone::Plain, words::total(ended.len(), &total.to_string()));
    let page = ended.iter().take(ROWS_MAX).fold(page, |page, job| {
        let cost = job.cost.as_ref().map(|cost| format!(" · ${}", cost.usd)).unwrap_or_default();
        page.item(
            words::status_mark(job.status),
            [Span::code(JobName::short(&job.id)), Span::text(format!(" {}{cost}", clip(&job.title, ROW_UNITS_MAX)))],
        )
    });
    page.line([Span::text("One of them: "), Span::Usage(Verb::Cost)])
}

/// A follow-up of a job that still runs.
pub fn still_runs(token: &Token) -> Page {
    let button = |action, look| Button::new(Press { action, token: token.clone() }, look);
    Page::new(Tone::Asking, words::STILL_RUNS)
        .text(words::STILL_RUNS_NEXT)
        .row([button(Action::Queue, Look::First), button(Action::Restart, Look::Danger)])
}

/// A follow-up waits until its job has ended.
pub fn queued(schedule: &ScheduleView) -> Page {
    Page::new(Tone::Plain, words::QUEUED)
        .line(scheduled_spans(schedule))
        .line([Span::text(words::QUEUED_NEXT), Span::Command(Verb::ScheduleList)])
}

/// Schedules.
pub fn schedules(schedules: &[ScheduleView]) -> Page {
    if schedules.is_empty() {
        return Page::new(Tone::Plain, words::NO_SCHEDULES)
            .line([Span::text("Make one: "), Span::Usage(Verb::ScheduleCreate)]);
    }
    let page = Page::new(Tone::Plain, words::SCHEDULES);
    let page = schedules.iter().take(ROWS_MAX).fold(page, |page, schedule| {
        let mark = if schedule.paused { "⏸️" } else { "🗓️" };
        page.item(mark, scheduled_spans(schedule))
    });
    page.line([
        Span::Command(Verb::SchedulePause),
        Span::text(", "),
        Span::Command(Verb::ScheduleResume),
        Span::text(", "),
        Span::Command(Verb::ScheduleDelete),
    ])
}

/// A schedule, after something was done to it.
pub fn schedule(title: &str, next: &str, schedule: &ScheduleView) -> Page {
    let page = Page::new(Tone::Plain, title).line(scheduled_spans(schedule));
    if next.is_empty() { page } else { page.text(next) }
}

/// No schedule is called so.
pub fn no_schedule() -> Page {
    Page::new(Tone::Warning, words::NO_SUCH_SCHEDULE)
        .line([Span::text("Those that there are: "), Span::Command(Verb::ScheduleList)])
}

fn scheduled_spans(schedule: &ScheduleView) -> Vec<Span> {
    let short = &schedule.id[schedule.id.len().saturating_sub(JobName::CHARS_SHOWN)..];
    let when = match (&schedule.cron, schedule.every_s) {
        (Some(cron), _) => format!("{cron} {}", schedule.time_zone.as_deref().unwrap_or("UTC")),
        (None, Some(s)) => crate::command::When::Every(s).to_string(),
        (None, None) => words::once_after(schedule.after.as_ref().map_or("", JobName::short)),
    };
    let mut spans = vec![
        Span::code(short),
        Span::text(" "),
        Span::bold(clip(&schedule.name, ROW_UNITS_MAX)),
        Span::text(" · "),
        Span::code(when),
    ];
    if let Some(next) = schedule.next_runs.first() {
        spans.extend([Span::text(" · next "), Span::Moment(next.0)]);
    }
    if let Some(refusal) = &schedule.refusal {
        spans.push(Span::text(words::could_not_start(refusal)));
    }
    spans
}

/// What is wanted of a new job.
pub fn ask_run(ask: Ask) -> Question {
    question(ask, (words::ASK_TITLE, words::ASK_LABEL), words::ASK_PLACEHOLDER)
}

/// What is wanted next.
pub fn ask_follow_up(ask: Ask) -> Question {
    question(ask, (words::FOLLOW_UP_TITLE, words::FOLLOW_UP_LABEL), words::FOLLOW_UP_PLACEHOLDER)
}

/// What is to be changed.
pub fn ask_changes(ask: Ask) -> Question {
    question(ask, (words::CHANGES_TITLE, words::CHANGES_LABEL), words::CHANGES_PLACEHOLDER)
}

/// What is to be added to a job that starts again.
pub fn ask_restart(ask: Ask) -> Question {
    question(ask, (words::RESTART_TITLE, words::RESTART_LABEL), words::FOLLOW_UP_PLACEHOLDER)
}

fn question(ask: Ask, (title, label): (&str, &str), placeholder: &str) -> Question {
    Question { ask, title: title.to_owned(), label: label.to_owned(), placeholder: placeholder.to_owned() }
}
