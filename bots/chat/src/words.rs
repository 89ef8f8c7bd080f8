//! Every sentence that the bots say. Short, friendly, exact: what is now, what it cost, what can be done next.

mod desk;
mod runs;

pub use desk::*;
pub use runs::*;

use convoke_api::job::{ChangesView, JobView, NodeState};
use convoke_api::money::Amount;
use convoke_api::review::{DecidersView, ReviewState, ReviewView};
use convoke_domain::review::{Decision, DefaultAction};
use convoke_domain::status::{JobStatus, StopReason};

use crate::button::Action;
use crate::command::{Spec, WhenError};
use crate::text::{clip, count};

/// What `/crew` is.
pub const CREW_ABOUT: &str = "Put crews of AI agents to work";
/// What `/crew schedule` is.
pub const SCHEDULE_ABOUT: &str = "Work that starts by the clock";

/// What to write for a budget.
pub const WRITE_DOLLARS: &str = "write US dollars, such as 1.50";
/// A budget of nothing.
pub const BUDGET_OF_NOTHING: &str = "nothing can be done for nothing: write dollars, such as 1.50";
/// What to write for an input.
pub const WRITE_INPUT: &str =
    "write name=value, such as review_plan=true, and the prompt and files in their own places";
/// What to write for a flow.
pub const WRITE_FLOW: &str = "write a flow's name, such as software";

/// A button's label.
pub const fn label(action: Action) -> &'static str {
    match action {
        Action::Stop => "Stop",
        Action::Details => "Details",
        Action::RunAgain => "Run again",
        Action::FollowUp => "Follow up",
        Action::Zip => "Zip",
        Action::Retry => "Retry",
        Action::RaiseBudget => "Retry with twice the budget",
        Action::Approve => "Approve",
        Action::Changes => "Request changes",
        Action::Reject => "Reject",
        Action::Queue => "When it has ended",
        Action::Restart => "Stop it and start now",
    }
}

/// A job's state, in words.
pub const fn state(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Queued => "queued",
        JobStatus::Working => "working",
        JobStatus::AwaitingReview => "waiting for a decision",
        JobStatus::Completed => "done",
        JobStatus::Failed => "failed",
        JobStatus::Cancelled => "stopped",
    }
}

/// Nobody knows this command.
pub fn unknown_command(name: &str) -> String {
    format!("I don't know “{name}”.")
}

/// An option that the command doesn't take.
pub fn unknown_option(name: &str, spec: &Spec) -> String {
    let names: Vec<&str> = spec.options.iter().map(|option| option.name).collect();
    match names.as_slice() {
        [] => format!("{name} isn't an option here: nothing has to be added."),
        names => format!("{name} isn't an option here. There are: {}.", names.join(", ")),
    }
}

/// An option that can't be understood.
pub fn wrong_option(name: &str, text: &str, instead: &str) -> String {
    format!("I can't read the {name} “{text}”: {instead}.")
}

/// An option that has to be there.
pub fn missing_option(name: &str, about: &str) -> String {
    format!("The {name} is missing: {about}.")
}

/// A flag at the end, with nothing behind it.
pub fn flag_without_value(name: &str) -> String {
    format!("Something has to follow --{name}.")
}

/// A time that can't be understood.
pub fn wrong_time(text: &str, error: &WhenError) -> String {
    format!("I can't read a time at the beginning of “{text}”: {error}.")
}

/// More was written than is understood.
pub fn too_much(rest: &str) -> String {
    format!("I don't know what to do with “{rest}”.")
}

/// States that a list can be asked for.
pub fn write_state(states: &[JobStatus]) -> String {
    let names: Vec<&str> = states.iter().map(|status| status.as_str()).collect();
    format!("write one of {}", names.join(", "))
}

/// Before the step that failed.
pub const FAILED_AT: &str = "Failed at ";
/// Before when a job was submitted.
pub const STARTED: &str = "Started ";
/// Behind the files that come with a message.
pub const ATTACHED: &str = " (attached)";
/// What a node shows that waits for a person.
pub const ASKED: &str = "🙋";
/// Before a review's deadline.
pub const DECIDE_UNTIL: &str = "Please decide until ";
/// Behind a thing that is shown in part.
pub const BEGINNING: &str = ", its beginning";
/// What can be done after a digest.
pub const DIGEST_NEXT: &str = "More about one of them: ";

