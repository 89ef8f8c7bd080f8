//! What people ask for, whatever they typed it into.
//!
//! One table ([`COMMANDS`]) says what there is. The help text, Discord's registration, Telegram's list of commands and both
//! readers come from it.

mod given;
mod register;
mod table;
mod telegram;
#[cfg(test)]
mod tests;
mod when;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use convoke_domain::ids::JobId;
use convoke_domain::money::MicroUsd;
use convoke_domain::status::JobStatus;

pub use given::{Given, Value, from_options};
pub use register::{FOLLOW_UP_MENU, discord_commands, telegram_commands};
pub use table::{COMMANDS, FLOW_CHARS_MAX, Kind, Opt, PROMPT_CHARS_MAX, Place, Spec, Verb};
pub use telegram::{Hearing, parse, payload_of_start};
pub use when::{When, WhenError};

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a job.
    Run(Run),
    /// How one job stands.
    Status {
        /// Which; the chat's choice where it is missing.
        job: Option<JobName>,
    },
    /// The latest jobs.
    List {
        /// Only those in this state.
        status: Option<JobStatus>,
    },
    /// End a job with what there is.
    Cancel {
        /// Which.
        job: Option<JobName>,
    },
    /// Try a failed or cancelled job again.
    Retry {
        /// Which.
        job: Option<JobName>,
        /// A new cap.
        budget: Option<MicroUsd>,
    },
    /// A job's files.
    Artifacts {
        /// Which.
        job: Option<JobName>,
        /// One file alone, by its path.
        path: Option<String>,
    },
    /// What a job, or the latest jobs, cost.
    Cost {
        /// Which.
        job: Option<JobName>,
    },
    /// Go on from what a job has made.
    FollowUp(FollowUp),
    /// Work that starts by the clock.
    Schedule(Schedule),
    /// Connect this chat to a tenant, by a one-time code.
    Link {
        /// The code; without it the answer says how to get one.
        code: Option<String>,
    },
    /// Disconnect this chat.
    Unlink,
    /// What can be asked for.
    Help,
    /// Telegram's first word, with what a deep link carries: a code.
    Start {
        /// Of the link.
        payload: Option<String>,
    },
}

/// A job to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Which flow; the installation's default where it is missing.
    pub flow: Option<String>,
    /// What is wanted; asked for where it is missing.
    pub prompt: Option<String>,
    /// The cap.
    pub budget: Option<MicroUsd>,
    /// What else the flow takes, by name.
    pub inputs: BTreeMap<String, serde_json::Value>,
    /// Files that came with it.
    pub files: Vec<Attached>,
}

/// A job that goes on from another's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowUp {
    /// Which; the chat's choice where it is missing.
    pub job: Option<JobName>,
    /// What is wanted; asked for where it is missing.
    pub prompt: Option<String>,
    /// The cap.
    pub budget: Option<MicroUsd>,
}

/// What to do about schedules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Make one.
    Create {
        /// When it starts work.
        when: When,
        /// The time zone of that, by its name in the IANA database; UTC where it is missing.
        zone: Option<String>,
        /// What it starts.
        run: Run,
    },
    /// All of them.
    List,
    /// Let one stand still.
    Pause {
        /// Which: its id, or the end of it.
        id: String,
    },
    /// Let it go on.
    Resume {
        /// Which.
        id: String,
    },
    /// Take one away.
    Delete {
        /// Which.
        id: String,
    },
}

/// A file that came with a message; its content is the host's to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// As its sender calls it.
    pub name: String,
    /// As the platform says.
    pub media_type: Option<String>,
    /// Its size, as the platform says.
    pub bytes: u64,
    /// Where the host finds it: a URL of Discord, a file id of Telegram.
    pub source: String,
}

/// How people name a job: its id, or the end of it (at least [`JobName::CHARS_MIN`] characters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobName(String);

/// A text that names no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a job's id, or at least its last {} characters", JobName::CHARS_MIN)]
pub struct JobNameError;

impl JobName {
    /// Fewest characters that name a job.
    pub const CHARS_MIN: usize = 4;
    /// Characters of the end of an id that messages show.
    pub const CHARS_SHOWN: usize = 6;

    /// The end of an id, as messages show it.
    pub fn short(id: &JobId) -> &str {
        let id = id.as_str();
        &id[id.len().saturating_sub(Self::CHARS_SHOWN)..]
    }

    /// The whole id, where it is one.
    pub fn id(&self) -> Option<JobId> {
        self.0.parse().ok()
    }

    /// Whether this names that job.
    pub fn names(&self, id: &JobId) -> bool {
        id.as_str().ends_with(&self.0)
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JobName {
    type Err = JobNameError;

    /// Takes ids in any case, also with what messages put around them.
    fn from_str(text: &str) -> Result<Self, JobNameError> {
        let name = text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_uppercase();
        let fits = (Self::CHARS_MIN..=26).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if fits { Ok(Self(name)) } else { Err(JobNameError) }
    }
}

/// What was typed can't be understood. Said to whoever typed it, and to nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// What is wrong, and what to write instead.
    pub what: String,
    /// The command that was meant, where that is known.
    pub verb: Option<Verb>,
}
