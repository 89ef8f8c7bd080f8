//! Telegram: updates in, messages out.
//!
//! | module | what is there |
//! |---|---|
//! | [`settings`] | what the bot has to be told |
//! | [`api`] | the Bot API: one call each, typed errors, no token in them |
//! | [`send`] | messages that nobody has just asked for: [`convoke_app::ports::ChatHost`] |
//! | [`update`] | what people do, parsed once |
//! | [`inbound`] | the one handler of that, for both hosts |
//! | [`webhook`] | the host over HTTP, which Telegram calls: on Lambda |
//! | `polling` | the host that asks Telegram: on one machine |
//! | [`files`] | what people send |
//! | [`setup`] | webhook and list of commands |
//!
//! Sentences stand in `bots/chat`, decisions in `bots/desk`.

mod answer;
pub mod api;
pub mod files;
pub mod inbound;
#[cfg(feature = "polling")]
pub mod polling;
pub mod send;
pub mod settings;
pub mod setup;
pub mod update;
pub mod webhook;

use std::sync::Arc;

use api::{Api, ApiError};
use settings::Settings;

/// The Bot API for these settings.
pub fn api(settings: &Settings) -> Result<Api, ApiError> {
    Api::new(settings.token.clone(), &settings.url)
}

/// The way out to chats for these settings.
pub fn host(settings: &Settings) -> Result<Arc<dyn convoke_app::ports::ChatHost>, ApiError> {
    Ok(Arc::new(send::Telegram::new(api(settings)?)))
}
