//! Wire types of Convoke: what callers send and get.

pub mod flow;
