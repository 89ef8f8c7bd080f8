//! Space for a message: what is asked before anything is sent, and noted when a platform wants otherwise.

use convoke_domain::chat::{Bot, ChatId, RealmId};
use convoke_domain::ids::TenantId;
use convoke_domain::room::{Digest, Room, Urgency, calls_a_second, wait_in_line_ms};

use super::super::DeliverError;
use crate::platform::Platform;
use crate::ports::Saved;
use crate::webhooks::RACES_MAX;

/// How long to wait where too many others take the same room.
const RACE_MS: u64 = 1_000;
/// After which time to look again where others are being told, in milliseconds.
const LOOK_MS: u64 = 2_000;

/// Whether something may be sent.
pub(super) enum Space {
    /// Now; this message is counted.
    Free,
    /// Not before so many milliseconds.
    In(u64),
    /// Never, or not there: the room says why.
    Closed,
}

/// What is told together, and how often that was done in its room when it was put together.
#[derive(Clone, Copy)]
pub(super) struct Begun<'d>(pub &'d Digest, pub u64);

/// A room of a tenant's.
pub(super) struct Rooms<'r> {
    pub platform: &'r Platform,
    pub tenant: &'r TenantId,
    pub realm: RealmId,
}

impl Rooms<'_> {
    /// Takes space for one message. What is told together is stored with it, unless others are being told just now.
    pub(super) async fn take(
        &self,
        chat: &ChatId,
        urgency: Urgency,
        digest: Option<Begun<'_>>,
    ) -> Result<Space, DeliverError> {
        self.take_for(chat, (urgency, 1), digest).await
    }

    /// The same for a message that takes several calls.
    pub(super) async fn take_for(
        &self,
        chat: &ChatId,
        (urgency, calls): (Urgency, u32),
        digest: Option<Begun<'_>>,
    ) -> Result<Space, DeliverError> {
        let ports = &self.platform.ports;
        let standing = ports.rooms.standing(self.tenant, &chat.room()).await?;
        let mut stored = standing.room;
        let mut counted_s = None;
        for _ in 0..RACES_MAX {
            let now_ms = ports.env.now_ms();
            let room = stored.clone().unwrap_or_else(|| self.unborn(chat));
            if room.dead.is_some() || room.moved_to.is_some() {
                return Ok(Space::Closed);
            }
            if digest.is_some_and(|Begun(_, told)| room.told != told) {
                // What waited then may be told by now.
                return Ok(Space::In(RACE_MS));
            }
            let others_ms = digest.map_or(0, |Begun(own, _)| others_ms(&room, own, now_ms));
            let bot_ms = standing.bot_not_before_ms.saturating_sub(now_ms);
            let wait_ms = room.wait_ms(urgency, now_ms).max(others_ms).max(bot_ms);
            if wait_ms > 0 {
                return Ok(Space::In(wait_ms));
            }
            let second = now_ms / 1_000;
            if counted_s != Some(second) {
                counted_s = Some(second);
                let mut nth = 0;
                for _ in 0..calls {
                    nth = ports.rooms.count_call(chat.bot(), second).await?;
                }
                match wait_in_line_ms(nth, calls_a_second(chat), now_ms) {
                    0 => {}
                    wait_ms => return Ok(Space::In(wait_ms)),
                }
            }
            let mut next = room.sending(ports.env.nonce(), now_ms);
            if let Some(Begun(digest, _)) = digest {
                next.digest = Some(digest.clone());
            }
            match ports.rooms.save_room(self.tenant, &next).await? {
                Saved::Done => return Ok(Space::Free),
                Saved::Conflict(now) => stored = Some(now),
                Saved::Missing => stored = None,
            }
        }
        Ok(Space::In(RACE_MS))
    }

    /// Replaces what is being told together, unless others have by now.
    pub(super) async fn change_digest(&self, digest: &Digest, change: impl Fn(&mut Room)) -> Result<(), DeliverError> {
        let is_own = |told: &Digest| told.nonce == digest.nonce;
        self.change(&digest.chat, |room| {
            if room.digest.as_ref().is_some_and(is_own) {
                change(room);
            }
        })
        .await
    }

    /// The room as it is stored.
    pub(super) async fn room(&self, chat: &ChatId) -> Result<Option<Room>, DeliverError> {
        Ok(self.platform.ports.rooms.standing(self.tenant, &chat.room()).await?.room)
    }

    /// Changes the room, also when others have changed it meanwhile.
    pub(super) async fn change(&self, chat: &ChatId, change: impl Fn(&mut Room)) -> Result<(), DeliverError> {
        let ports = &self.platform.ports;
        let mut stored = self.room(chat).await?;
        for _ in 0..RACES_MAX {
            let mark = ports.env.nonce();
            let mut next =
                stored.as_ref().map_or_else(|| self.unborn(chat).next(mark.clone()), |room| room.next(mark.clone()));
            change(&mut next);
            match ports.rooms.save_room(self.tenant, &next).await? {
                Saved::Done => return Ok(()),
                Saved::Conflict(now) => stored = Some(now),
                Saved::Missing => stored = None,
            }
        }
        tracing::warn!(%chat, "a room is changed by too many at once");
        Ok(())
    }

    /// The platform wants silence.
    pub(super) async fn silence(&self, chat: &ChatId, whose: Whose, until_ms: u64) -> Result<(), DeliverError> {
        match whose {
            Whose::Bot(bot) => Ok(self.platform.ports.rooms.halt_bot(bot, until_ms).await?),
            Whose::Room => self.change(chat, |room| room.not_before_ms = room.not_before_ms.max(until_ms)).await,
        }
    }

    /// A room that isn't stored yet: its next version is the first.
    fn unborn(&self, chat: &ChatId) -> Room {
        Room { ver: 0, ..Room::new(*chat, self.realm, String::new()) }
    }
}

/// Whose silence is wanted.
pub(super) enum Whose {
    Bot(Bot),
    Room,
}

/// How long to wait because of what is being told together. It mostly takes no time, so that whoever comes meanwhile looks
/// again soon; what was begun by somebody else is theirs until its time is over, even where it says the same.
pub(super) fn others_ms(room: &Room, own: &Digest, now_ms: u64) -> u64 {
    let Some(told) = &room.digest else { return 0 };
    let is_same = own.nonce == told.nonce && own.chat == told.chat;
    let left_ms = told.until_ms.saturating_sub(now_ms).min(LOOK_MS);
    if is_same { left_ms } else { left_ms.max(RACE_MS) }
}