/// What was asked for is under way, and nothing more is to be said of it.
pub const ON_IT: &str = "On it.";
/// What was asked for comes as a message of its own.
pub const TOLD_TO_ALL: &str = "Everybody here is told.";
/// A window can't be opened any more: its platform waits for 3 s.
pub const TOO_SLOW: &str = "That took me too long. Please try again.";
/// The files that belong to an answer didn't get through.
pub const FILES_NOT_SENT: &str = "I couldn't send the files. Please try again.";
/// Neither the channel nor the person takes messages of the bot.
pub const NOWHERE_TO_TELL: &str = "I can write neither here nor to you directly. Allow me to write here, or allow direct \
     messages from this server, and try again.";
/// A button, window or message that no job hangs on.
pub const NOT_MINE: &str = "I don't know what that belongs to any more.";

/// Whose job it is.
pub fn asked_by(name: &str) -> String {
    format!(" · asked by {}", clip(name, 60))
}

/// What is now, of a job, in one line.
pub fn headline(job: &JobView) -> String {
    if job.ending {
        return "⏹️ Ending: putting together what is there".to_owned();
    }
    match job.status {
        JobStatus::Queued => "⏳ Accepted, about to start".to_owned(),
        JobStatus::Working => working(job),
        JobStatus::AwaitingReview => "🙋 Waiting for a decision".to_owned(),
        JobStatus::Completed => match job.warnings.len() {
            0 => "✅ Done".to_owned(),
            warnings => format!("⚠️ Done, with {}", count(warnings, "warning")),
        },
        JobStatus::Failed => {
            format!("❌ Failed: {}", why(job.stop_reason.unwrap_or(StopReason::Internal)))
        }
        JobStatus::Cancelled => "⏹️ Stopped".to_owned(),
    }
}

fn working(job: &JobView) -> String {
    let progress = &job.progress;
    let running = progress.nodes.iter().filter(|node| node.state == NodeState::Running);
    let names: Vec<&str> = running.map(|node| node.id.as_str()).collect();
    let done = format!("{} of {} done", progress.nodes_done, count(progress.nodes_total as usize, "step"));
    match names.as_slice() {
        [] => format!("⚙️ Working · {done}"),
        [name] => format!("⚙️ Working on {} · {done}", clip(name, 60)),
        [name, others @ ..] => format!("⚙️ Working on {} and {} more · {done}", clip(name, 60), others.len()),
    }
}

/// Why a job didn't come to its end.
pub const fn why(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Completed => "it is done",
        StopReason::BudgetExhausted => "the budget is used up",
        StopReason::Deadline => "its time was over",
        StopReason::NoConsensus => "no agreement was reached",
        StopReason::GuardrailFailed => "an answer didn't pass its check",
        StopReason::Rejected => "a person rejected it",
        StopReason::Cancelled => "somebody stopped it",
        StopReason::ModelUnavailable => "the model can't be reached",
        StopReason::ToolFailed => "a tool failed",
        StopReason::LoopDetected => "it went round in circles",
        StopReason::InvalidDefinition => "its flow doesn't fit its input",
        StopReason::Internal => "a mistake of Convoke's",
    }
}

/// What stands before an ended job in a list.
pub fn ended_mark(job: &JobView) -> &'static str {
    summary_mark(job.status, !job.warnings.is_empty())
}

/// What stands before a job in a list.
pub const fn status_mark(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Queued => "⏳",
        JobStatus::Working => "⚙️",
        JobStatus::AwaitingReview => ASKED,
        JobStatus::Completed => "✅",
        JobStatus::Failed => "❌",
        JobStatus::Cancelled => "⏹️",
    }
}

fn summary_mark(status: JobStatus, is_warned: bool) -> &'static str {
    if status == JobStatus::Completed && is_warned { "⚠️" } else { status_mark(status) }
}

/// What stands before a node in a checklist.
pub const fn mark(state: NodeState) -> &'static str {
    match state {
        NodeState::Waiting | NodeState::Ready => "▫️",
        NodeState::Running => "🔄",
        NodeState::AwaitingReview => ASKED,
        NodeState::Completed => "✅",
        NodeState::Failed => "❌",
        NodeState::Skipped => "⏭️",
        NodeState::Stopped => "⏹️",
    }
}

/// What was spent, of what may be.
pub fn spent_of(cost: &Amount, budget: &Amount) -> String {
    format!("${} of ${}", cost.usd, budget.usd)
}

/// How long it took.
pub fn took(duration: &str) -> String {
    format!("Took {duration}")
}

/// The round that a loop is in.
pub fn round(round: u32) -> String {
    format!("round {round}")
}

/// Steps that are done, put together.
pub fn steps_done(number: usize) -> String {
    format!("{} done", count(number, "step"))
}

