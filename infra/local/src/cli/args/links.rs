//! Arguments about links.

use clap::Args;

use super::Target;

/// Arguments of `link`.
#[derive(Debug, Args)]
pub struct LinkArgs {
    /// Lets only admins of the guild or group submit there.
    #[arg(long)]
    pub admins: bool,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub target: Target,
}

/// Arguments of `links`.
#[derive(Debug, Args)]
pub struct LinksArgs {
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub target: Target,
}

/// Arguments of `unlink`.
#[derive(Debug, Args)]
pub struct UnlinkArgs {
    /// Which guild, group or person, as `links` lists them.
    pub realm: String,
    /// Which installation.
    #[command(flatten)]
    pub target: Target,
}
