//! What bots are set up with at their platforms. Telegram calls a webhook of an installation that it can reach; one on this
//! machine asks for updates instead (`convoke serve --telegram`). Discord's own matters stand in [`super::discord`].

use convoke_app::chat::CODE_TTL_S;
use convoke_app::ports::WhoMay;
use convoke_discord::gateway::GatewayError;
use convoke_domain::ids::TenantId;
use convoke_telegram::api::{Api, CallError};
use convoke_telegram::polling::PollError;
use convoke_telegram::settings::{Settings as Telegram, TOKEN};
use convoke_telegram::setup::{self, Me, Webhook};
use convoke_telegram::webhook::PATH;

use super::args::{BotsCommand, Place, ServeArgs, WebhookCommand};
use super::discord;
use super::failure::{Exit, Failure};
use super::progress::printable;
use super::stack;
use crate::bots::{BotError, Bots, Elsewhere, Listening};
use crate::local::{Local, TENANT};
use crate::settings::Settings;

/// Does what is asked.
pub async fn bots(settings: &Settings, command: BotsCommand) -> Result<Exit, Failure> {
    match command {
        BotsCommand::Register(args) => discord::register(settings, &args).await,
        BotsCommand::Webhook(command) => webhook(&telegram(settings)?, command).await,
    }
}

/// The bots that `serve` was asked to be.
pub fn asked_for(settings: &Settings, args: &ServeArgs) -> Result<Bots, Failure> {
    let elsewhere = if args.take_over { Elsewhere::TakeOver } else { Elsewhere::Leave };
    let discord = args.discord.then(|| discord::settings_of(settings)).transpose()?;
    Ok(Bots { discord, telegram: args.telegram.then(|| telegram(settings)).transpose()?, elsewhere })
}

/// Says who the bots are, and while nothing is linked, how to begin.
pub async fn greet(local: &Local) -> Result<(), Failure> {
    let Listening { discord, telegram, .. } = &local.bots;
    if let Some(name) = discord {
        println!("\n  discord   {}", printable(name));
    }
    if let Some(name) = telegram {
        println!("\n  telegram  @{}", printable(name));
    }
    let failed = |error: convoke_app::failure::Failure| Failure::caused("links can't be read", &error);
    let tenant: TenantId = TENANT.parse().map_err(|error| Failure::caused("no tenant", &error))?;
    let there_is_one = discord.is_some() || telegram.is_some();
    if !there_is_one || !local.platform.links(&tenant).await.map_err(failed)?.is_empty() {
        return Ok(());
    }
    let code = local.platform.new_link_code(&tenant, WhoMay::Everybody).await.map_err(failed)?;
    println!("    nobody may use it yet. Within {} minutes, once,", CODE_TTL_S / 60);
    if discord.is_some() {
        println!("    type in a channel, or to the bot alone  /crew link {code}");
    }
    if let Some(name) = telegram {
        println!("    open for yourself  https://t.me/{name}?start={code}");
        println!("    open for a group   https://t.me/{name}?startgroup={code}");
    }
    Ok(())
}

/// Why a bot can't be, and what to do.
pub fn failure(error: &BotError) -> Failure {
    match error {
        BotError::Polling(PollError::WebhookStands { .. }) => Failure::caused("", error)
            .hint(
                "end that one by `convoke bots webhook delete`, or take its place by --take-over, or make another bot",
            )
            .usage_exit(),
        BotError::Unknown(error) | BotError::Polling(PollError::Call(error)) => of_call(error),
        BotError::Gateway(GatewayError::Endpoint { .. } | GatewayError::NoToken) => {
            Failure::caused("", error).usage_exit()
        }
        BotError::Discord(_) | BotError::Gateway(_) => Failure::caused("the bot on Discord can't start", error),
        BotError::Client(_) => Failure::caused("", error),
    }
}

/// What is known of the bot on Telegram without asking it.
pub fn told_of_telegram(settings: &Settings) -> Result<String, Failure> {
    let read = Telegram::read(settings).map_err(|mistakes| Failure::usage(settings.explain(&mistakes)))?;
    Ok(read.map_or_else(
        || format!("no bot: {TOKEN} isn't set"),
        |read| format!("bot {}: `convoke serve --telegram`, or `convoke bots webhook show`", read.token.bot()),
    ))
}