/// Steps that come later, put together.
pub fn steps_to_come(number: usize) -> String {
    format!("{} to come", count(number, "step"))
}

/// Steps that were never done, put together.
pub fn steps_not_done(number: usize) -> String {
    format!("{} not done", count(number, "step"))
}

/// Behind a list that is cut.
pub fn and_more(number: usize) -> String {
    format!("and {number} more")
}

/// Warnings that aren't shown.
pub fn more_warnings(number: usize) -> String {
    format!("{} more, in REPORT.md", count(number, "warning"))
}

/// There are no files.
pub const fn no_files(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Completed => "It made no files.",
        _ => "Nothing was made yet.",
    }
}

/// How many files there are, and how large together.
pub fn files_made(status: JobStatus, total: u32, size: Option<&str>) -> String {
    let files = count(total as usize, "file");
    let size = size.map(|size| format!(", {size}")).unwrap_or_default();
    match status {
        JobStatus::Completed => format!("{files}{size}"),
        _ => format!("What there is was kept: {files}{size}"),
    }
}

/// What a follow-up changed.
pub fn changes(changes: &ChangesView) -> String {
    let ChangesView { added, changed, removed, .. } = changes;
    if added + changed + removed == 0 {
        return "No file is different from before".to_owned();
    }
    format!("Compared with before: {added} added, {changed} changed, {removed} removed")
}

/// So many jobs have ended.
pub fn digest(ended: usize, failed: usize) -> String {
    match failed {
        0 => format!("✅ {} ended", count(ended, "job")),
        failed => format!("⚠️ {} ended, {failed} of them failed", count(ended, "job")),
    }
}

/// What a review is about, in one line.
pub const fn review_headline(review: &ReviewView, is_reminder: bool) -> &'static str {
    match (review.state, is_reminder) {
        (ReviewState::Requested, false) => "🙋 Your decision is needed",
        (ReviewState::Requested, true) => "🔔 A decision is still needed",
        (ReviewState::Approved, _) => "✅ Approved",
        (ReviewState::ChangesRequested, _) => "✏️ Changes requested",
        (ReviewState::Rejected, _) => "❌ Rejected",
        (ReviewState::Expired, _) => "⌛ Nobody decided in time",
        (ReviewState::Withdrawn, _) => "⏹️ No longer needed",
    }
}

/// What happens where nobody decides in time.
pub const fn otherwise(default: Option<DefaultAction>) -> &'static str {
    match default {
        Some(DefaultAction::Approve) => ". Without a decision it is approved.",
        Some(DefaultAction::Reject) => ". Without a decision it is rejected.",
        None => ". Without a decision the job ends, and what there is is kept.",
    }
}

/// Who may decide.
pub fn who_decides(deciders: &DecidersView) -> String {
    let mut who = Vec::new();
    if deciders.requester {
        who.push("whoever asked for the job".to_owned());
    }
    if !deciders.people.is_empty() {
        who.push(format!("{} named in the flow", count(deciders.people.len(), "person").replace("persons", "people")));
    }
    if deciders.admins {
        who.push("admins of this chat".to_owned());
    }
    if who.is_empty() {
        return "This can be decided by command line or HTTP alone.".to_owned();
    }
    format!("May decide: {}.", who.join(", "))
}

/// Who decided what.
pub fn outcome(review: &ReviewView) -> String {
    let by = review.decided_by.as_deref().map(|by| format!(" by {}", clip(by, 60))).unwrap_or_default();
    match (review.state, review.decision) {
        (ReviewState::Requested, _) => "It is open".to_owned(),
        (ReviewState::Approved, _) => format!("Approved{by}"),
        (ReviewState::ChangesRequested, _) => format!("Changes requested{by}"),
        (ReviewState::Rejected, _) => format!("Rejected{by}"),
        (ReviewState::Expired, Some(Decision::Approve)) => "Nobody decided in time: it counts as approved".to_owned(),
        (ReviewState::Expired, Some(_)) => "Nobody decided in time: it counts as rejected".to_owned(),
        (ReviewState::Expired, None) => "Nobody decided in time: the job has ended".to_owned(),
        (ReviewState::Withdrawn, _) => "The job ended before anybody decided".to_owned(),
    }
}

/// A file came, and nobody said what for.
pub const FILE_WITHOUT_WORDS: &str = "What is to be done with it? Send it again with words under it.";
/// A file came with what takes none.
pub const NO_FILE_HERE: &str =
    "A file can't go along with this. Send your words without it, or start a new job with the file.";
