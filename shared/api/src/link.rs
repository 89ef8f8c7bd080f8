//! Links: which guilds, groups and people in chats are a tenant's.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// What is to be linked: the body of `POST /v1/links`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkRequest {
    /// Who may submit there; everybody where it is missing.
    #[serde(default)]
    pub who_may: WhoMay,
}

/// Who may submit in what is linked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhoMay {
    /// Everybody there.
    #[default]
    Everybody,
    /// Its admins.
    Admins,
}

/// A one-time code, shown this once: whatever an admin types it into first is linked to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkCodeView {
    /// The code.
    #[schema(example = "7K2QF9XW3M", pattern = "^[0-9A-HJKMNP-TV-Z]{10}$")]
    pub code: String,
    /// When it stops working.
    pub expires_at: Time,
    /// Who may submit then.
    pub who_may: WhoMay,
    /// What to type in Discord.
    #[schema(example = "/crew link 7K2QF9XW3M")]
    pub discord: String,
    /// What to type in Telegram.
    #[schema(example = "/link 7K2QF9XW3M")]
    pub telegram: String,
}

/// A guild, a group, or a person in direct messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkView {
    /// Its id: `dcg_` a guild of Discord, `tgg_` a group of Telegram, `dcu_` and `tgu_` people.
    #[schema(example = "tgg_-100123")]
    pub realm: String,
    /// What it was called when it was linked; may be empty.
    pub title: String,
    /// Who may submit there.
    pub who_may: WhoMay,
    /// Who linked it, as the chat showed their name.
    pub linked_by: String,
    /// When.
    pub created_at: Time,
    /// Its URL.
    pub href: String,
}

/// The caller's links, by realm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkList {
    /// All of them.
    pub links: Vec<LinkView>,
}
