//! Arguments about webhooks.

use clap::{Args, Subcommand};

use super::Target;

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// Makes a webhook and shows its secret, once.
    Create {
        /// Where to: an https URL of a public host.
        #[arg(value_name = "URL")]
        place: String,
        /// A type of event that is wanted, `*` for all; `job.ended` where none is named.
        #[arg(long, value_name = "TYPE")]
        event: Vec<String>,
        /// What to call it.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// Which installation.
        #[command(flatten)]
        target: Target,
    },
    /// Lists webhooks.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// Which installation.
        #[command(flatten)]
        target: Target,
    },
    /// Deletes a webhook.
    Delete(WebhookArgs),
    /// Gives a webhook a new secret and shows it, once; the one before signs as well for a day.
    Rotate(WebhookArgs),
    /// Sends a webhook a message now and says what came back.
    Test(WebhookArgs),
    /// Lists the tries at a webhook, newest first.
    Deliveries {
        /// Which webhook.
        #[command(flatten)]
        args: WebhookArgs,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Has the event of a try sent again.
    Redeliver {
        /// Which webhook.
        #[command(flatten)]
        args: WebhookArgs,
        /// Which try, as `deliveries` lists it.
        delivery: String,
    },
}

impl WebhooksCommand {
    /// Which installation.
    pub const fn target(&self) -> &Target {
        match self {
            Self::Create { target, .. } | Self::List { target, .. } => target,
            Self::Delete(args)
            | Self::Rotate(args)
            | Self::Test(args)
            | Self::Deliveries { args, .. }
            | Self::Redeliver { args, .. } => &args.target,
        }
    }
}

/// One webhook.
#[derive(Debug, Args)]
pub struct WebhookArgs {
    /// Which webhook.
    pub webhook: String,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub target: Target,
}
