//! The bot on Discord: telling Discord what it can do, and its operator what to do next.

use convoke_chat::command::discord_commands;
use convoke_discord::api::Application;
use convoke_discord::endpoint;
use convoke_discord::rest::Rest;
use convoke_discord::rest::failure::RestError;
use convoke_discord::settings::{PUBLIC_KEY, Settings as Discord, TOKEN};
use convoke_runtime::config::Strings;

use super::args::RegisterArgs;
use super::failure::{Exit, Failure};
use super::stack;
use crate::settings::Settings;

/// What the bot needs in a guild: to see channels, write in them and in their threads, embed, attach files, open threads,
/// and read what it wrote before.
const PERMISSIONS: u64 = 1 << 10 | 1 << 11 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 35 | 1 << 38;

/// What is set up, for `doctor`.
pub fn state(settings: &Settings) -> Result<String, Failure> {
    let discord = Discord::read(settings).map_err(|mistakes| Failure::usage(settings.explain(&mistakes)))?;
    Ok(match (&discord.token, &discord.public_key) {
        (None, None) => format!("no bot on Discord: README.md says how to make one, {TOKEN} names it"),
        (None, Some(_)) => format!("{TOKEN} is missing"),
        (Some(_), None) => "set up for `convoke serve --discord`".to_owned(),
        (Some(_), Some(_)) => "set up for `convoke serve --discord`, and for interactions over HTTP".to_owned(),
    })
}

/// The settings of the bot, which has a token.
pub fn settings_of(settings: &Settings) -> Result<Discord, Failure> {
    let discord = Discord::read(settings).map_err(|mistakes| Failure::usage(settings.explain(&mistakes)))?;
    if discord.token.is_some() {
        return Ok(discord);
    }
    Err(Failure::usage(format!(
        "{TOKEN} is missing: set it to the token of your bot; README.md says where it is found"
    )))
}

/// Tells Discord the commands.
pub async fn register(settings: &Settings, args: &RegisterArgs) -> Result<Exit, Failure> {
    let discord = settings_of(settings)?;
    let rest = Rest::new(&discord).map_err(|error| refused(&error))?;
    let application = rest.application().await.map_err(|error| refused(&error))?;
    if settings.get(PUBLIC_KEY).is_some_and(|key| !key.trim().eq_ignore_ascii_case(&application.verify_key)) {
        let (name, key) = (&application.name, &application.verify_key);
        return Err(Failure::usage(format!("{PUBLIC_KEY} is another application's: that of {name} is {key}")));
    }
    let commands = discord_commands();
    let commands = commands.as_array().map(Vec::as_slice).unwrap_or_default();
    rest.put_commands(&application.id, args.guild, commands).await.map_err(|error| refused(&error))?;
    let url = match &args.stack {
        None => None,
        Some(stack) => Some(stack::find(stack).await?.url),
    };
    print!("{}", told(&application, url.as_deref()));
    Ok(Exit::Done)
}

fn refused(error: &RestError) -> Failure {
    let failure = Failure::caused("Discord doesn't register the bot", error);
    match error {
        RestError::Refused { status: 401, .. } => failure
            .hint("that is no bot's token: reset it on the page \"Bot\" of your application, and set DISCORD_TOKEN"),
        _ => failure,
    }
}

/// What to do next. `url` is the installation's in an account.
fn told(application: &Application, url: Option<&str>) -> String {
    let Application { id, name, verify_key, interactions_endpoint_url: endpoint } = application;
    let invite = format!(
        "https://discord.com/oauth2/authorize?client_id={id}&permissions={PERMISSIONS}&scope=bot+applications.commands"
    );
    let wanted = url.map_or_else(|| "URL".to_owned(), str::to_owned) + endpoint::PATH;
    let now = match endpoint {
        None => "interactions come over the gateway: `convoke serve --discord` gets them".to_owned(),
        Some(url) if *url == wanted => format!("interactions go to {url}: all is set"),
        Some(url) => format!("interactions go to {url}"),
    };
    format!(
        "{name} knows /crew and \"Follow up\"; {now}\n\n\
         1. Invite it to your server, or add it to your account:\n   {invite}\n\
         2. On this machine:  convoke serve --discord\n   \
            In your account:  aws ssm put-parameter --type SecureString --name /convoke/discord --value TOKEN\n                     \
            sam deploy --parameter-overrides DiscordTokenParameter=/convoke/discord DiscordPublicKey={verify_key}\n                     \
            and then, as \"Interactions Endpoint URL\" on https://discord.com/developers/applications/{id}/information\n                     \
            {wanted}\n\
         3. In a channel:     /crew link CODE     with the code that `convoke serve --discord` or `convoke link` prints\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(endpoint: Option<&str>) -> Application {
        Application {
            id: "77".into(),
            name: "convoke".into(),
            verify_key: "ab".repeat(32),
            interactions_endpoint_url: endpoint.map(str::to_owned),
        }
    }

    #[test]
    fn whoever_registers_is_told_what_to_do_next() {
        let told_here = told(&application(None), None);
        assert!(
            told_here.contains("client_id=77&permissions=309237763072&scope=bot+applications.commands"),
            "{told_here}"
        );
        assert!(told_here.contains(&format!("DiscordPublicKey={}", "ab".repeat(32))), "{told_here}");
        assert!(told_here.contains("over the gateway"), "{told_here}");
        let url = "https://x.example/discord/interactions";
        let there = told(&application(Some(url)), Some("https://x.example"));
        assert!(there.contains("all is set") && there.contains(url), "{there}");
        let elsewhere = told(&application(Some("https://y.example")), Some("https://x.example"));
        assert!(elsewhere.contains("go to https://y.example\n") && elsewhere.contains(url), "{elsewhere}");
    }
}
