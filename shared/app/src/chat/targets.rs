//! Chats that a submission's `notify` names.

use convoke_api::flow::FlowIssue;
use convoke_api::request::NotifyTarget;
use convoke_domain::chat::{ChatId, RealmId};
use convoke_domain::ids::{TargetId, TenantId};
use serde_json::Value;

use crate::platform::Platform;
use crate::ports::{ALL_EVENTS, PortError, Target, Wanted};

impl Platform {
    /// Whether the chat is in what is linked to this tenant.
    pub(crate) async fn chat_is_linked(&self, tenant: &TenantId, chat: &ChatId) -> Result<bool, PortError> {
        let Some(realm) = self.realm_of(tenant, chat).await? else { return Ok(false) };
        Ok(self.ports.links.link(&realm).await?.is_some_and(|link| link.tenant == *tenant))
    }

    /// The realm of a chat, as far as the tenant knows it.
    pub(crate) async fn realm_of(&self, tenant: &TenantId, chat: &ChatId) -> Result<Option<RealmId>, PortError> {
        match chat.own_realm() {
            Some(realm) => Ok(Some(realm)),
            None => Ok(self.ports.rooms.standing(tenant, &chat.room()).await?.room.map(|room| room.realm)),
        }
    }
}

/// The chat that an entry of `notify` names; `None` where it names something else, or nothing that can be.
pub(crate) fn chat_of(target: &Value) -> Option<ChatId> {
    match serde_json::from_value(target.clone()).ok()? {
        NotifyTarget::Webhook(_) => None,
        NotifyTarget::Discord(discord) => discord.channel.parse().ok().map(ChatId::Discord),
        NotifyTarget::Telegram(telegram) => {
            let thread = telegram.thread.map(i32::try_from).transpose().ok()?;
            (telegram.chat != 0).then_some(ChatId::Telegram { chat: telegram.chat, thread })
        }
    }
}

/// A chat as a target: its card shows whatever happens.
pub(crate) fn chat_target(chat: ChatId) -> Target {
    Target { id: TargetId::Chat(chat), events: Wanted([ALL_EVENTS.to_owned()].into()) }
}

/// What is wrong with a chat that isn't linked.
pub(crate) fn not_linked(index: usize, chat: &ChatId) -> FlowIssue {
    let hint = match chat {
        ChatId::Discord(_) => {
            "link its server: `convoke link` makes a code for /crew link; then use any command of the bot in the channel \
             once, so that it is known to belong there"
        }
        ChatId::Telegram { .. } => "link it: `convoke link` makes a code for /link in that chat",
    };
    FlowIssue::new(format!("notify[{index}]"), "the chat isn't linked to you", hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_name_chats() {
        let named = |target: Value| chat_of(&target).map(|chat| chat.to_string());
        assert_eq!(named(json!({"discord": {"channel": "77"}})).as_deref(), Some("dc_77"));
        assert_eq!(named(json!({"telegram": {"chat": -5, "thread": 2}})).as_deref(), Some("tg_-5_2"));
        for other in [
            json!({"webhook": "w"}),
            json!({"discord": {"channel": "x"}}),
            json!({"telegram": {"chat": 0}}),
            json!({"telegram": {"chat": 1, "thread": 1_u64 << 40}}),
            json!(7),
        ] {
            assert_eq!(named(other.clone()), None, "{other}");
        }
    }
}
