//! What the desk says: answers to commands and buttons.

use convoke_domain::review::Decision;
use convoke_domain::status::JobStatus;

use super::state;
use crate::text::{clip, count};

/// Longest reason that a list shows.
const REFUSAL_UNITS_MAX: usize = 160;

/// A button whose token stands for nothing any more.
pub const OLD_BUTTON: &str = "This button doesn't work any more";
/// Why, and what to do about it.
pub const OLD_BUTTON_NEXT: &str =
    "Its job is gone, the chat was connected anew, or the button is older than half a year. The jobs that there are: ";
/// The chat isn't linked.
pub const NOT_LINKED: &str = "This chat isn't connected to Convoke yet";
/// How to link it.
pub const HOW_TO_LINK: &str =
    "Whoever runs Convoke types “convoke link” in a terminal. Send the code that it prints here:";
/// Only admins link.
pub const ADMINS_LINK: &str = "Only admins of this chat can connect or disconnect it.";
/// Linked.
pub const LINKED: &str = "✅ Connected. Jobs that are asked for here are paid by whoever made the code";
/// What comes after linking.
pub const LINKED_NEXT: &str = "Try it: ";
/// It is linked to somebody else.
pub const LINKED_ELSEWHERE: &str =
    "This chat is connected to somebody else's Convoke. It has to be disconnected first:";
/// A code that was typed where it can't be used.
pub const CODE_BURNT: &str =
    "A code that was shown here doesn't work any more: others may have seen it. “convoke link” prints another one.";
/// The code is none.
pub const NO_SUCH_CODE: &str =
    "This code doesn't work: it was used already, or is older than 15 minutes. “convoke link” prints another one.";
/// Unlinked.
pub const UNLINKED: &str = "Disconnected";
/// What that means.
pub const UNLINKED_NEXT: &str = "Jobs that run go on, but nothing is told here any more.";
/// A chat whose connection is gone.
pub const WAS_NOT_LINKED: &str = "This chat wasn't connected.";
/// Only admins may submit.
pub const ADMINS_ONLY: &str = "Only admins of this chat may start work here.";
/// Somebody isn't the one who may.
pub const NOT_YOURS: &str = "Only whoever asked for this job, or an admin of this chat, may do that.";
/// A question for a job's prompt.
pub const ASK_TITLE: &str = "What shall be made?";
/// Its label.
pub const ASK_LABEL: &str = "In your words, as long as you like";
/// What could be written.
pub const ASK_PLACEHOLDER: &str = "Create a REST API for a todo application";
/// A question for a follow-up.
pub const FOLLOW_UP_TITLE: &str = "What shall be different?";
/// Its label.
pub const FOLLOW_UP_LABEL: &str = "The crew starts from the files as they are";
/// What could be written.
pub const FOLLOW_UP_PLACEHOLDER: &str = "Add tests for the errors";
/// A question for changes.
pub const CHANGES_TITLE: &str = "What shall be changed?";
/// Its label.
pub const CHANGES_LABEL: &str = "What you want to be different";
/// What could be written.
pub const CHANGES_PLACEHOLDER: &str = "Use SQLite instead of files";
/// A question for a restart.
pub const RESTART_TITLE: &str = "What shall be added?";
/// Its label.
pub const RESTART_LABEL: &str = "Added to what was asked for before";
/// A follow-up of a job that runs.
pub const STILL_RUNS: &str = "This job is still at work";
/// What can be done about it.
pub const STILL_RUNS_NEXT: &str =
    "Wait until it has ended and go on from its files, or stop it now and start again with what you add.";
/// A follow-up waits.
pub const QUEUED: &str = "All right: nothing is stopped";
/// What that means.
pub const QUEUED_NEXT: &str =
    "It starts within two minutes of the job's end, and is told here. Until then it stands among the schedules: ";
/// A job was accepted.
pub const ACCEPTED: &str = "✅ Accepted";
/// What happens then.
pub const ACCEPTED_NEXT: &str = "Its card shows how it goes, and a new message tells when it has ended.";
/// It had been accepted before.
pub const ACCEPTED_BEFORE: &str = "✅ Accepted already";
/// A job is about to be stopped.
pub const STOPPING: &str = "⏹️ Stopping";
/// What happens then.
pub const STOPPING_NEXT: &str = "Nothing more is started. What is done is kept, and comes with its last message.";
/// There is no such job.
pub const NO_SUCH_JOB: &str = "There is no such job";
/// No job fits at all.
pub const NO_JOB_FITS: &str = "There is no job to which this applies";
/// Several jobs could be meant.
pub const WHICH_JOB: &str = "Which job?";
/// How to say which.
pub const WHICH_JOB_NEXT: &str = "Say which by the end of its id:";
/// Nothing has been asked for yet.
pub const NO_JOBS: &str = "No jobs yet";
/// What to do about it.
pub const FIRST_JOB: &str = "Start the first one:";
/// A list of jobs.
pub const JOBS: &str = "The latest jobs";
/// A file that can be fetched by a link.
pub const FILE_LINK: &str = "Here it is";
/// How long a link works.
pub const LINK_TTL: &str = "The link works without a key, for 15 minutes: pass it on with care.";
/// What was asked for in front of others is said to whoever asked.
pub const SAID_ALONE: &str = "I have sent it to you alone";
/// It can't be, because the bot may write to nobody who hasn't written to it.
pub const CANT_SAY_ALONE: &str = "I would send it to you alone, but may not write to you yet";
/// What to do about it.
pub const CANT_SAY_ALONE_NEXT: &str = "Start a talk with me, and ask again here: ";
/// A file that can't be sent.
pub const FILE_ON_HOST: &str = "It is too large to be sent here";
/// Before where it is.
pub const ON_THE_MACHINE: &str = "On the machine that serves Convoke: ";
/// A file that comes with the message.
pub const FILE_ATTACHED: &str = "Here it is";
/// A path that nothing stands at.
pub const NO_SUCH_FILE: &str = "The job has made no such file";
/// How to get one of many files.
pub const ONE_FILE: &str = "One of them: ";
/// A job that has made nothing.
pub const NO_ZIP: &str = "This job has no archive: it made no files, or too many for one.";
/// A job that goes on.
pub const NO_FILES_YET: &str = "Files come when the job has ended.";
/// Something failed on our side.
pub const OUR_MISTAKE: &str = "Something went wrong here, not with you";
/// What to do about it.
pub const OUR_MISTAKE_NEXT: &str =
    "Nothing was lost. Please try again in a minute; if it stays, whoever runs Convoke finds more in its log.";
