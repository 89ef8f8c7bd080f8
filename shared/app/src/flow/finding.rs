//! What is wrong with an answer, as data and as words for the model that gave it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Most findings that are told to a model at once.
pub const FINDINGS_MAX: usize = 12;
/// Longest message of a finding, in bytes.
const MESSAGE_BYTES_MAX: usize = 400;

/// One thing that is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Where in the answer: a JSON pointer, or a file's path; empty for the whole.
    pub place: String,
    /// What is wrong, in words that the model can act on.
    pub message: String,
}

impl Finding {
    /// A finding; a message that is too long is cut.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(super::digest::floor(&message, MESSAGE_BYTES_MAX));
        Self { place: place.into(), message }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.place.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.place, self.message) }
    }
}

/// Findings as the next message to the model: at most [`FINDINGS_MAX`] of them, and what to do.
pub fn feedback(findings: &[Finding]) -> String {
    let mut text = String::from("Your answer can't be accepted yet:\n");
    for finding in findings.iter().take(FINDINGS_MAX) {
        let _ = writeln!(text, "- {finding}");
    }
    if findings.len() > FINDINGS_MAX {
        let _ = writeln!(text, "- and {} more", findings.len() - FINDINGS_MAX);
    }
    text.push_str("Mend this and give the whole answer again, in the same format, with nothing else around it.");
    text
}

/// Findings in one line, for the cause of a failed step.
pub fn summary(findings: &[Finding]) -> String {
    let shown: Vec<String> = findings.iter().take(3).map(ToString::to_string).collect();
    let more = findings.len().saturating_sub(shown.len());
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_is_bounded_and_says_what_to_do() {
        let findings: Vec<Finding> = (0..20).map(|n| Finding::new(format!("/tasks/{n}"), "x".repeat(1_000))).collect();
        let text = feedback(&findings);
        assert!(text.len() < 6_000 && text.contains("- /tasks/0: xx") && text.contains("and 8 more"), "{text}");
        assert!(text.ends_with("nothing else around it."));
        assert_eq!(summary(&[Finding::new("", "a"), Finding::new("/b", "c")]), "a; /b: c");
    }
}
