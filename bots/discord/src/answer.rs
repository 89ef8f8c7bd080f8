//! Answers to interactions: at once, or after having said that it takes a while.
//! <https://discord.com/developers/docs/interactions/receiving-and-responding>
//!
//! Bodies are written here and not by serenity's builders: those know no default for `allowed_mentions` where an answer is
//! given over HTTP, and take away a message's files when they update it.

use convoke_chat::discord::{Message, Modal, Offer, message, modal, plain};
use convoke_chat::page::{Page, Tone};
use convoke_chat::reply::{Audience, Reply};
use convoke_chat::words;
use serde_json::{Value, json};

use crate::host::attachments;
use crate::interaction::Origin;
use crate::rest::File;

const PONG: u8 = 1;
const MESSAGE: u8 = 4;
const LATER: u8 = 5;
const UPDATE_LATER: u8 = 6;
const UPDATE: u8 = 7;
const CHOICES: u8 = 8;
const MODAL: u8 = 9;
/// Nobody but whoever asked sees the message.
const EPHEMERAL: u32 = 1 << 6;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A new message.
    Say(Said),
    /// The message that it was done to becomes this.
    Update(Message),
    /// A window that asks for a text.
    Ask(Modal),
    /// Nothing more than that it was heard.
    Heard,
}

/// A new message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub message: Message,
    pub audience: Audience,
    pub files: Vec<File>,
    /// The same without anything that could be refused.
    pub plain: Message,
}

impl Answer {
    /// Whether files come with it.
    pub(crate) fn has_files(&self) -> bool {
        matches!(self, Self::Say(said) if !said.files.is_empty())
    }

    /// The answer of a reply.
    pub(crate) fn of(reply: Reply) -> Self {
        match reply {
            Reply::Say { page, audience, files } => {
                let files = files.into_iter().map(File::from).collect();
                Self::Say(Said { files, ..Said::page(&page, audience) })
            }
            Reply::Update { page } => Self::Update(message(&page)),
            Reply::Ask(question) => Self::Ask(modal(&question)),
            Reply::Quiet => Self::Heard,
        }
    }
}

impl Said {
    /// A page without files.
    pub(crate) fn page(page: &Page, audience: Audience) -> Self {
        Self { message: message(page), audience, files: Vec::new(), plain: plain(page) }
    }

    /// A line for whoever asked.
    pub(crate) fn line(text: &str) -> Self {
        Self::page(&Page::new(Tone::Plain, text), Audience::Asker)
    }

    /// The body of a message.
    pub(crate) fn body(&self) -> Value {
        let mut body = edit(&self.message, &self.files);
        if self.audience != Audience::Everybody {
            body["flags"] = EPHEMERAL.into();
        }
        body
    }
}

/// Yes, we are there.
pub(crate) fn pong() -> Value {
    json!({ "type": PONG })
}

/// What may be typed.
pub(crate) fn choices(offers: &[Offer]) -> Value {
    json!({ "type": CHOICES, "data": { "choices": offers } })
}

/// It takes a while. Nobody but whoever asked sees the first thing that is said then, whatever comes to be said.
pub(crate) fn later(origin: Origin) -> Value {
    match origin {
        Origin::Message => json!({ "type": UPDATE_LATER }),
        Origin::Command => json!({ "type": LATER, "data": { "flags": EPHEMERAL } }),
    }
}

/// An answer, at once.
pub(crate) fn now(answer: &Answer, origin: Origin) -> Value {
    match (answer, origin) {
        (Answer::Say(said), _) => json!({ "type": MESSAGE, "data": said.body() }),
        (Answer::Update(message), Origin::Message) => json!({ "type": UPDATE, "data": message }),
        (Answer::Update(message), Origin::Command) => json!({ "type": MESSAGE, "data": private(message) }),
        (Answer::Ask(modal), _) => json!({ "type": MODAL, "data": modal }),
        (Answer::Heard, Origin::Message) => json!({ "type": UPDATE_LATER }),
        (Answer::Heard, Origin::Command) => {
            json!({ "type": MESSAGE, "data": Said::line(words::ON_IT).body() })
        }
    }
}

/// Whether an answer is a window.
#[cfg(feature = "gateway")]
pub(crate) fn is_window(answer: &Value) -> bool {
    answer["type"] == MODAL
}

/// The body of an edit: who sees a message can't be changed.
pub(crate) fn edit(message: &Message, files: &[File]) -> Value {
    let mut body = plain_data(message);
    if !files.is_empty() {
        body["attachments"] = attachments(files);
    }
    body
}

fn private(message: &Message) -> Value {
    let mut body = plain_data(message);
    body["flags"] = EPHEMERAL.into();
    body
}

/// Plain data always has a JSON form.
fn plain_data(message: &Message) -> Value {
    serde_json::to_value(message).unwrap_or_default()
}
