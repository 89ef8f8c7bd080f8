//! What whoever runs an installation asks for.

use clap::{Args, Subcommand};

/// Arguments of `tenants`.
#[derive(Debug, Args)]
pub struct TenantsArgs {
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// The stack of an installation in your AWS account, with your credentials; the data folder's where it is missing.
    #[arg(long, env = "CONVOKE_STACK", value_name = "NAME")]
    pub stack: Option<String>,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The stack of an installation in your AWS account, with your credentials; this machine where it is missing.
    #[arg(long, env = "CONVOKE_STACK", value_name = "NAME")]
    pub stack: Option<String>,
    /// With --stack: where its API is, if not where the stack says.
    #[arg(long, env = "CONVOKE_URL", value_name = "URL")]
    pub url: Option<String>,
    /// With --stack: calls no model. Otherwise each that is set up is asked for one word, which costs a fraction of a cent.
    #[arg(long)]
    pub no_calls: bool,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Makes a key and shows it, once.
    Create {
        /// What to call it.
        #[arg(default_value = "default")]
        name: String,
        /// Whose jobs it opens, and where.
        #[command(flatten)]
        whose: Whose,
    },
    /// Lists keys.
    List {
        /// Whose, and where.
        #[command(flatten)]
        whose: Whose,
    },
    /// Deletes a key by the characters that it begins with.
    Delete {
        /// The prefix that `list` shows.
        prefix: String,
        /// Whose, and where.
        #[command(flatten)]
        whose: Whose,
    },
}

impl KeysCommand {
    /// Whose keys it is about, and where.
    pub const fn whose(&self) -> &Whose {
        match self {
            Self::Create { whose, .. } | Self::List { whose } | Self::Delete { whose, .. } => whose,
        }
    }
}

/// Whose keys, and of which installation.
#[derive(Debug, Args)]
pub struct Whose {
    /// Whose keys.
    #[arg(long, default_value = "local")]
    pub tenant: String,
    /// The stack of an installation in your AWS account, with your credentials; the data folder's where it is missing.
    #[arg(long, env = "CONVOKE_STACK", value_name = "NAME")]
    pub stack: Option<String>,
}
