//! Interactions over the gateway: for one machine, which nobody can call.
//!
//! Discord sends an application's interactions either here or to its endpoint, never to both: where an endpoint is set,
//! nothing comes here.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use convoke_runtime::Secret;
use serde_json::json;
use serenity::all::{
    Client, Context, Event, GatewayError as Refusal, GatewayIntents, HttpBuilder, Interaction as Sent, RawEventHandler,
};

use crate::answer::is_window;
use crate::api::Application;
use crate::inbound::{Answered, Inbound, answerable};
use crate::interaction::{Asks, BY_GUILD, CONTEXT_BOT_DM, From as Who, Interaction, Place};
use crate::rest::Rest;
use crate::rest::failure::RestError;
use crate::settings::Settings;

/// How long the gateway is left alone after it was lost.
const PAUSE: Duration = Duration::from_secs(15);
/// Windows that are remembered.
const WINDOWS_MAX: usize = 1_000;

/// What to do with an endpoint that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// Leave it alone.
    Refuse,
    /// Take it away.
    Allow,
}

/// Why the gateway can't be listened to. Final until an operator changes something.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// There is no token.
    #[error("DISCORD_TOKEN is missing: set it to the token of your bot")]
    NoToken,
    /// Discord doesn't tell what the token is of.
    #[error("Discord doesn't know the bot")]
    Application(#[source] RestError),
    /// The application's interactions go elsewhere.
    #[error(
        "interactions of {name} go to {url}: give --take-over to have them come here instead, which takes that URL away"
    )]
    Endpoint {
        /// The application.
        name: String,
        /// Its endpoint.
        url: String,
    },
    /// The gateway refuses, or can't be reached.
    #[error("Discord's gateway can't be listened to: {0}")]
    Gateway(String),
}

/// Makes sure that interactions come here; the application that they are with.
pub async fn take(rest: &Rest, takeover: Takeover) -> Result<Application, GatewayError> {
    let application = rest.application().await.map_err(GatewayError::Application)?;
    match (&application.interactions_endpoint_url, takeover) {
        (None, _) => {}
        (Some(url), Takeover::Refuse) => {
            return Err(GatewayError::Endpoint { name: application.name.clone(), url: url.clone() });
        }
        (Some(_), Takeover::Allow) => rest.forget_endpoint().await.map_err(GatewayError::Application)?,
    }
    Ok(application)
}

/// Listens until `stop` completes. Connections that break are made again; ends early only where Discord refuses the bot for
/// good.
pub async fn listen(inbound: Inbound, settings: &Settings, stop: impl Future<Output = ()>) -> Result<(), GatewayError> {
    let token = settings.token.as_ref().ok_or(GatewayError::NoToken)?;
    let failed = |error: serenity::Error| GatewayError::Gateway(error.to_string());
    let mut stop = std::pin::pin!(stop);
    loop {
        let mut client = client(inbound.clone(), (settings, token)).await.map_err(failed)?;
        let shards = Arc::clone(&client.shard_manager);
        let mut running = std::pin::pin!(client.start());
        tokio::select! {
            ended = &mut running => match ended {
                Err(error) if is_final(&error) => return Err(failed(error)),
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "Discord's gateway is gone"),
                Ok(()) => tracing::warn!("Discord's gateway is gone"),
            },
            () = &mut stop => {
                shards.shutdown_all().await;
                return Ok(());
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = &mut stop => return Ok(()),
        }
    }
}

/// Whether an operator has to change something before the gateway takes this bot.
fn is_final(error: &serenity::Error) -> bool {
    match error {
        serenity::Error::Gateway(error) => matches!(
            error,
            Refusal::InvalidAuthentication | Refusal::InvalidGatewayIntents | Refusal::DisallowedGatewayIntents
        ),
        serenity::Error::Http(error) => error.status_code().is_some_and(|status| status.as_u16() == 401),
        _ => false,
    }
}

async fn client(inbound: Inbound, (settings, token): (&Settings, &Secret)) -> serenity::Result<Client> {
    let mut http = HttpBuilder::new(token.expose());
    if settings.is_elsewhere() {
        // With its limiter on, it doesn't look at the proxy.
        http = http.proxy(settings.url.trim_end_matches("/api/v10")).ratelimiter_disabled(true);
    }
    // Interactions come without any intent: what people write among themselves is none of ours.
    let client = serenity::all::ClientBuilder::new_with_http(http.build(), GatewayIntents::empty());
    client.raw_event_handler(Listener { inbound, windows: Windows::default() }).await
}

