//! CEL, bounded: the `cel` crate parses, values are JSON, evaluation is counted.
//!
//! The crate's own interpreter copies every item of every comprehension and can't be interrupted, so an author's
//! expression over a large list could take any time and memory; and its default parser overflows the stack at twenty
//! brackets, which is why its other one is used. Here each node that is evaluated, each byte that is
//! compared and each byte that is made is charged against a budget ([`STEPS_MAX`], [`BYTES_MAX`]). Functions, their
//! arities and the names that an expression reads are known when it is compiled.
//!
//! Differences from the standard: an error inside `exists` or `all` ends it even where a later item would decide; numbers
//! are `int` (64 bits) and `double` and mix in arithmetic; there are no bytes, time stamps, `matches` and messages.

mod check;
mod eval;
mod ops;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use cel::common::ast::IdedExpr;
use cel::parser::PrattParser;
use serde_json::{Map, Value};

pub(crate) use eval::Locals;

/// Longest source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 2_048;
/// Deepest nesting of a source.
const DEPTH_MAX: u16 = 40;
/// Longest chain of operations, such as `a.b.c` or `1 + 2 + 3`.
pub(crate) const TREE_DEPTH_MAX: usize = 100;
/// Comprehensions inside comprehensions.
pub(crate) const COMPREHENSION_DEPTH_MAX: usize = 3;
/// Work that one evaluation may take: nodes evaluated, items visited, 64 bytes compared.
pub const STEPS_MAX: u64 = 2_000_000;
/// Bytes that one evaluation may make.
pub const BYTES_MAX: u64 = 32 << 20;

/// A compiled expression; cheap to clone.
#[derive(Clone)]
pub struct Expr {
    source: Arc<str>,
    root: Arc<IdedExpr>,
    reads: Arc<[Path]>,
}

/// What an expression or a template reads: a name and the fields below it, `[]` for an item of a list.
pub type Path = Vec<String>;

/// Why an expression can't be compiled or gives no value. Final: the same expression over the same values fails again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// Over [`SOURCE_BYTES_MAX`].
    #[error("the expression is longer than {SOURCE_BYTES_MAX} bytes")]
    TooLong,
    /// Not CEL.
    #[error("the expression can't be read: {0}")]
    Syntax(String),
    /// CEL that isn't available here.
    #[error("{0} isn't available in expressions")]
    Unavailable(String),
    /// A function that doesn't exist, or not with so many arguments.
    #[error("unknown function {0}")]
    UnknownFunction(String),
    /// A name without a value.
    #[error("unknown name {0:?}")]
    UnknownName(String),
    /// A field that isn't there.
    #[error("there is no field {0:?}")]
    NoField(String),
    /// An index outside of the list.
    #[error("there is no item {0}")]
    NoItem(String),
    /// Operands of types that don't go together.
    #[error("{operation} doesn't take {operands}")]
    Type {
        /// The operator or function.
        operation: String,
        /// The types that it got.
        operands: String,
    },
    /// An integer that doesn't fit, or a division by zero.
    #[error("{0} has no result")]
    Arithmetic(&'static str),
    /// [`STEPS_MAX`] or [`BYTES_MAX`] is used up.
    #[error("the expression takes too much work over values this large")]
    Exhausted,
}

impl Expr {
    /// Parses and checks an expression.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(ExprError::TooLong);
        }
        let parser = PrattParser::new().max_recursion_depth(DEPTH_MAX).max_expression_node_count(SOURCE_BYTES_MAX);
        let root = parser.parse(source).map_err(|errors| ExprError::Syntax(first_line(&errors)))?;
        if !check::is_shallow(&root) {
            return Err(ExprError::Syntax(format!("more than {TREE_DEPTH_MAX} operations inside each other")));
        }
        let reads = check::reads(&root)?;
        Ok(Self { source: source.into(), root: Arc::new(root), reads: reads.into() })
    }

    /// The source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it reads of its scope, without duplicates.
    pub fn reads(&self) -> &[Path] {
        &self.reads
    }

    /// Its value over `scope`; names in `locals` stand before those.
    pub fn eval(&self, scope: &Map<String, Value>, locals: Locals<'_>) -> Result<Value, ExprError> {
        eval::run(&self.root, scope, locals)
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({:?})", self.source)
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

fn first_line(errors: &impl fmt::Display) -> String {
    let text = errors.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("ERROR: <input>:").chars().take(200).collect()
}
