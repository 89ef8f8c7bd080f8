//! What a bot's host sees of the desk: who asks, what is answered.

use async_trait::async_trait;
use bytes::Bytes;
use convoke_chat::button::{Ask, Press};
use convoke_chat::command::{Attached, Command, Misread};
use convoke_chat::reply::{Choice, Reply};
use convoke_domain::chat::{ChatId, PersonId, RealmId};

/// Who asks, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub person: PersonId,
    /// As the platform shows their name.
    pub name: String,
    /// Where it is told.
    pub chat: ChatId,
    /// What the chat is part of.
    pub realm: RealmId,
    /// What the platform calls that; empty where nobody asked. Links keep it.
    pub title: String,
    /// Whether they are one of the realm's admins; in direct messages everybody is. Not asked for where nothing changes.
    pub is_admin: bool,
    /// The update's id: whatever it starts is started once by it.
    pub update: String,
}

/// Fetches what came with a message, from its platform.
#[async_trait]
pub trait Attachments: Send + Sync {
    /// The content, or why it can't be had, in words. Reads only.
    async fn fetch(&self, file: &Attached) -> Result<Bytes, String>;
}

/// The desk. Every answer is something to show, also where the platform fails; a repeat with the same update starts
/// nothing anew.
#[async_trait]
pub trait Front: Send + Sync {
    /// Somebody gave a command, or tried to.
    async fn command(&self, caller: &Caller, command: Result<Command, Misread>) -> Reply;

    /// Somebody pressed a button.
    async fn press(&self, caller: &Caller, press: Press) -> Reply;

    /// Somebody typed what was asked for.
    async fn typed(&self, caller: &Caller, ask: Ask, text: String) -> Reply;

    /// What an option may be completed to. Reads only.
    async fn complete(&self, caller: &Caller, path: &[&str], option: &str, typed: &str) -> Vec<Choice>;
}
