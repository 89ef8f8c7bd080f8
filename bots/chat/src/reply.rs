//! What answers a command or a press, whatever the platform.

use crate::button::Ask;
use crate::page::Page;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A new message.
    Say {
        /// What it says.
        page: Page,
        /// Who sees it.
        audience: Audience,
        /// What comes with it.
        files: Vec<File>,
    },
    /// The message whose button was pressed becomes this.
    Update {
        /// What it says from now on.
        page: Page,
    },
    /// A text is asked for.
    Ask(Question),
    /// Nothing has to be said: a card tells.
    Quiet,
}

/// Who sees an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever asked, where the platform can do that.
    Asker,
    /// Whoever asked, and nobody else: what is said opens something.
    AskerAlone,
    /// The chat.
    Everybody,
}

/// A question that is answered by a text: a modal on Discord, a message to reply to on Telegram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What the text answers.
    pub ask: Ask,
    /// What is asked, in at most 45 characters.
    pub title: String,
    /// What is asked for, in at most 45 characters.
    pub label: String,
    /// What could be written.
    pub placeholder: String,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without folders.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What an option may be completed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// As it is shown.
    pub name: String,
    /// As it is sent.
    pub value: String,
}

impl Reply {
    /// An answer to whoever asked alone.
    pub const fn private(page: Page) -> Self {
        Self::Say { page, audience: Audience::Asker, files: Vec::new() }
    }

    /// An answer that nobody else may see, also where the platform can't answer in private: there it is said elsewhere.
    pub const fn secret(page: Page) -> Self {
        Self::Say { page, audience: Audience::AskerAlone, files: Vec::new() }
    }

    /// An answer to the chat.
    pub const fn public(page: Page) -> Self {
        Self::Say { page, audience: Audience::Everybody, files: Vec::new() }
    }
}
