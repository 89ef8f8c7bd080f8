//! What is said of what schedules started.

use convoke_api::schedule::RunView;

use crate::text::count;

/// A follow-up that waited couldn't be started.
pub const NOT_STARTED: &str = "⚠️ A follow-up couldn't be started";
/// Before the job that it waited for.
pub const WAITED_FOR: &str = "It waited for the end of ";
/// What can be done about it.
pub const NOT_STARTED_NEXT: &str = "It stands among the schedules, paused; once it is resumed it is tried again: ";

/// All jobs of a batch have ended, so many of them badly.
pub fn batch(total: u32, bad: u32) -> String {
    let jobs = count(usize::try_from(total).unwrap_or(usize::MAX), "job");
    match bad {
        0 => format!("✅ Batch done: {jobs}"),
        bad => format!("⚠️ Batch done: {jobs}, {bad} of them failed or refused"),
    }
}

/// How they came out, and what they cost together.
pub fn batch_counts(run: &RunView) -> String {
    let counts =
        [(run.completed, "completed"), (run.failed, "failed"), (run.cancelled, "stopped"), (run.refused, "refused")];
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!("{} · ${}", counts.join(", "), run.cost.usd)
}
