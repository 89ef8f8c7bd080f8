//! How commands fail: one line on standard error, and an exit code to script on.

use std::fmt;

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The job completed.
    Done,
    /// It failed, or something else did.
    Failed,
    /// Bad usage or input; nothing was done.
    Usage,
    /// The job was cancelled.
    Cancelled,
    /// The job's budget was used up.
    Budget,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Cancelled => 3,
            Self::Budget => 4,
        }
    }

    /// How a job that ended like this exits.
    pub fn of_job(status: &str, stop_reason: &str) -> Self {
        match (status, stop_reason) {
            ("completed", _) => Self::Done,
            ("cancelled", _) => Self::Cancelled,
            (_, "budget_exhausted") => Self::Budget,
            _ => Self::Failed,
        }
    }
}

/// A command that couldn't be done.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One line: what is wrong and what to do.
    pub message: String,
    /// Whether no answer came, because the installation is gone: another may give it.
    pub gone: bool,
}

impl Failure {
    /// The user's mistake.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Anything else.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// One with any exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), gone: false }
    }

    /// Anything else, with its chain of causes on the same line, after `what` (if that isn't empty).
    pub fn caused(what: &str, error: &dyn std::error::Error) -> Self {
        let mut message = if what.is_empty() { error.to_string() } else { format!("{what}: {error}") };
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::failed(message)
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.message.push_str(": ");
        self.message.push_str(hint);
        self
    }

    /// The same, as the user's mistake.
    #[must_use]
    pub fn usage_exit(self) -> Self {
        Self { exit: Exit::Usage, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever others said.
        f.write_str(&super::progress::printable(self.message.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_exit_by_how_they_ended() {
        let code = |status, reason| Exit::of_job(status, reason).code();
        assert_eq!(code("completed", "completed"), 0);
        assert_eq!(code("failed", "model_unavailable"), 1);
        assert_eq!(code("cancelled", "cancelled"), 3);
        assert_eq!(code("failed", "budget_exhausted"), 4);
    }
}
