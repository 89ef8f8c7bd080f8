//! Pure rules of Convoke.

pub mod bits;
pub mod graph;
pub mod money;