/// A request that can't be done.
pub const CANT: &str = "That can't be done";
/// A request that wasn't understood.
pub const MISREAD: &str = "I didn't understand that";
/// How to write it.
pub const WRITE_IT_SO: &str = "Write it like this: ";
/// The help's title.
pub const HELP: &str = "What you can ask for";
/// The help's last line.
pub const HELP_NEXT: &str = "Answering a job's message asks for a follow-up. Every job has a budget: by default $1.00, and never more than it says.";
/// The greeting.
pub const HELLO: &str = "👋 Hello! I put crews of AI agents to work";
/// What to do first.
pub const HELLO_NEXT: &str =
    "Say what you want, watch one message that shows how it goes, and get the files at the end.";
/// No schedules.
pub const NO_SCHEDULES: &str = "No schedules yet";
/// Schedules.
pub const SCHEDULES: &str = "Schedules";
/// There is no such schedule.
pub const NO_SUCH_SCHEDULE: &str = "There is no such schedule";
/// A schedule was made.
pub const SCHEDULED: &str = "🗓️ Scheduled";
/// What happens then.
pub const SCHEDULED_NEXT: &str = "Each job is told here, as if you had asked for it.";
/// A schedule stands still.
pub const PAUSED: &str = "⏸️ Paused";
/// It goes on.
pub const RESUMED: &str = "▶️ Goes on";
/// It is gone.
pub const DELETED: &str = "🗑️ Deleted; what it started goes on";
/// Somebody who may not change a schedule.
pub const NOT_YOUR_SCHEDULE: &str = "Only whoever made this schedule, or an admin of this chat, may do that.";
/// A job that goes on.
pub const NOT_ENDED: &str = "The job hasn't ended yet.";
/// What is asked where files came without words, and none of them says it.
pub const FILES_SAY: &str = "Do what the attached files ask for.";
/// Changes were requested.
pub const CHANGES_TAKEN: &str = "✏️ Thank you: it goes back with your words";
/// A review that somebody has decided.
pub const ALREADY_DECIDED: &str = "Already decided";
/// Somebody who may not decide.
pub const MAY_NOT_DECIDE: &str = "You may not decide this one.";
/// Whoever decided.
pub const SOMEBODY: &str = "somebody";

/// A job that has ended already.
pub fn ended_already(status: JobStatus) -> String {
    format!("The job has ended already: it is {}.", state(status))
}

/// A job that went well.
pub fn not_retryable(status: JobStatus) -> String {
    format!("Only jobs that failed or were stopped are tried again: this one is {}.", state(status))
}

/// There is no more money to be had.
pub fn most_money(usd: &str) -> String {
    format!("A job may cost at most ${usd} here, and this one already may.")
}

/// Why a follow-up that waited didn't start.
pub fn could_not_start(why: &str) -> String {
    format!(" · couldn't start: {}", clip(why, REFUSAL_UNITS_MAX))
}

/// When a follow-up starts that waits.
pub fn once_after(job: &str) -> String {
    format!("once {job} has ended")
}

/// Who was first.
pub fn decided(by: Option<&str>, decision: Option<Decision>) -> String {
    let by = clip(by.unwrap_or(SOMEBODY), 60);
    match decision {
        Some(Decision::Approve) => format!("Approved by {by}."),
        Some(Decision::Changes) => format!("Changes requested by {by}."),
        Some(Decision::Reject) => format!("Rejected by {by}."),
        None => "Nobody decided in time.".to_owned(),
    }
}

/// Something wrong with a request: where, what, and what to do instead.
pub fn issue(path: &str, message: &str, hint: &str) -> String {
    let place = match path.trim_start_matches("input.").trim_start_matches("job.") {
        "" => String::new(),
        place => format!("{place}: "),
    };
    let hint = if hint.is_empty() { String::new() } else { format!(" ({hint})") };
    format!("{place}{message}{hint}")
}

/// Too many submissions.
pub fn too_many(is_own: bool, most: u64, wait: &str) -> String {
    let whose = if is_own { "you" } else { "this chat" };
    let most = count(usize::try_from(most).unwrap_or(usize::MAX), "job");
    format!("That is enough for this hour: {whose} may start {most} an hour. Try again in {wait}.")
}

/// A file that can't be had.
pub fn file_trouble(name: &str, why: &str) -> String {
    format!("The file {name} can't be used: {why}.")
}

/// Nothing has a cost yet that stays.
pub const NONE_ENDED: &str = "No job has ended yet";

/// What several jobs cost together.
pub fn total(jobs: usize, usd: &str) -> String {
    format!("The latest {} that ended cost ${usd}", count(jobs, "job"))
}

/// What one job cost.
pub fn cost(usd: &str, budget: &str, tokens: u64) -> String {
    format!("${usd} of ${budget}, {tokens} tokens")
}
