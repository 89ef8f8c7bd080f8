//! Discord: interactions in, messages out.
//!
//! | module | what is there |
//! |---|---|
//! | [`settings`] | what the bot has to be told |
//! | [`rest`], [`api`] | Discord's REST API: one call each, typed errors, no tokens in them |
//! | [`host`] | messages that nobody has just asked for: [`convoke_app::ports::ChatHost`] |
//! | [`interaction`] | what people do, parsed once |
//! | [`inbound`] | the one handler of that, for both hosts |
//! | [`endpoint`], [`verify`] | the host over HTTP, which Discord calls: on Lambda |
//! | `gateway` | the host over the gateway, which calls Discord: on one machine |
//! | [`files`] | what is attached to commands |
//!
//! Sentences stand in `bots/chat`, decisions in `bots/desk`.

mod answer;
pub mod api;
pub mod endpoint;
pub mod files;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod host;
pub mod inbound;
pub mod interaction;
pub mod rest;
pub mod settings;
mod setup;
pub mod verify;

pub use setup::{SetupError, attachments, chat_host, handler, router};
