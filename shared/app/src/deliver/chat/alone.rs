//! A message of its own in a chat: of no job, so that no delivery stands behind it.

use convoke_domain::chat::ChatId;
use convoke_domain::delivery::{ASKED_MS_MAX, QUIET_MS};
use convoke_domain::ids::TenantId;
use convoke_domain::room::{Dead, Urgency};

use super::super::DeliverError;
use super::outcome::BOT_SILENCE_MS;
use super::room::{Rooms, Space, Whose};
use super::{Place, failed, place};
use crate::platform::Platform;
use crate::ports::{ChatError, Form, Notice};

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It stands there, or there is nobody to tell (any more).
    Over,
    /// Not now, and that is no failure: in so many milliseconds.
    In(u64),
    /// The chat is this one now.
    Moved(ChatId),
    /// It isn't accepted in this form.
    Rejected,
    /// It came to nothing, or nobody knows.
    Failed,
}

impl Platform {
    /// Tells a chat something, once there is space for it: one call at most. Where it isn't known whether the message was
    /// taken, a repeat under the same `nonce` shows it once where the platform knows nonces.
    pub(crate) async fn tell_chat(
        &self,
        (tenant, target): (&TenantId, &ChatId),
        notice: &Notice,
        (form, nonce): (Form, &str),
    ) -> Result<Told, DeliverError> {
        let Some(host) = self.ports.chat_hosts.of(target.bot()) else { return Ok(Told::In(QUIET_MS)) };
        let (chat, realm) = match place(self, tenant, target).await? {
            Place::At(chat, realm) => (chat, realm),
            Place::Dead(_) => return Ok(Told::Failed),
            Place::Nowhere => return Ok(Told::Over),
        };
        let rooms = Rooms { platform: self, tenant, realm };
        match rooms.take(&chat, Urgency::Soon, None).await? {
            Space::In(wait_ms) => return Ok(Told::In(wait_ms)),
            // The room says why: that is seen at the next look.
            Space::Closed => return Ok(Told::In(0)),
            Space::Free => {}
        }
        match host.post(&chat, &host.render(notice, form), nonce).await {
            Ok(_) => Ok(Told::Over),
            Err(error) => self.untold(&rooms, (chat, error)).await,
        }
    }

    async fn untold(&self, rooms: &Rooms<'_>, (chat, error): (ChatId, ChatError)) -> Result<Told, DeliverError> {
        tracing::warn!(%chat, error = &error as &dyn std::error::Error, "a chat didn't take a message");
        let now_ms = self.ports.env.now_ms();
        match error {
            ChatError::Throttled { after_ms, is_global } => {
                let whose = if is_global { Whose::Bot(chat.bot()) } else { Whose::Room };
                let after_ms = after_ms.min(ASKED_MS_MAX);
                rooms.silence(&chat, whose, now_ms + after_ms).await?;
                Ok(Told::In(after_ms))
            }
            ChatError::Paused { after_ms } => Ok(Told::In(after_ms.min(ASKED_MS_MAX))),
            ChatError::Refused { .. } => {
                rooms.silence(&chat, Whose::Bot(chat.bot()), now_ms + BOT_SILENCE_MS).await?;
                Ok(Told::Failed)
            }
            ChatError::Dead { detail } => {
                let dead = Dead { at_ms: now_ms, why: detail };
                rooms.change(&chat, |room| room.dead = Some(dead.clone())).await?;
                // It may be told there again before all tries are over.
                Ok(Told::Failed)
            }
            ChatError::Moved { to } if to == chat => Ok(Told::Failed),
            ChatError::Moved { to } => {
                if to.room() != chat.room() {
                    self.chat_moved(&chat.room(), &to).await.map_err(failed)?;
                }
                Ok(Told::Moved(to))
            }
            ChatError::Rejected { .. } => Ok(Told::Rejected),
            ChatError::Gone | ChatError::Unsent { .. } | ChatError::Unknown { .. } => Ok(Told::Failed),
        }
    }
}
