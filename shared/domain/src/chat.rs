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
