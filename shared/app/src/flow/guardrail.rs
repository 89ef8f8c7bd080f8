//! Guardrails by name.

/// A check that an answer has to pass beyond its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guardrail {
    /// The output is a plan whose tasks fit together.
    Plan,
    /// Files stay where the task may write.
    FilesInScope,
    /// There are files, and none of them is empty.
    NonemptyFiles,
    /// Paths that the output names are safe.
    SafePaths,
}

impl Guardrail {
    /// All names.
    pub const NAMES: [&'static str; 4] = ["plan", "files_in_scope", "nonempty_files", "safe_paths"];

    /// The guardrail of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "plan" => Some(Self::Plan),
            "files_in_scope" => Some(Self::FilesInScope),
            "nonempty_files" => Some(Self::NonemptyFiles),
            "safe_paths" => Some(Self::SafePaths),
            _ => None,
        }
    }
}
