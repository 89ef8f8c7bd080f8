//! Reviews: a person is asked, and one decision counts.
//!
//! A review is requested, then approved, sent back with changes, rejected, or nobody decides and its time is over. What
//! becomes of it then is in its [`Terms`], which are the flow's.

use serde::{Deserialize, Serialize};

use crate::chat::PersonId;

/// Shortest time that people have for a decision, and until they are reminded, in milliseconds.
pub const TIME_MIN_MS: u64 = 60_000;
/// The longest.
pub const TIME_MAX_MS: u64 = 90 * 24 * 3_600_000;
/// The time that they have where a review doesn't say.
pub const TIME_DEFAULT_MS: u64 = 7 * 24 * 3_600_000;
/// Longest comment on a decision, in characters.
pub const COMMENT_CHARS_MAX: usize = 4_000;
/// Most people that a review names.
pub const PEOPLE_MAX: usize = 50;

/// What a person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Go on.
    Approve,
    /// Not like this: the comment says what is to be different.
    Changes,
    /// No.
    Reject,
}

impl Decision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Approve, Self::Changes, Self::Reject];

    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Changes => "changes",
            Self::Reject => "reject",
        }
    }
}

/// What counts where nobody decides in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAction {
    /// As if a person had approved.
    Approve,
    /// As if a person had rejected.
    Reject,
}

impl DefaultAction {
    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// What a rejection does to the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnReject {
    /// It ends `rejected`.
    #[default]
    Fail,
    /// It goes on: the decision is an output like any other.
    Proceed,
}

/// Who may decide, of the people in chats. A key of the tenant always may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deciders {
    /// Whoever submitted the job.
    pub requester: bool,
    /// These people; at most [`PEOPLE_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<PersonId>,
    /// Admins of the chat in which they decide.
    pub admins: bool,
}

impl Default for Deciders {
    /// The requester, and the chat's admins.
    fn default() -> Self {
        Self { requester: true, people: Vec::new(), admins: true }
    }
}

/// What a flow says of one of its reviews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// How long people have, from [`TIME_MIN_MS`] to [`TIME_MAX_MS`].
    pub deadline_ms: u64,
    /// After which time they are reminded, once.
    pub reminder_ms: Option<u64>,
    /// What counts where nobody decides; without it the job ends.
    pub default: Option<DefaultAction>,
    /// What a rejection does.
    pub on_reject: OnReject,
}

impl Terms {
    /// What comes of a review whose time is over.
    pub const fn expired(&self) -> Ruling {
        match self.default {
            Some(default) => Ruling::Default(default),
            None => Ruling::Lapsed,
        }
    }

    /// Whether the job ends by it.
    pub fn ends_job(&self, ruling: Ruling) -> bool {
        match ruling.decision() {
            None => true,
            Some(Decision::Reject) => self.on_reject == OnReject::Fail,
            Some(Decision::Approve | Decision::Changes) => false,
        }
    }
}

/// What came of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ruling {
    /// A person decided.
    Decided(Decision),
    /// Nobody did in time, and this counts instead.
    Default(DefaultAction),
    /// Nobody did in time, and nothing counts instead.
    Lapsed,
}

impl Ruling {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Decided(Decision::Approve),
        Self::Decided(Decision::Changes),
        Self::Decided(Decision::Reject),
        Self::Default(DefaultAction::Approve),
        Self::Default(DefaultAction::Reject),
        Self::Lapsed,
    ];

    /// What counts.
    pub const fn decision(self) -> Option<Decision> {
        match self {
            Self::Decided(decision) => Some(decision),
            Self::Default(DefaultAction::Approve) => Some(Decision::Approve),
            Self::Default(DefaultAction::Reject) => Some(Decision::Reject),
            Self::Lapsed => None,
        }
    }

    /// Whether it came by itself, since the time was over.
    pub const fn is_expired(self) -> bool {
        matches!(self, Self::Default(_) | Self::Lapsed)
    }

    /// The letter that stands for it in a [slot](crate::slot::Slot).
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Decided(Decision::Approve) => 'a',
            Self::Decided(Decision::Changes) => 'c',
            Self::Decided(Decision::Reject) => 'r',
            Self::Default(DefaultAction::Approve) => 'A',
            Self::Default(DefaultAction::Reject) => 'R',
            Self::Lapsed => 'L',
        }
    }
}
