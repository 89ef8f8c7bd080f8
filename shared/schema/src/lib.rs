//! JSON Schema: what a flow's inputs and outputs, a tool's arguments and a model's answers are held against.
//!
//! A schema is compiled once and then asked about any number of values. All of the drafts 4, 6, 7, 2019-09 and 2020-12 is
//! here that says whether a value is valid (2020-12 where `$schema` names none); `format`, `contentEncoding` and the like
//! are notes in each of them, as 2020-12 has it, `1.0` is an integer in draft 4, too, and integers beyond 64 bits are read
//! as floats. Schemas and values come from users and models, so nothing here fetches anything (`$ref` points inside of the
//! document), patterns take linear time, and everything is limited: depth, work, memory, and how much is said.
//!
//! It is its own because the libraries that do the same carry several engines for regular expressions, their tables of
//! Unicode and numbers of any size along: 2.6 MB in each function that reads a flow. `tests/suite.rs` holds it against
//! the official suite. Patterns are of the syntax of `regex-lite`: `\d`, `\w` and `\s` are those of ASCII, `\p{..}` and
//! looking around are refused when the schema is compiled.

mod check;
mod compile;
mod draft;
mod node;
mod number;
mod pattern;
mod plain;
mod resources;
mod same;
mod text;
mod violation;

use serde_json::Value;

use check::Run;
use node::{Anchors, Node, NodeId};
pub use violation::{Violation, Violations};

/// How deep schemas may be applied inside of each other. A value of 128 levels, the most that JSON is read with, takes
/// two or three a level.
pub const DEPTH_MAX: usize = 512;
/// How much work one value may be: a schema that is applied is 1, a byte that a small pattern is looked for in, too. At
/// worst some seconds.
pub const WORK_MAX: usize = 2_000_000;
/// Schemas that one document may be made of.
pub const SCHEMAS_MAX: usize = 10_000;
/// Bytes of the pointer to one of them, and of its name.
pub const POINTER_BYTES_MAX: usize = 2 << 10;
/// Bytes of all pointers to them.
pub const POINTERS_BYTES_MAX: usize = 2 << 20;
/// Bytes that the patterns of a document may take: 2 to 256 KiB each, times one more than it has groups.
pub const PATTERNS_BYTES_MAX: usize = 2 << 20;

/// A schema that is none. Final: its author has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct SchemaError {
    /// JSON pointer into the schema; empty for its root.
    pub pointer: String,
    /// What is wrong there.
    pub problem: String,
}

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    nodes: Vec<Node>,
    anchors: Anchors,
    /// Whether anything in it asks what was evaluated; it isn't kept otherwise.
    tracks: bool,
}

impl Schema {
    /// Compiles a schema. `$ref` may point inside of it only.
    pub fn compile(document: &Value) -> Result<Self, SchemaError> {
        compile::compile(document)
    }

    /// Whether `value` is valid. What would take more than [`WORK_MAX`] or [`DEPTH_MAX`] isn't.
    pub fn is_valid(&self, value: &Value) -> bool {
        Run::new(self).root(value, 0).is_empty()
    }

    /// What keeps `value` from being valid, the first `max` in the order of the schema; nothing where it is valid.
    pub fn violations<'i>(&self, value: &'i Value, max: usize) -> Violations<'i> {
        Run::new(self).root(value, max)
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }
}