struct Listener {
    inbound: Inbound,
    windows: Windows,
}

/// Where windows were opened, by who has them open and in which channel: serenity keeps nothing of that when one is sent
/// off.
#[derive(Debug, Default)]
struct Windows(Mutex<BTreeMap<(u64, u64), Place>>);

impl Windows {
    fn open(&self, by: &Who, place: Place) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= WINDOWS_MAX {
            windows.pop_first();
        }
        windows.insert((by.user, place.channel()), place);
    }

    /// The interaction where it really was.
    fn place(&self, interaction: Interaction) -> Interaction {
        if !matches!(interaction.asks, Asks::Typed { .. }) {
            return interaction;
        }
        let key = (interaction.from.user, interaction.place.channel());
        let opened = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        Interaction { place: opened.unwrap_or(interaction.place), ..interaction }
    }
}

#[async_trait]
impl RawEventHandler for Listener {
    /// Called in a task of its own for each event.
    async fn raw_event(&self, _: Context, event: Event) {
        match event {
            Event::Ready(ready) => tracing::info!(name = ready.ready.user.name, "listening to Discord"),
            Event::InteractionCreate(event) => match interaction(&event.interaction) {
                Ok(interaction) => self.answer(self.windows.place(interaction)).await,
                Err(error) => tracing::error!(error, "an interaction can't be read"),
            },
            _ => {}
        }
    }
}

impl Listener {
    async fn answer(&self, interaction: Interaction) {
        let (to, from, place) = (answerable(&interaction), interaction.from.clone(), interaction.place);
        let given = match self.inbound.answer(interaction).await {
            Ok(Answered::Now(answer)) => {
                if is_window(&answer) {
                    self.windows.open(&from, place);
                }
                self.inbound.give(&to, &answer).await
            }
            Ok(Answered::ByCalls | Answered::Before) => Ok(()),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an interaction can't be claimed");
                return;
            }
        };
        if let Err(error) = given {
            tracing::warn!(error = &error as &dyn std::error::Error, "an answer isn't taken");
        }
    }
}

/// An interaction of the gateway, read as one that came over HTTP; a window's is taken for one in a guild that has invited
/// the bot, or in direct messages with it. What can't be read is told.
pub fn interaction(event: &Sent) -> Result<Interaction, String> {
    let mut sent = serde_json::to_value(event).map_err(|error| error.to_string())?;
    // What serenity writes lacks what told it apart, and of windows who has installed the bot.
    sent["type"] = u8::from(event.kind()).into();
    if let Sent::Modal(window) = event {
        let (owners, context) = match window.guild_id {
            Some(guild) => (json!({ BY_GUILD: guild.to_string() }), 0),
            None => (json!({}), CONTEXT_BOT_DM),
        };
        sent["authorizing_integration_owners"] = owners;
        sent["context"] = context.into();
    }
    Interaction::parse(sent.to_string().as_bytes()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interaction::Origin;

    fn typed(user: u64, place: Place) -> Interaction {
        Interaction {
            id: 1,
            application: 77,
            token: Secret::new("t"),
            from: Who { user, name: "Ada".into(), is_admin: false },
            place,
            origin: Origin::Command,
            asks: Asks::Typed { custom_id: "x".into(), values: Vec::new() },
        }
    }

    #[test]
    fn a_window_is_sent_off_where_it_was_opened() {
        let (here, elsewhere) =
            (Place::Guild { guild: 5, channel: 6, may_post: true }, Place::Elsewhere { channel: 6 });
        let windows = Windows::default();
        assert_eq!(windows.place(typed(42, here)).place, here, "nobody knows better");
        windows.open(&typed(42, elsewhere).from, elsewhere);
        assert_eq!(windows.place(typed(42, here)).place, elsewhere);
        assert_eq!(windows.place(typed(43, here)).place, here, "somebody else");
        let press = Interaction { asks: Asks::Press { custom_id: "x".into() }, ..typed(42, here) };
        assert_eq!(windows.place(press).place, here, "buttons say it themselves");
        for user in 100..100 + WINDOWS_MAX as u64 {
            windows.open(&typed(user, here).from, here);
        }
        assert_eq!(windows.0.lock().expect("nobody panicked").len(), WINDOWS_MAX);
    }
}
