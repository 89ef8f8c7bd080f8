//! What people do on Discord, as far as it concerns us: parsed once, at the edge.
//!
//! The same text comes in over HTTP and, on one machine, over the gateway.

mod wire;

use convoke_chat::command::{Attached, Given, Value as GivenValue};
use convoke_domain::chat::{ChatId, PersonId, RealmId};
use convoke_runtime::Secret;
use serde_json::Value;

use wire::{Component, Data, DataOption, User};

/// When ids began (Unix milliseconds). <https://discord.com/developers/docs/reference#snowflakes>
const EPOCH_MS: u64 = 1_420_070_400_000;
const PING: u8 = 1;
const COMMAND: u8 = 2;
const COMPONENT: u8 = 3;
const AUTOCOMPLETE: u8 = 4;
const MODAL: u8 = 5;
/// An option of type subcommand, or group of such.
const SUBCOMMAND: u8 = 1;
const SUBCOMMAND_GROUP: u8 = 2;
/// An option whose value is an attachment's id.
const ATTACHMENT: u8 = 11;
/// A command on a message.
const ON_MESSAGE: u8 = 3;
/// Installed for a guild, as `authorizing_integration_owners` says it.
pub(crate) const BY_GUILD: &str = "0";
/// Direct messages with the bot.
pub(crate) const CONTEXT_BOT_DM: u8 = 1;
/// A guild's owner, its administrators, and who may change what is installed there.
const ADMINISTRATOR: u64 = 1 << 3;
const MANAGE_GUILD: u64 = 1 << 5;
/// What posting takes where the bot was told by a command.
const VIEW_CHANNEL: u64 = 1 << 10;
const SEND_MESSAGES: u64 = 1 << 11;
const EMBED_LINKS: u64 = 1 << 14;
const SEND_MESSAGES_IN_THREADS: u64 = 1 << 38;
/// Threads of a guild: of news, public, private.
const THREADS: [u8; 3] = [10, 11, 12];

/// An interaction: who did what, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// Its id, which no other has.
    pub id: u64,
    /// The application that it is with.
    pub application: u64,
    /// Answers to it are sent with this, for 15 minutes.
    pub token: Secret,
    /// Who.
    pub from: From,
    /// Where.
    pub place: Place,
    /// What it was done to.
    pub origin: Origin,
    /// What.
    pub asks: Asks,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// Their id.
    pub user: u64,
    /// What they are called there.
    pub name: String,
    /// Whether they may decide for the guild: by `ADMINISTRATOR` or `MANAGE_GUILD`. In direct messages everybody decides
    /// for themselves.
    pub is_admin: bool,
}

impl From {
    /// The person.
    pub const fn person(&self) -> PersonId {
        PersonId::Discord(self.user)
    }
}

/// Where it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A channel or thread that the bot was invited to.
    Guild {
        /// The guild.
        guild: u64,
        /// The channel or thread.
        channel: u64,
        /// Whether the bot may post there.
        may_post: bool,
    },
    /// Direct messages with the bot.
    Direct {
        /// Their channel.
        channel: u64,
    },
    /// Somewhere that only the person has the bot, not the place: other people's direct messages, or a guild that never
    /// invited it. Nothing can be posted there but answers.
    Elsewhere {
        /// The channel.
        channel: u64,
    },
}

impl Place {
    /// What is linked to a tenant there: the guild, or the person for themselves.
    pub const fn realm(self, from: &From) -> RealmId {
        match self {
            Self::Guild { guild, .. } => RealmId::Guild(guild),
            Self::Direct { .. } | Self::Elsewhere { .. } => RealmId::Person(from.person()),
        }
    }

    /// The channel or thread that it was done in.
    pub const fn channel(self) -> u64 {
        match self {
            Self::Guild { channel, .. } | Self::Direct { channel } | Self::Elsewhere { channel } => channel,
        }
    }

