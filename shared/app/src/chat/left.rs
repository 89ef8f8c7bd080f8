//! Chats that the bot was put out of.

use convoke_domain::chat::ChatId;
use convoke_domain::room::{Dead, Room};

use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::Saved;
use crate::webhooks::RACES_MAX;

impl Platform {
    /// The bot was put out of a chat: nothing is told there until somebody uses it there again. A repeat changes nothing,
    /// nor does a chat that isn't linked.
    pub async fn leave_chat(&self, chat: &ChatId, why: &str) -> Result<(), Failure> {
        let Some(realm) = chat.own_realm() else { return Ok(()) };
        let Some(link) = self.link_of(&realm).await? else { return Ok(()) };
        let dead = Dead { at_ms: self.ports.env.now_ms(), why: why.to_owned() };
        let mut stored = self.ports.rooms.standing(&link.tenant, &chat.room()).await?.room;
        for _ in 0..RACES_MAX {
            let mark = self.ports.env.nonce();
            let next = match &stored {
                None => Room { dead: Some(dead.clone()), ..Room::new(*chat, realm, mark) },
                Some(room) if room.dead.is_some() => return Ok(()),
                Some(room) => Room { dead: Some(dead.clone()), ..room.next(mark) },
            };
            match self.ports.rooms.save_room(&link.tenant, &next).await? {
                Saved::Done => break,
                Saved::Conflict(room) => stored = Some(room),
                Saved::Missing => stored = None,
            }
        }
        Ok(())
    }
}
