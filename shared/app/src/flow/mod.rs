//! Flows: from a document to prompts and from answers to results. Pure: no clock, no I/O.

mod accept;
mod builtin;
mod compile;
mod digest;
mod evaluate;
pub mod expr;
mod finding;
mod guardrail;
mod inputs;
mod json_text;
mod media;
mod outline;
mod parse;
mod plan;
mod prompt;
mod question;
mod schema;
mod script;
mod spec;
pub mod template;
#[cfg(test)]
mod tests;
pub mod tools;

pub use accept::{Accepted, accept, repair};
pub use builtin::{BUILT_IN, built_in};
pub use compile::{ISSUES_MAX, compile};
pub use evaluate::{
    Items, ListError, TaskError, evaluate_condition, evaluate_join, evaluate_over, evaluate_until, evaluate_warnings,
    write_scope,
};
pub use finding::{FINDINGS_MAX, Finding, feedback, summary};
pub use guardrail::Guardrail;
pub use inputs::{Conflict, Inputs, conflicts};
pub use media::media_type;
pub use parse::{DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, from_value, parse};
pub use prompt::{Prompt, prompt};
pub use script::{JobScript, ToolKit, job_compiler};
pub use spec::{Capability, CompiledFlow, LoopSpec, MapSpec, Read, ReadKind, TaskSpec, validate_input};
