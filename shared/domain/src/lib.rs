//! Pure rules of Convoke.

pub mod bits;
pub mod change;
pub mod graph;
pub mod group;
pub mod ids;
pub mod money;
pub mod path;
pub mod slot;
pub mod status;
