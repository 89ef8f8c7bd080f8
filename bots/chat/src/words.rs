//! Every sentence that the bots say. Short, friendly, exact: what is now, what it cost, what can be done next.

use convoke_domain::status::JobStatus;

use crate::button::Action;
use crate::command::{Spec, WhenError};

/// What `/crew` is.
pub const CREW_ABOUT: &str = "Put crews of AI agents to work";
/// What `/crew schedule` is.
pub const SCHEDULE_ABOUT: &str = "Work that starts by the clock";

/// What to write for a budget.
pub const WRITE_DOLLARS: &str = "write US dollars, such as 1.50";
/// A budget of nothing.
pub const BUDGET_OF_NOTHING: &str = "nothing can be done for nothing: write dollars, such as 1.50";
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
        Action::Files => "Files",
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
