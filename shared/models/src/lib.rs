//! Convoke.
