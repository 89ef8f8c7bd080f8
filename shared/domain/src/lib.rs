//! Pure rules of Convoke.

pub mod money;
