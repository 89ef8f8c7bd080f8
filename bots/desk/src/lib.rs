//! What both bots do with a command: the one place where it meets the platform.
//!
//! The [`Desk`] looks up who asks ([`Caller`]) and what their chat is linked to, does what is asked by the platform's use
//! cases, and answers with a page; how that looks is the bots' own. What it does because of an update it does once, however
//! often that comes.

mod complete;
mod desk;
mod files;
mod follow;
mod front;
mod here;
mod jobs;
mod link;
mod look;
pub mod notice;
mod review;
mod schedule;
mod shelf;
mod submit;
mod trouble;

pub use desk::Desk;
pub use files::ATTACHED_BYTES_MAX;
pub use front::{Attachments, Caller, Front};
pub use shelf::Shelf;
