//! Interactions as Discord writes them: what is read of them, and nothing else.
//! <https://discord.com/developers/docs/interactions/receiving-and-responding>
//!
//! Not serenity's types: they lose the values of newer modals, and fail on whatever they don't know.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny};
use serde_json::Value;

/// An id: a number, written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Snowflake(pub u64);

impl<'de> Deserialize<'de> for Snowflake {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(u64),
        }
        match Written::deserialize(deserializer)? {
            Written::Text(text) => text.parse().map(Self).map_err(|_| D::Error::custom("an id that is no number")),
            Written::Number(number) => Ok(Self(number)),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Interaction {
    pub id: Snowflake,
    pub application_id: Snowflake,
    #[serde(rename = "type")]
    pub kind: u8,
    pub token: String,
    #[serde(default)]
    pub data: Option<Data>,
    pub guild_id: Option<Snowflake>,
    pub channel_id: Option<Snowflake>,
    pub channel: Option<Channel>,
    pub member: Option<Member>,
    pub user: Option<User>,
    pub app_permissions: Option<String>,
    #[serde(default)]
    pub authorizing_integration_owners: BTreeMap<String, Value>,
    pub context: Option<u8>,
    /// The message that it was done to.
    pub message: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Channel {
    #[serde(rename = "type")]
    pub kind: u8,
}

#[derive(Deserialize)]
pub(super) struct Member {
    pub user: Option<User>,
    pub nick: Option<String>,
    pub permissions: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub id: Snowflake,
    pub username: String,
    pub global_name: Option<String>,
}

/// What is asked for. Which fields are there depends on the interaction's type.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Data {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: u8,
    pub options: Vec<DataOption>,
    pub resolved: Resolved,
    pub target_id: Option<Snowflake>,
    pub custom_id: String,
    pub components: Vec<Component>,
}

#[derive(Deserialize)]
pub(super) struct DataOption {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: u8,
    pub value: Option<Value>,
    #[serde(default)]
    pub options: Vec<Self>,
    #[serde(default)]
    pub focused: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Resolved {
    pub attachments: BTreeMap<String, Attachment>,
    pub messages: BTreeMap<String, Message>,
}

#[derive(Deserialize)]
pub(super) struct Attachment {
    pub filename: String,
    pub url: String,
    pub size: u64,
    pub content_type: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub components: Vec<Component>,
}

/// A component of a message or of a modal: rows hold `components`, labels hold one `component`.
#[derive(Deserialize)]
pub(super) struct Component {
    pub custom_id: Option<String>,
    pub value: Option<Value>,
    #[serde(default)]
    pub components: Vec<Self>,
    #[serde(rename = "component")]
    pub labelled: Option<Box<Self>>,
}

impl Component {
    /// This component and all within it, outermost first.
    pub(super) fn all(&self) -> Vec<&Self> {
        let within = self.components.iter().chain(self.labelled.as_deref()).flat_map(Self::all);
        std::iter::once(self).chain(within).collect()
    }
}
