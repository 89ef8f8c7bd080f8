//! Bots, on the command line.

use clap::{Args, Subcommand};

/// What to do with bots.
#[derive(Debug, Subcommand)]
pub enum BotsCommand {
    /// Tells Discord the commands of the bot whose token is `DISCORD_TOKEN`, and says what to do next.
    Register(RegisterArgs),
    /// Where Telegram sends what people do: for an installation that it can reach.
    #[command(subcommand)]
    Webhook(WebhookCommand),
}

/// Arguments of `bots register`.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// In this guild alone, where they are known at once; everywhere where it is missing.
    #[arg(long, value_name = "ID")]
    pub guild: Option<u64>,
    /// The stack whose endpoint is shown.
    #[arg(long, env = "CONVOKE_STACK", value_name = "NAME")]
    pub stack: Option<String>,
}

/// What to do with the webhook of the bot on Telegram whose token is `TELEGRAM_TOKEN`.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Has updates sent to an installation, and the commands offered.
    Set(Place),
    /// Says where updates go, how many wait, and what last went wrong.
    Show,
    /// Has updates kept until `convoke serve --telegram` asks for them.
    Delete,
}

/// An installation that platforms can reach.
#[derive(Debug, Args)]
pub struct Place {
    /// Its URL, https.
    #[arg(long, value_name = "URL", conflicts_with = "stack")]
    pub url: Option<String>,
    /// Its stack in your AWS account, with your credentials.
    #[arg(long, env = "CONVOKE_STACK", value_name = "NAME")]
    pub stack: Option<String>,
}
