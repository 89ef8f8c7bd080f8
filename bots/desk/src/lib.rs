//! What both bots do with a command: the one place where it meets the platform.

mod front;
pub mod notice;

pub use front::{Attachments, Caller, Front};
