//! The pure rules of Convoke: what a job is and how it moves.
//!
//! Nothing here waits, reads, writes, or knows what time it is: time and randomness come in as arguments, decisions go
//! out as [`change::Change`]s. JSON isn't here either: what tasks say and models answer is the use cases' business.

pub mod bits;
pub mod change;
pub mod chat;
pub mod decide;
pub mod delivery;
pub mod events;
pub mod graph;
pub mod group;
pub mod ids;
pub mod money;
pub mod order;
pub mod path;
pub mod review;
pub mod room;
pub mod schedule;
pub mod slot;
pub mod status;
