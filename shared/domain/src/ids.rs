//! Names of things: tenants, jobs, groups, slots, steps.
//!
//! Each is parsed at the edge and never checked again. Ids are made outside (time and randomness come in as text).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::chat::ChatId;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}: expected {expected}")]
pub struct IdError {
    /// Kind of id.
    pub what: &'static str,
    /// What it looks like.
    pub expected: &'static str,
}

/// Boundary of isolation, quota and bill: the first part of every key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

/// One piece of work: a ULID, so ids sort by time of submission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

/// A place that a tenant wants to be told at over HTTP: `wh_` and a ULID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookId(String);

/// Who is told of a job's events; the beginning of an id says which kind it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TargetId {
    /// A webhook of the job's tenant.
    Webhook(WebhookId),
    /// A chat.
    Chat(ChatId),
}

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

text_id!(TenantId);
text_id!(JobId);
text_id!(WebhookId);

impl FromStr for TenantId {
    type Err = IdError;

    /// Takes `[a-z0-9][a-z0-9-]{0,39}`.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = (1..=40).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError { what: "tenant", expected: "1 to 40 lower-case letters, digits and hyphens" })
        }
    }
}

/// Whether a text is a ULID in upper case.
fn is_ulid(text: &str) -> bool {
    let crockford = |b: u8| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"ILOU".contains(&b));
    text.len() == 26 && text.bytes().all(crockford) && text.as_bytes()[0] <= b'7'
}

impl FromStr for JobId {
    type Err = IdError;

    /// Takes a ULID in upper case.
    fn from_str(text: &str) -> Result<Self, IdError> {
        if is_ulid(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError { what: "job id", expected: "26 characters such as 01KAJ0X5T3ZQ4V8N2M6R7W9YBC" })
        }
    }
}

impl FromStr for WebhookId {
    type Err = IdError;

    /// Takes `wh_` and a ULID in upper case.
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.strip_prefix("wh_").is_some_and(is_ulid) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError { what: "webhook id", expected: "wh_ and 26 characters such as 01KAJ0X5T3ZQ4V8N2M6R7W9YBC" })
        }
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(id) => id.fmt(f),
            Self::Chat(chat) => chat.fmt(f),
        }
    }
}

impl FromStr for TargetId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.parse() {
            Ok(chat) => Ok(Self::Chat(chat)),
            Err(_) => text.parse().map(Self::Webhook),
        }
    }
}

impl TryFrom<String> for TargetId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<TargetId> for String {
    fn from(id: TargetId) -> Self {
        id.to_string()
    }
}

/// A job of a tenant: what every storage call takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub job: JobId,
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.job)
    }
}

/// A mutable item of a job: the job itself, or eight lanes of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum GroupId {
    /// The job's own item.
    Root,
    /// Part of a map's items.
    Fan {
        /// Index of the map's node.
        node: u16,
        /// Number of the group within the map.
        part: u16,
    },
}

impl fmt::Display for GroupId {
    /// `J`, or `G#003#07`: the item's sort key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("J"),
            Self::Fan { node, part } => write!(f, "G#{node:03}#{part:02}"),
        }
    }
}

impl FromStr for GroupId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { what: "group", expected: "J or G#nnn#nn" };
        if text == "J" {
            return Ok(Self::Root);
        }
        let (node, part) = text.strip_prefix("G#").and_then(|rest| rest.split_once('#')).ok_or(error.clone())?;
        match (node.parse(), part.parse()) {
            (Ok(node), Ok(part)) => Ok(Self::Fan { node, part }),
            _ => Err(error),
        }
    }
}

impl TryFrom<String> for GroupId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<GroupId> for String {
    fn from(id: GroupId) -> Self {
        id.to_string()
    }
}

/// A place in a group where one thread runs: a node, a lane, or the finish of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotId(pub u16);

impl SlotId {
    /// The slot of the step that ends a job.
    pub const FINISH: Self = Self(9_999);

    /// As an index of a node, an item or a lane.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One instance of a task inside a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId {
    /// The task's name.
    pub task: String,
    /// Which item of a fan-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Which round of a loop, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
}

impl StepId {
    /// A task that runs once.
    pub fn once(task: impl Into<String>) -> Self {
        Self { task: task.into(), item: None, round: None }
    }

    /// The step that ends a job.
    pub fn finish() -> Self {
        Self::once("(finish)")
    }

    /// As part of a sort key: steps of one task sort by item, then by round.
    pub fn sort_key(&self) -> String {
        let item = self.item.map_or_else(|| "-".to_owned(), |item| format!("{item:05}"));
        format!("{}#{item}#{:05}", self.task, self.round.unwrap_or(0))
    }
}

impl fmt::Display for StepId {
    /// `design@2`, `code[3]`, `code[3]@2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.task)?;
        if let Some(item) = self.item {
            write!(f, "[{item}]")?;
        }
        if let Some(round) = self.round {
            write!(f, "@{round}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_parsed_strictly() {
        for good in ["local", "acme-1", "0"] {
            assert!(good.parse::<TenantId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a#b", &"a".repeat(41)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
        assert!("01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse::<JobId>().is_ok());
        for bad in ["", "01kaj0x5t3zq4v8n2m6r7w9ybc", "81KAJ0X5T3ZQ4V8N2M6R7W9YBC", "01KAJ0X5T3ZQ4V8N2M6R7W9YB#"] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn targets_print_as_they_are_parsed() {
        let text = "wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC";
        let target: TargetId = text.parse().expect("a webhook");
        assert_eq!((&target, target.to_string().as_str()), (&TargetId::Webhook(text.parse().expect("an id")), text));
        for bad in
            ["", "wh_", "01KAJ0X5T3ZQ4V8N2M6R7W9YBC", "wh_01KAJ0X5T3ZQ4V8N2M6R7W9YB#", "WH_01KAJ0X5T3ZQ4V8N2M6R7W9YBC"]
        {
            assert!(bad.parse::<TargetId>().is_err(), "{bad}");
        }
        for text in ["dc_77", "tg_-1001_5"] {
            let target: TargetId = text.parse().expect("a chat");
            assert_eq!((&target, target.to_string().as_str()), (&TargetId::Chat(text.parse().expect("an id")), text));
        }
    }

    #[test]
    fn groups_print_as_sort_keys_and_parse_back() {
        for group in [GroupId::Root, GroupId::Fan { node: 3, part: 7 }, GroupId::Fan { node: 511, part: 63 }] {
            assert_eq!(group.to_string().parse(), Ok(group));
        }
        assert!("G#a#1".parse::<GroupId>().is_err());
    }

    #[test]
    fn steps_print_as_people_read_them() {
        let step = StepId { task: "code".into(), item: Some(3), round: Some(2) };
        assert_eq!(step.to_string(), "code[3]@2");
        assert_eq!(StepId::once("split").to_string(), "split");
        assert_eq!(step.sort_key(), "code#00003#00002");
    }
}
