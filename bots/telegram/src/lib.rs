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
use axum::Router;
use convoke_app::platform::Platform;
use convoke_app::ports::ChatHost;
use convoke_desk::Desk;
use convoke_runtime::config::{Mistakes, Strings};
use files::Files;
use inbound::Inbound;
use settings::Settings;

/// Why there is no bot although settings name one. Final until an operator changes them.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings are wrong.
    #[error(transparent)]
    Settings(#[from] Mistakes),
    /// There is no token.
    #[error("TELEGRAM_TOKEN is missing: set it to what BotFather says, or TELEGRAM_TOKEN_PARAMETER to where that is")]
    NoToken,
    /// Telegram can't be called.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// The Bot API for these settings.
pub fn api(settings: &Settings) -> Result<Api, ApiError> {
    Api::new(settings.token.clone(), &settings.url)
}

/// The way out to chats for these settings.
pub fn host(settings: &Settings) -> Result<Arc<dyn ChatHost>, ApiError> {
    Ok(Arc::new(send::Telegram::new(api(settings)?)))
}

/// The way out to Telegram; `None` where there is no token.
pub fn chat_host(strings: &dyn Strings) -> Result<Option<Arc<dyn ChatHost>>, StartError> {
    Ok(Settings::read(strings)?.as_ref().map(host).transpose()?)
}

/// The desk, for files that people send on Telegram.
pub fn desk(platform: Platform, api: &Api) -> Desk {
    Desk::new(platform, Arc::new(Files::new(api.clone())))
}

/// The handler of updates; `desk` knows what to say.
pub fn inbound(platform: Platform, desk: Desk, api: &Api) -> Inbound {
    Inbound::new(platform, Arc::new(desk), api.clone())
}

/// The routes of the webhook, which takes updates that come with the secret of these settings.
pub fn router(platform: Platform, strings: &dyn Strings) -> Result<Router, StartError> {
    let settings = Settings::read(strings)?.ok_or(StartError::NoToken)?;
    let api = api(&settings)?;
    let inbound = inbound(platform.clone(), desk(platform.clone(), &api), &api);
    Ok(webhook::router(inbound, settings.secret, platform))
}
