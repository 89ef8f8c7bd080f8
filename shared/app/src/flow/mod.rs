//! Flows: from a document to prompts and from answers to results. Pure: no clock, no I/O.

pub mod digest;
pub mod expr;
pub mod finding;
pub mod parse;
pub mod schema;
pub mod template;
