//! The bots of this machine: the ways out to chats, and who listens to what people do there.
//!
//! Nobody can call this machine, so bots call their platforms: Discord's gateway hands them what happens, Telegram is asked. A platform tells one place
//! alone, so a bot that lives elsewhere isn't taken over by accident.

use std::sync::Arc;

use convoke_app::platform::Platform;
use convoke_app::ports::{ChatHost, ChatHosts};
use convoke_desk::{Desk, Shelf};
use convoke_discord::SetupError;
use convoke_discord::gateway::{self, GatewayError, Takeover};
use convoke_discord::host::DiscordHost;
use convoke_discord::rest::Rest;
use convoke_discord::settings::Settings as Discord;
use convoke_telegram::api::{ApiError, CallError};
use convoke_telegram::polling::{PollError, Standing, poll, prepare};
use convoke_telegram::settings::Settings as Telegram;
use convoke_telegram::setup;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bots that listen.
#[derive(Clone, Debug, Default)]
pub struct Bots {
    /// The one on Discord.
    pub discord: Option<Discord>,
    /// The one on Telegram.
    pub telegram: Option<Telegram>,
    /// What to do about those that live elsewhere.
    pub elsewhere: Elsewhere,
}

/// What to do about a bot whose platform tells another place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Elsewhere {
    /// Leave it there, and don't start.
    #[default]
    Leave,
    /// Have it live here from now on.
    TakeOver,
}

/// Why a bot can't start. Final until an operator changes something, but for a platform that can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The one on Discord can't be set up.
    #[error(transparent)]
    Discord(#[from] SetupError),
    /// It can't listen.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// There is no client for Telegram: our mistake.
    #[error("the bot on Telegram can't speak")]
    Client(#[source] ApiError),
    /// Telegram doesn't know the bot, or can't be reached.
    #[error("Telegram doesn't say who the bot is")]
    Unknown(#[source] CallError),
    /// Telegram tells somebody else, or can't be asked.
    #[error("the bot on Telegram hears nothing")]
    Polling(#[source] PollError),
}

impl Bots {
    /// The ways out to chats. Nothing is called.
    pub fn hosts(&self) -> Result<ChatHosts, BotError> {
        let telegram = self.telegram.as_ref().map(convoke_telegram::host).transpose().map_err(BotError::Client)?;
        let discord = self.discord.as_ref().map(rest).transpose()?;
        let discord = discord.map(|rest| Arc::new(DiscordHost::new(rest)) as Arc<dyn ChatHost>);
        Ok(ChatHosts { discord, telegram })
    }

    /// Has them listen until [`Listening::end`]; what is too large for a message is laid on the shelf. Telegram is asked who its bot is, and offers the commands from now on.
    pub async fn listen(self, platform: &Platform, shelf: &Arc<dyn Shelf>) -> Result<Listening, BotError> {
        let mut listening = Listening::default();
        if let Some(settings) = self.discord {
            let takeover = match self.elsewhere {
                Elsewhere::Leave => Takeover::Refuse,
                Elsewhere::TakeOver => Takeover::Allow,
            };
            let application = gateway::take(&rest(&settings)?, takeover).await?;
            listening.discord = Some(application.name);
            listening.tasks.spawn(discord(settings, (platform, shelf), listening.stop.clone())?);
        }
        if let Some(settings) = self.telegram {
            let api = convoke_telegram::api(&settings).map_err(BotError::Client)?;
            let me = setup::me(&api).await.map_err(BotError::Unknown)?;
            let standing = match self.elsewhere {
                Elsewhere::Leave => Standing::Respect,
                Elsewhere::TakeOver => Standing::TakeOver,
            };
            prepare(&api, standing).await.map_err(BotError::Polling)?;
            let desk = convoke_telegram::desk(platform.clone(), &api).with_shelf(Arc::clone(shelf));
            let inbound = convoke_telegram::inbound(platform.clone(), desk, &api);
            let stop = listening.stop.clone();
            listening.tasks.spawn(async move {
                tokio::select! {
                    never = poll(&api, &inbound) => match never {},
                    () = stop.cancelled() => {}
                }
            });
            listening.telegram = Some(me.username);
        }
        listening.tasks.close();
        Ok(listening)
    }
}

/// Bots that listen.
#[derive(Debug, Default)]
pub struct Listening {
    /// What the one on Discord is called.
    pub discord: Option<String>,
    /// What the one on Telegram is called, without `@`.
    pub telegram: Option<String>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Listening {
    /// Has them stop. What is half done is done at the next start: its platform tells it again.
    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn rest(settings: &Discord) -> Result<Rest, SetupError> {
    Rest::new(settings).map_err(SetupError::Rest)
}

fn discord(
    settings: Discord,
    (platform, shelf): (&Platform, &Arc<dyn Shelf>),
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + use<>, SetupError> {
    let desk = Desk::new(platform.clone(), convoke_discord::attachments(&settings)?).with_shelf(Arc::clone(shelf));
    let inbound = convoke_discord::handler(platform.clone(), Arc::new(desk), &settings)?;
    Ok(async move {
        if let Err(error) = gateway::listen(inbound, &settings, stop.cancelled_owned()).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the bot on Discord has ended");
        }
    })
}
