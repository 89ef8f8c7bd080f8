//! Rooms as what comes in changes them: the bot was put out, or the chat is called otherwise.

use convoke_domain::chat::{ChatId, RealmId};
use convoke_domain::ids::TenantId;
use convoke_domain::room::{Dead, Room};

use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::Saved;
use crate::webhooks::RACES_MAX;
use crate::work::WorkError;

impl Platform {
    /// The bot was put out of a chat: nothing is told there until somebody uses it there again. A repeat changes nothing,
    /// nor does a chat that isn't linked.
    pub async fn leave_chat(&self, chat: &ChatId, why: &str) -> Result<(), Failure> {
        let Some(realm) = chat.own_realm() else { return Ok(()) };
        let Some(link) = self.link_of(&realm).await? else { return Ok(()) };
        let dead = Dead { at_ms: self.ports.env.now_ms(), why: why.to_owned() };
        let changed = |room: &Room| room.dead.is_none().then(|| Room { dead: Some(dead.clone()), ..room.clone() });
        self.change_room(&link.tenant, (chat, realm), changed).await
    }

    /// Changes a tenant's room, also when others have changed it meanwhile; `None` says that it is as it is to be.
    pub(super) async fn change_room(
        &self,
        tenant: &TenantId,
        (chat, realm): (&ChatId, RealmId),
        changed: impl Fn(&Room) -> Option<Room>,
    ) -> Result<(), Failure> {
        let mut stored = self.ports.rooms.standing(tenant, &chat.room()).await?.room;
        for _ in 0..RACES_MAX {
            let mark = self.ports.env.nonce();
            let next = match &stored {
                Some(room) => room.next(mark),
                None => Room::new(*chat, realm, mark),
            };
            let Some(next) = changed(&next) else { return Ok(()) };
            match self.ports.rooms.save_room(tenant, &next).await? {
                Saved::Done => return Ok(()),
                Saved::Conflict(room) => stored = Some(room),
                Saved::Missing => stored = None,
            }
        }
        Err(WorkError::Contended { job: format!("chat {chat}") }.into())
    }
}
