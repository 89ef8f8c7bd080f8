//! Putting the bot together from settings.

use std::sync::Arc;

use axum::Router;
use convoke_app::platform::Platform;
use convoke_app::ports::ChatHost;
use convoke_desk::{Attachments, Front};
use convoke_runtime::config::{Mistakes, Strings};

use crate::endpoint;
use crate::files::Files;
use crate::host::DiscordHost;
use crate::inbound::Inbound;
use crate::rest::Rest;
use crate::rest::failure::RestError;
use crate::settings::{NoKey, Settings};
use crate::verify::{KeyError, Requests};

/// Why there is no bot although settings name one. Final until an operator changes them.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Settings are wrong.
    #[error(transparent)]
    Settings(#[from] Mistakes),
    /// What they name can't be used.
    #[error("Discord can't be called")]
    Rest(#[source] RestError),
    /// There is no token: cards could be told nowhere.
    #[error("DISCORD_TOKEN is missing: set it to the token of your bot")]
    NoToken,
    /// There is no public key.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// There is one that is none.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The way out to Discord; `None` where there is no token.
pub fn chat_host(strings: &dyn Strings) -> Result<Option<Arc<dyn ChatHost>>, SetupError> {
    let settings = Settings::read(strings)?;
    if settings.token.is_none() {
        return Ok(None);
    }
    let rest = Rest::new(&settings).map_err(SetupError::Rest)?;
    Ok(Some(Arc::new(DiscordHost::new(rest))))
}

/// Fetches what is attached to commands.
pub fn attachments(settings: &Settings) -> Result<Arc<dyn Attachments>, SetupError> {
    Ok(Arc::new(Files::new(settings).map_err(SetupError::Rest)?))
}

/// The handler of interactions; `desk` knows what to say.
pub fn handler(platform: Platform, desk: Arc<dyn Front>, settings: &Settings) -> Result<Inbound, SetupError> {
    Ok(Inbound::new(platform, desk, Rest::new(settings).map_err(SetupError::Rest)?))
}

/// The routes of the endpoint, which takes interactions that are signed for the public key of these settings.
pub fn router(platform: Platform, desk: Arc<dyn Front>, settings: &Settings) -> Result<Router, SetupError> {
    if settings.token.is_none() {
        return Err(SetupError::NoToken);
    }
    let requests = Requests::new(settings.key()?)?;
    Ok(endpoint::router(handler(platform.clone(), desk, settings)?, requests, platform))
}