fn telegram(settings: &Settings) -> Result<Telegram, Failure> {
    let read = Telegram::read(settings).map_err(|mistakes| Failure::usage(settings.explain(&mistakes)))?;
    read.ok_or_else(|| {
        let what = format!("there is no bot on Telegram: {TOKEN} isn't set");
        Failure::usage(what).hint("@BotFather on Telegram makes a bot and says its token: `export TELEGRAM_TOKEN=...`")
    })
}

async fn webhook(telegram: &Telegram, command: WebhookCommand) -> Result<Exit, Failure> {
    let api = convoke_telegram::api(telegram).map_err(|error| Failure::caused("", &error))?;
    match command {
        WebhookCommand::Set(place) => set(&api, telegram, &place).await,
        WebhookCommand::Show => show(&api).await,
        WebhookCommand::Delete => {
            setup::delete_webhook(&api).await.map_err(|error| of_call(&error))?;
            println!("updates are kept until they are asked for: `convoke serve --telegram`");
            Ok(Exit::Done)
        }
    }
}

async fn set(api: &Api, telegram: &Telegram, place: &Place) -> Result<Exit, Failure> {
    let url = url(place).await?;
    let (me, before) = known(api).await?;
    setup::set_webhook(api, &url, &telegram.secret).await.map_err(|error| of_call(&error))?;
    setup::offer_commands(api).await.map_err(|error| of_call(&error))?;
    println!("updates of @{} go to {url}", printable(&me.username));
    if !before.url.is_empty() && before.url != url {
        println!("  before  {}", printable(&before.url));
    }
    println!("  next    a code by `convoke link`, then https://t.me/{}?startgroup=CODE", printable(&me.username));
    Ok(Exit::Done)
}

async fn show(api: &Api) -> Result<Exit, Failure> {
    let (me, webhook) = known(api).await?;
    let name = printable(&me.username);
    if webhook.url.is_empty() {
        println!("updates of @{name} are kept until they are asked for");
    } else {
        println!("updates of @{name} go to {}", printable(&webhook.url));
    }
    println!("  waiting  {}", webhook.pending_update_count);
    if let Some(why) = &webhook.last_error_message {
        let when = webhook.last_error_date.unwrap_or_default();
        println!("  failed   at {when} (Unix seconds): {}", printable(why));
    }
    if me.can_read_all_group_messages {
        println!("  note     the bot gets all messages of its groups, and needs none of them: BotFather's /setprivacy");
    }
    Ok(Exit::Done)
}

async fn known(api: &Api) -> Result<(Me, Webhook), Failure> {
    let me = setup::me(api).await.map_err(|error| of_call(&error))?;
    let webhook = setup::webhook(api).await.map_err(|error| of_call(&error))?;
    Ok((me, webhook))
}

/// Where the installation hears updates.
async fn url(place: &Place) -> Result<String, Failure> {
    let found = match (&place.url, &place.stack) {
        (Some(url), _) => url.clone(),
        (None, Some(stack)) => stack::find(stack).await?.url,
        (None, None) => {
            return Err(Failure::usage("which installation is meant? say --stack NAME, or --url https://.."));
        }
    };
    let base = found.trim_end_matches('/').trim_end_matches(PATH);
    if !base.starts_with("https://") {
        return Err(Failure::usage(format!("Telegram sends updates over https alone, not to {base}")));
    }
    Ok(format!("{base}{PATH}"))
}

fn of_call(error: &CallError) -> Failure {
    let hint = match error {
        CallError::Refused { status: 401 | 404, .. } => "see to TELEGRAM_TOKEN: BotFather's /mybots shows it",
        CallError::Unsent(_) | CallError::Lost(_) | CallError::Unknown { .. } => "try again with a network",
        _ => "try again later",
    };
    Failure::caused("Telegram can't be asked", error).hint(hint)
}