    /// The chat that the bot can post to there; none where it has to be opened first.
    pub const fn chat(self) -> Option<ChatId> {
        match self {
            Self::Guild { channel, may_post: true, .. } | Self::Direct { channel } => Some(ChatId::Discord(channel)),
            Self::Guild { .. } | Self::Elsewhere { .. } => None,
        }
    }
}

/// What an interaction was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing that is there: a command.
    Command,
    /// A message of ours: one of its buttons was pressed, at once or before the modal was filled in.
    Message,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Discord asks whether we are there.
    Ping,
    /// Somebody gave a command.
    Command {
        /// The command's name and those of its subcommands, outermost first.
        path: Vec<String>,
        /// What was given with it.
        options: Vec<Given>,
    },
    /// Somebody types a value and wants to be offered some.
    Complete {
        /// As in [`Self::Command`].
        path: Vec<String>,
        /// The option that is being typed.
        option: String,
        /// What was typed so far.
        typed: String,
    },
    /// Somebody gave a command on a message.
    OnMessage {
        /// The command's name.
        name: String,
        /// Ids of the message's buttons, of whichever bot they are.
        buttons: Vec<String>,
    },
    /// Somebody pressed a button.
    Press {
        /// Its id.
        custom_id: String,
    },
    /// Somebody sent a modal off.
    Typed {
        /// The modal's id.
        custom_id: String,
        /// What was typed, by the fields' ids.
        values: Vec<(String, String)>,
    },
    /// Something that nobody knew of when this was written.
    Unknown(u8),
}

/// A text that is no interaction. Final.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It isn't of the form.
    #[error("this is no interaction")]
    Malformed(#[source] serde_json::Error),
    /// Nobody did it.
    #[error("the interaction says nothing of {0}")]
    Without(&'static str),
}

impl Interaction {
    /// When Discord made it, by its own clock (Unix milliseconds).
    pub const fn created_ms(&self) -> u64 {
        (self.id >> 22) + EPOCH_MS
    }

    /// Reads an interaction as Discord sends it.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let wire: wire::Interaction = serde_json::from_slice(text).map_err(ParseError::Malformed)?;
        Self::of(wire)
    }

    fn of(wire: wire::Interaction) -> Result<Self, ParseError> {
        if wire.kind == PING {
            return Ok(Self::ping(&wire));
        }
        let place = place(&wire)?;
        let from = from(&wire, place)?;
        let asks = asks(wire.kind, wire.data.unwrap_or_default());
        let origin = if wire.message.is_some() { Origin::Message } else { Origin::Command };
        let (id, application) = (wire.id.0, wire.application_id.0);
        Ok(Self { id, application, token: Secret::new(wire.token), from, place, origin, asks })
    }

    /// Nobody in particular, nowhere, asks whether we are there.
    fn ping(wire: &wire::Interaction) -> Self {
        Self {
            id: wire.id.0,
            application: wire.application_id.0,
            token: Secret::new(&wire.token),
            from: From { user: 0, name: String::new(), is_admin: false },
            place: Place::Elsewhere { channel: 0 },
            origin: Origin::Command,
            asks: Asks::Ping,
        }
    }
}

fn place(wire: &wire::Interaction) -> Result<Place, ParseError> {
    let channel = wire.channel_id.ok_or(ParseError::Without("a channel"))?.0;
    let is_invited = wire.authorizing_integration_owners.contains_key(BY_GUILD);
    Ok(match wire.guild_id {
        Some(guild) if is_invited => Place::Guild { guild: guild.0, channel, may_post: may_post(wire) },
        None if wire.context == Some(CONTEXT_BOT_DM) => Place::Direct { channel },
        _ => Place::Elsewhere { channel },
    })
}

