//! Chats: where people talk to Convoke, who they are there, and what of it is linked to a tenant.
//!
//! | what | as text |
//! |---|---|
//! | a channel of Discord | `dc_123` |
//! | a chat of Telegram, or a topic of one | `tg_-100123`, `tg_-100123_7` |
//! | a person there | `dcu_42`, `tgu_42` |
//! | a guild of Discord, a group of Telegram | `dcg_99`, `tgg_-100123` |

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::IdError;

/// Where people talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ChatId {
    /// A channel or a thread of Discord.
    Discord(u64),
    /// A chat of Telegram.
    Telegram {
        /// The chat; of a person it is the person's own id, of groups it is negative.
        chat: i64,
        /// The topic within it.
        thread: Option<i32>,
    },
}

/// Somebody who talks there. Names and handles change, these don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PersonId {
    /// A user of Discord.
    Discord(u64),
    /// A user of Telegram.
    Telegram(u64),
}

/// What is linked to a tenant: the people of a guild or a group together, or one person in direct messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RealmId {
    /// A guild of Discord.
    Guild(u64),
    /// A group of Telegram, with all its topics.
    Group(i64),
    /// One person.
    Person(PersonId),
}

/// A bot, by where it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bot {
    /// In Discord.
    Discord,
    /// In Telegram.
    Telegram,
}

/// A message that a bot has posted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageRef {
    /// Where.
    pub chat: ChatId,
    /// Its id there, as the platform writes it.
    pub message: String,
}

impl Bot {
    /// Its name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discord => "discord",
            Self::Telegram => "telegram",
        }
    }
}

impl fmt::Display for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ChatId {
    /// The bot that is there.
    pub const fn bot(&self) -> Bot {
        match self {
            Self::Discord(_) => Bot::Discord,
            Self::Telegram { .. } => Bot::Telegram,
        }
    }

    /// What the platform counts messages by: a channel or thread of Discord, a chat of Telegram with all its topics.
    #[must_use]
    pub const fn room(&self) -> Self {
        match *self {
            Self::Discord(channel) => Self::Discord(channel),
            Self::Telegram { chat, .. } => Self::Telegram { chat, thread: None },
        }
    }

    /// The realm, where the id alone tells it: Discord's channels don't say whose they are.
    pub fn own_realm(&self) -> Option<RealmId> {
        match *self {
            Self::Discord(_) => None,
            Self::Telegram { chat, .. } => Some(match u64::try_from(chat) {
                Ok(user) => RealmId::Person(PersonId::Telegram(user)),
                Err(_) => RealmId::Group(chat),
            }),
        }
    }
}

impl RealmId {
    /// The bot that is there.
    pub const fn bot(&self) -> Bot {
        match self {
            Self::Guild(_) | Self::Person(PersonId::Discord(_)) => Bot::Discord,
            Self::Group(_) | Self::Person(PersonId::Telegram(_)) => Bot::Telegram,
        }
    }
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discord(channel) => write!(f, "dc_{channel}"),
            Self::Telegram { chat, thread: None } => write!(f, "tg_{chat}"),
            Self::Telegram { chat, thread: Some(thread) } => write!(f, "tg_{chat}_{thread}"),
        }
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discord(user) => write!(f, "dcu_{user}"),
            Self::Telegram(user) => write!(f, "tgu_{user}"),
        }
    }
}

impl fmt::Display for RealmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guild(guild) => write!(f, "dcg_{guild}"),
            Self::Group(group) => write!(f, "tgg_{group}"),
            Self::Person(person) => person.fmt(f),
        }
    }
}

/// A number as it is always written: other spellings of it would be other names of one thing.
fn number<N: FromStr + fmt::Display>(text: &str) -> Option<N> {
    text.parse().ok().filter(|number: &N| number.to_string() == text)
}

impl FromStr for ChatId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parsed = match text.split_once('_') {
            Some(("dc", channel)) => number(channel).map(Self::Discord),
            Some(("tg", rest)) => match rest.split_once('_') {
                None => number(rest).map(|chat| Self::Telegram { chat, thread: None }),
                Some((chat, thread)) => {
                    number(chat).zip(number(thread)).map(|(chat, thread)| Self::Telegram { chat, thread: Some(thread) })
                }
            },
            _ => None,
        };
        parsed.ok_or(IdError { what: "chat", expected: "dc_CHANNEL, tg_CHAT or tg_CHAT_THREAD" })
    }
}

impl FromStr for PersonId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parsed = match text.split_once('_') {
            Some(("dcu", user)) => number(user).map(Self::Discord),
            Some(("tgu", user)) => number(user).map(Self::Telegram),
            _ => None,
        };
        parsed.ok_or(IdError { what: "person", expected: "dcu_USER or tgu_USER" })
    }
}

impl FromStr for RealmId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parsed = match text.split_once('_') {
            Some(("dcg", guild)) => number(guild).map(Self::Guild),
            Some(("tgg", group)) => number(group).map(Self::Group),
            _ => text.parse().ok().map(Self::Person),
        };
        parsed.ok_or(IdError { what: "realm", expected: "dcg_GUILD, tgg_GROUP, dcu_USER or tgu_USER" })
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

as_text!(ChatId);
as_text!(PersonId);
as_text!(RealmId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_being_written() {
        for text in ["dc_1", "dc_18446744073709551615", "tg_5", "tg_-1001234567890", "tg_-1001234567890_7"] {
            assert_eq!(text.parse::<ChatId>().expect("a chat").to_string(), text);
        }
        for text in ["dcu_1", "tgu_5"] {
            assert_eq!(text.parse::<PersonId>().expect("a person").to_string(), text);
            assert_eq!(text.parse::<RealmId>().expect("a realm").to_string(), text);
        }
        for text in ["dcg_1", "tgg_-1001"] {
            assert_eq!(text.parse::<RealmId>().expect("a realm").to_string(), text);
        }
    }

    #[test]
    fn topics_share_a_room_and_only_telegram_says_whose_a_chat_is() {
        let parse = |text: &str| text.parse::<ChatId>().expect("a chat");
        assert_eq!(parse("tg_-5_7").room(), parse("tg_-5"));
        assert_eq!(parse("dc_5").room(), parse("dc_5"));
        assert_eq!(parse("tg_-5_7").own_realm(), Some(RealmId::Group(-5)));
        assert_eq!(parse("tg_5").own_realm(), Some(RealmId::Person(PersonId::Telegram(5))));
        assert_eq!(parse("dc_5").own_realm(), None);
        assert_eq!((parse("dc_5").bot(), RealmId::Group(-5).bot()), (Bot::Discord, Bot::Telegram));
    }

    #[test]
    fn nothing_has_two_names() {
        for text in
            ["", "dc_", "dc_01", "dc_+1", "dc_-1", "dc_1_2", "tg_", "tg_05", "tg_5_", "tg_5_+7", "tg_1_2_3", "xx_1"]
        {
            assert!(text.parse::<ChatId>().is_err(), "{text}");
        }
        for text in ["", "dcu_", "tgu_-5", "dcg_1", "1"] {
            assert!(text.parse::<PersonId>().is_err(), "{text}");
        }
        for text in ["dcg_-1", "tgg_", "dc_1"] {
            assert!(text.parse::<RealmId>().is_err(), "{text}");
        }
    }
}