/// Whether the bot may post where it was spoken to, as Discord says with each interaction.
fn may_post(wire: &wire::Interaction) -> bool {
    let is_thread = wire.channel.as_ref().is_some_and(|channel| THREADS.contains(&channel.kind));
    let send = if is_thread { SEND_MESSAGES_IN_THREADS } else { SEND_MESSAGES };
    let (needed, has) = (VIEW_CHANNEL | send | EMBED_LINKS, permissions(wire.app_permissions.as_deref()));
    has & ADMINISTRATOR != 0 || has & needed == needed
}

fn permissions(text: Option<&str>) -> u64 {
    text.and_then(|bits| bits.parse().ok()).unwrap_or(0)
}

fn from(wire: &wire::Interaction, place: Place) -> Result<From, ParseError> {
    let member = wire.member.as_ref();
    let user: Option<&User> = member.and_then(|member| member.user.as_ref()).or(wire.user.as_ref());
    let user = user.ok_or(ParseError::Without("a person"))?;
    let nick = member.and_then(|member| member.nick.as_deref());
    let name = nick.or(user.global_name.as_deref()).unwrap_or(&user.username).to_owned();
    let may = permissions(member.and_then(|member| member.permissions.as_deref()));
    let is_admin = match place {
        Place::Guild { .. } => may & (ADMINISTRATOR | MANAGE_GUILD) != 0,
        Place::Direct { .. } | Place::Elsewhere { .. } => true,
    };
    Ok(From { user: user.id.0, name, is_admin })
}

fn asks(kind: u8, data: Data) -> Asks {
    match kind {
        COMMAND if data.kind == ON_MESSAGE => on_message(data),
        COMMAND => {
            let (path, options) = innermost(data.name, data.options);
            let given = options.into_iter().map(|option| given(option, &data.resolved)).collect();
            Asks::Command { path, options: given }
        }
        AUTOCOMPLETE => {
            let (path, options) = innermost(data.name, data.options);
            let focused = options.into_iter().find(|option| option.focused);
            let (option, typed) = focused.map(|option| (option.name, text(option.value))).unwrap_or_default();
            Asks::Complete { path, option, typed }
        }
        COMPONENT => Asks::Press { custom_id: data.custom_id },
        MODAL => Asks::Typed { values: typed(&data.components), custom_id: data.custom_id },
        unknown => Asks::Unknown(unknown),
    }
}

/// The names on the way to the innermost subcommand, and what was given with that.
fn innermost(name: String, options: Vec<DataOption>) -> (Vec<String>, Vec<DataOption>) {
    let (mut path, mut options) = (vec![name], options);
    while options.first().is_some_and(|option| [SUBCOMMAND, SUBCOMMAND_GROUP].contains(&option.kind)) {
        let inner = options.swap_remove(0);
        path.push(inner.name);
        options = inner.options;
    }
    (path, options)
}

fn given(option: DataOption, resolved: &wire::Resolved) -> Given {
    let value = text(option.value);
    let attached = (option.kind == ATTACHMENT).then(|| resolved.attachments.get(&value)).flatten();
    let value = match attached {
        None => GivenValue::Text(value),
        Some(file) => GivenValue::File(Attached {
            name: file.filename.clone(),
            media_type: file.content_type.clone(),
            bytes: file.size,
            source: file.url.clone(),
        }),
    };
    Given { name: option.name, value }
}

fn on_message(data: Data) -> Asks {
    let target = data.target_id.map(|target| target.0.to_string()).unwrap_or_default();
    let components = data.resolved.messages.get(&target).map(|message| message.components.as_slice());
    let within = components.unwrap_or_default().iter().flat_map(Component::all);
    let buttons = within.filter_map(|component| component.custom_id.clone()).collect();
    Asks::OnMessage { name: data.name, buttons }
}

/// The fields' values, whether they stand in rows or under labels.
fn typed(components: &[Component]) -> Vec<(String, String)> {
    let fields = components.iter().flat_map(Component::all);
    let values = fields.filter_map(|field| Some((field.custom_id.clone()?, text(Some(field.value.clone()?)))));
    values.collect()
}

fn text(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
